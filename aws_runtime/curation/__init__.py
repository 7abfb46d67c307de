"""Curation: validate -> transform -> validate output -> load, each step configured at run time."""
