"""Pipelines whose runs write tables of their own format, for the tests alone."""
