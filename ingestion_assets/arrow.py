"""Contract -> pyarrow schema: what the Parquet files of an asset hold.

In: a contract. Out: `pyarrow.Schema`. For tests, tools and warehouses; engines in AWS write Parquet
from SQL types and do not ship pyarrow.
"""

from __future__ import annotations

import pyarrow as pa

from aws_runtime.contract import Contract, DataType

_TYPES = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    # Stored as the next wider signed type: see `aws_runtime.contract.DataType`.
    "uint8": pa.int16(),
    "uint16": pa.int32(),
    "uint32": pa.int64(),
    "uint64": pa.decimal128(20, 0),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "date": pa.date32(),
    "binary": pa.binary(),
}


def arrow_type(given: DataType) -> pa.DataType:
    """Return the Arrow type that stores `given`; instants are in UTC, whatever zone was declared."""
    if given.item is not None:
        return pa.list_(arrow_type(given.item))
    if given.name == "struct":
        return pa.struct([pa.field(f.name, arrow_type(f.type)) for f in given.fields])
    if given.name == "decimal":
        return pa.decimal128(given.precision, given.scale)
    if given.name == "timestamp":
        return pa.timestamp("us", tz="UTC" if given.timezone else None)
    return _TYPES[given.name]


def arrow_schema(contract: Contract) -> pa.Schema:
    """Return the schema of the contract's rows; nullability as declared."""
    return pa.schema([pa.field(c.name, arrow_type(c.type), nullable=c.nullable) for c in contract.columns])
