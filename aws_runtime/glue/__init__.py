"""aws_runtime/glue."""
