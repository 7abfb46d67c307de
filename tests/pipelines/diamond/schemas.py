"""Readings of sensors, and their extremes by day."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl


class Reading(pa.DataFrameModel):
    """One reading, as sent."""

    sensor: str
    day: pl.Date
    celsius: float = pa.Field(nullable=True)

    class Config:
        coerce = True


class CleanReading(pa.DataFrameModel):
    """One reading that a thermometer can have made."""

    sensor: str
    day: pl.Date
    celsius: float = pa.Field(in_range={"min_value": -90, "max_value": 60})

    class Config:
        strict = True


class Highest(pa.DataFrameModel):
    """The highest reading of a sensor's day."""

    sensor: str
    day: pl.Date
    highest: float

    class Config:
        strict = True


class Lowest(pa.DataFrameModel):
    """The lowest reading of a sensor's day."""

    sensor: str
    day: pl.Date
    lowest: float

    class Config:
        strict = True


class Span(pa.DataFrameModel):
    """How far apart the readings of a sensor's day are."""

    sensor: str
    day: pl.Date
    span: float = pa.Field(ge=0)

    class Config:
        strict = True
