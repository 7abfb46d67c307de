"""A pipeline of batches that always take the Glue job, for the end-to-end tests."""
