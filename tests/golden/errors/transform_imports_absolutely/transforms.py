"""A transform that names its sibling by a package that does not ship."""

import narwhals as nw

from tests.golden.errors.transform_imports_absolutely.helpers import same


def clean(readings: nw.LazyFrame) -> nw.LazyFrame:
    """Readings as they are."""
    return same(readings)
