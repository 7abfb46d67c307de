"""asl/deploy."""
