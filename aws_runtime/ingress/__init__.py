"""The front door: notifications of S3 in, executions of state machines out (docs/ingress.md)."""
