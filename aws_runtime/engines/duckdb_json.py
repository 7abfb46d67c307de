"""JSON in DuckDB: prepared files -> one lazy SELECT with every leaf as text.

The fast way gives DuckDB the whole file. It fails as a whole on one broken record, so the exact way
then copies the file line by line, putting `{}` in the place of each broken record and the record
with its reason into a table. Both read the good records with the same reader, so they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from aws_runtime.contract import Contract, DataType, Drift, Field
from aws_runtime.engines.duckdb_dialect import DUCKDB, quote, text
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import json
from aws_runtime.formats.json import Layout, Line, Options, Prepared
from aws_runtime.rules import read_type

#: How many bytes of lines are judged at once.
_BATCH_BYTES = 4 * 1024 * 1024
#: How many columns beyond the contract are named, the most frequent first.
_EXTRA_COLUMNS = 100
_FORMATS = {Layout.LINES: "newline_delimited", Layout.ARRAY: "array", Layout.OBJECTS: "unstructured"}


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over a file's records found.

    Args:
        records: Number of records.
        keys: Top-level key -> records that have it.
        sound: Whether every record is an object of acceptable depth, as far as a cheap test tells.
    """

    records: int
    keys: Mapping[str, int]
    sound: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be selected from.

    Args:
        sql: `SELECT` of the contract's columns as text, `source_row`, `source_uri`, and for a broken
            record `reason` and `record`.
        survey: Of the same file.
    """

    sql: str
    survey: Survey


class UnreadableError(Exception):
    """DuckDB cannot read the file as a whole."""


def open_file(
    connection: Any, path: str, uri: str, options: Options, contract: Contract, *, work: Path, exact: bool
) -> Source:
    """Find out how one file is read.

    Raises:
        RejectedFile: Nothing of the file can be read, or its columns break the drift policy.
    """
    prepared = json.prepare(path, uri, options, work)
    broken: str | None = None
    try:
        survey = _survey(connection, prepared, options)
    except UnreadableError as error:
        if prepared.layout is Layout.ARRAY:
            raise json.why_malformed(prepared.path, uri, str(error)) from error
        # Not objects over several lines after all, or lines of which some are broken.
        guessed, prepared = prepared, replace(prepared, layout=Layout.LINES)
        survey = Survey(0, {}, sound=False)
        if guessed.layout is Layout.OBJECTS and not _any_line(connection, prepared, options):
            raise json.why_malformed(prepared.path, uri, str(error)) from error
    if exact or not survey.sound:
        prepared, broken = _repaired(
            connection, prepared, options, contract, work=work, uri=uri, shapes=exact
        )
        survey = _survey(connection, prepared, options)
    _judge_columns(survey, contract, uri)
    return Source(_select(prepared, broken, options, contract, uri), survey)


def _reader(function: str, prepared: Prepared, options: Options, columns: str = "") -> str:
    return (
        f"{function}({text(prepared.path)}, format='{_FORMATS[prepared.layout]}', compression='uncompressed', "
        f"maximum_object_size={options.max_record_bytes}{columns})"
    )


def _survey(connection: Any, prepared: Prepared, options: Options) -> Survey:
    openers = "2 * strlen(json) - strlen(replace(json, '{', '')) - strlen(replace(json, '[', ''))"
    query = f"""
        WITH seen AS MATERIALIZED (
            SELECT json_keys(json) AS keys, count(*) AS n,
                count_if({openers} > {options.max_depth} OR NOT starts_with(ltrim(json), '{{')
                    OR strlen(json) > {options.max_record_bytes}) AS odd
            FROM {_reader("read_json_objects", prepared, options)} GROUP BY ALL)
        SELECT NULL, COALESCE(sum(n), 0)::BIGINT, COALESCE(sum(odd), 0)::BIGINT FROM seen
        UNION ALL
        (SELECT key, sum(n)::BIGINT, 0 FROM (SELECT unnest(list_distinct(keys)) AS key, n FROM seen)
        GROUP BY key)"""
    try:
        rows = connection.execute(query).fetchall()
    except duckdb.InvalidInputException as error:
        raise UnreadableError(str(error).splitlines()[0]) from error
    keys = {key: n for key, n, _ in rows if key is not None}
    records, odd = next((n, odd) for key, n, odd in rows if key is None)
    return Survey(records, keys, sound=not odd)


def _judge_columns(survey: Survey, contract: Contract, uri: str) -> None:
    if not survey.records:
        return
    absent = [c for c in contract.columns if c.required and c.name not in survey.keys]
    if contract.drift is Drift.PERMISSIVE:
        absent = [c for c in absent if not c.nullable and c.default is None]
    if absent:
        names = ", ".join(c.name for c in absent)
        raise RejectedFile("MissingColumns", f"no record has {names}", uri)
    extra = extra_columns(survey, contract)
    if extra and contract.drift in (Drift.STRICT, Drift.REORDER):
        raise RejectedFile("UnexpectedColumns", f"records have {', '.join(extra)}", uri)


def extra_columns(survey: Survey, contract: Contract) -> dict[str, int]:
    """Columns beyond the contract -> records that have them, the most frequent first."""
    known = {c.name for c in contract.columns}
    extra = sorted((-n, key) for key, n in survey.keys.items() if key not in known)
    return {key: -n for n, key in extra[:_EXTRA_COLUMNS]}


def _select(prepared: Prepared, broken: str | None, options: Options, contract: Contract, uri: str) -> str:
    types = ", ".join(f"{text(c.name)}: {text(read_type(c.type, DUCKDB))}" for c in contract.columns)
    names = ", ".join(quote(c.name) for c in contract.columns)
    reader = _reader("read_json", prepared, options, f", columns={{{types}}}")
    numbered = f"SELECT {names}, row_number() OVER () AS source_row, {text(uri)} AS source_uri FROM {reader}"
    if broken is None:
        return f"SELECT *, NULL::VARCHAR AS __reason, NULL::VARCHAR AS __record FROM ({numbered})"
    return (
        f"SELECT n.*, b.reason AS __reason, b.record AS __record FROM ({numbered}) AS n "
        f"LEFT JOIN {quote(broken)} AS b USING (source_row)"
    )


# --- the exact way ----------------------------------------------------------------------------


def _any_line(connection: Any, prepared: Prepared, options: Options) -> bool:
    """Whether any line by itself is a JSON object; reads until the first."""
    with Path(prepared.path).open("rb") as file:
        for batch in _batches(json.lines(file, options.max_record_bytes)):
            texts = [_decoded(line) for line in batch]
            found = connection.execute(
                "SELECT bool_or(CASE WHEN json_valid(l) THEN json_type(l) = 'OBJECT' ELSE FALSE END) "
                "FROM (SELECT unnest($1::VARCHAR[]) AS l)",
                [[t for t in texts if t is not None]],
            ).fetchone()
            if found and found[0]:
                return True
    return False


def _repaired(
    connection: Any,
    prepared: Prepared,
    options: Options,
    contract: Contract,
    *,
    work: Path,
    uri: str,
    shapes: bool,
) -> tuple[Prepared, str]:
    """Copy the records to lines, `{}` for each broken one; returns the copy and the table of those."""
    number = len(list(work.iterdir()))
    if prepared.layout is not Layout.LINES:
        prepared = _as_lines(connection, prepared, options, work / f"{number}-lines.json")
    target, table = work / f"{number}-exact.json", f"broken_{number}"
    connection.execute(
        f"CREATE TEMP TABLE {quote(table)} (source_row BIGINT, reason VARCHAR, record VARCHAR)"
    )
    records = broken = 0
    with Path(prepared.path).open("rb") as given, target.open("wb") as copy:
        for batch in _batches(json.lines(given, options.max_record_bytes)):
            reasons = _reasons(connection, batch, contract, options, shapes=shapes)
            for line in batch:
                copy.write(b"{}\n" if line.record in reasons else line.data + b"\n")
            records, broken = records + len(batch), broken + len(reasons)
            if reasons:
                kept = {line.record: line for line in batch if line.record in reasons}
                connection.execute(
                    f"INSERT INTO {quote(table)} SELECT unnest($1::BIGINT[]), unnest($2::VARCHAR[]), "
                    "unnest($3::VARCHAR[])",
                    [list(reasons), list(reasons.values()), [_kept(kept[r].data) for r in reasons]],
                )
    if records and records == broken:
        first = connection.execute(
            f"SELECT reason FROM {quote(table)} ORDER BY source_row LIMIT 1"
        ).fetchone()
        raise RejectedFile("MalformedJson", f"no record can be read; the first: {first[0]}", uri)
    return Prepared(str(target), Layout.LINES), table


def _as_lines(connection: Any, prepared: Prepared, options: Options, target: Path) -> Prepared:
    connection.execute(
        f"COPY (SELECT json(json)::VARCHAR FROM {_reader('read_json_objects', prepared, options)}) "
        f"TO {text(str(target))} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
    )
    return Prepared(str(target), Layout.LINES)


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line.data) + 100
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _decoded(line: Line) -> str | None:
    try:
        return None if line.too_long else line.data.decode()
    except UnicodeDecodeError:
        return None


def _kept(data: bytes) -> str:
    return data[: json.KEPT_BYTES].decode(errors="backslashreplace")


def _reasons(
    connection: Any, batch: list[Line], contract: Contract, options: Options, *, shapes: bool
) -> dict[int, str]:
    """Record -> reason, for the broken records of a batch, in their order.

    Judging shapes costs several times as much as judging syntax, so it is left out until the reader
    has found fault with a shape.
    """
    misfits = _misfits(contract) if shapes else "FALSE"
    texts = [_decoded(line) for line in batch]
    judged = connection.execute(
        "SELECT i FROM (SELECT unnest($1::VARCHAR[]) AS l, generate_subscripts($1::VARCHAR[], 1) AS i) "
        f"WHERE l IS NULL OR NOT json_valid(l) OR NOT starts_with(l, '{{') OR CASE WHEN json_valid(l) THEN {misfits} END",
        [texts],
    ).fetchall()
    suspects = {i - 1 for (i,) in judged}
    found = {}
    for index, line in enumerate(batch):
        if line.too_long:
            reason: str | None = f"record: longer than {options.max_record_bytes} bytes"
        elif index in suspects:
            reason = json.explain(line.data, contract, options) or "record: not valid JSON"
        elif (depth := json.too_deep(line.data, options.max_depth)) is not None:
            reason = f"record: nested {depth} levels deep, and max_depth is {options.max_depth}"
        else:
            continue
        found[line.record] = f"{reason} (line {line.number})"
    return found


def _misfits(contract: Contract) -> str:
    """SQL: whether the valid JSON text `l` cannot be held by the contract's structs and lists."""
    row = DataType("struct", fields=tuple(Field(c.name, c.type) for c in contract.columns))
    return "(json_type(l) <> 'OBJECT' OR " + " OR ".join(_structure(row, "$", many=False)) + ")"


