"""asl/emit."""
