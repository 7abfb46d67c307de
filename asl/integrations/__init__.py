"""asl/integrations."""