def _structure(kind: DataType, path: str, *, many: bool) -> Iterator[str]:
    """Predicates for one node; `many` when `path` holds a wildcard, so that functions give lists."""
    wanted = "OBJECT" if kind.name == "struct" else "ARRAY"
    at = f"l, {text(path)}"
    if many:
        yield f"len(list_filter(json_type({at}), lambda t: t NOT IN ('{wanted}', 'NULL'))) > 0"
    elif path != "$":
        yield f"COALESCE(json_type({at}) NOT IN ('{wanted}', 'NULL'), FALSE)"
    if kind.item is not None and (kind.item.name == "struct" or kind.item.item is not None):
        yield from _structure(kind.item, f"{path}[*]", many=True)
    if kind.name != "struct":
        return
    names = ", ".join(text(f.name) for f in kind.fields)
    known = f"list_filter(keys, lambda k: k IN ({names}))"
    repeated = f"len({known}) <> len(list_distinct({known}))"
    if many:
        yield f"len(list_filter(json_keys({at}), lambda keys: {repeated})) > 0"
    else:
        yield f"COALESCE({repeated.replace('keys', f'json_keys({at})')}, FALSE)"
    for member in kind.fields:
        if member.type.name == "struct" or member.type.item is not None:
            yield from _structure(member.type, f"{path}.{_key(member.name)}", many=many)


def _key(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
