"""asl/local."""
