"""clickstream, always by Glue."""
