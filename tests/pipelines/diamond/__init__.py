"""Readings to clean readings, their highest and lowest a day, and the range: a diamond of four assets."""
