"""aws_runtime/formats."""
