"""Declarations -> states, one concern a file: expressions, assets, branches, tracking."""
