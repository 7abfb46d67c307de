"""Pure transforms of readings."""

import narwhals as nw


def clean_readings(readings: nw.LazyFrame) -> nw.LazyFrame:
    """Readings as they are; the contract sorts the impossible ones out."""
    return readings


def highest(clean_readings: nw.LazyFrame) -> nw.LazyFrame:
    """The highest of each sensor's day."""
    return clean_readings.group_by("sensor", "day").agg(nw.col("celsius").max().alias("highest"))


def lowest(clean_readings: nw.LazyFrame) -> nw.LazyFrame:
    """The lowest of each sensor's day."""
    return clean_readings.group_by("sensor", "day").agg(nw.col("celsius").min().alias("lowest"))


def spans(highest: nw.LazyFrame, lowest: nw.LazyFrame) -> nw.LazyFrame:
    """Highest minus lowest."""
    both = highest.join(lowest, on=["sensor", "day"], how="inner")
    return both.select("sensor", "day", (nw.col("highest") - nw.col("lowest")).alias("span"))
