"""Expressions that more than one transform uses; ships with them."""

import narwhals as nw


def value_of(price: str, pieces: str) -> nw.Expr:
    """Price times pieces."""
    return nw.col(price) * nw.col(pieces)
