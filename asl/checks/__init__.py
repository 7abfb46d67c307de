"""asl/checks."""
