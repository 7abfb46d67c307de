"""aws_runtime/handlers."""
