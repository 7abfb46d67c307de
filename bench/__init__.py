"""The benchmark: whole steps side by side with what one would otherwise use."""
