"""Glue entry points, one script a file."""
