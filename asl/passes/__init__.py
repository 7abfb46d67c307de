"""asl/passes."""
