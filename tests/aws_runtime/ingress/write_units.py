"""DynamoDB write units counted from the items themselves, as AWS bills them, and calls by name.

In: clients, watched while the functions and the machine call them. Out: a `Bill`.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html and
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

from moto.backends import get_backend

KEYS = {"batches": ("date", "batch"), "tracking": ("file_id",), "status": ("file_id", "version")}
INDEX = ("live", "live_since")


@dataclass
class Bill:
    """What was used.

    Args:
        units: Write units by `table operation`, index writes apart.
        calls: Calls by name, of functions and machine.
    """

    units: Counter = field(default_factory=Counter)
    calls: Counter = field(default_factory=Counter)


def size_of(value):
    """Return the bytes of an attribute's value."""
    ((kind, given),) = value.items()
    match kind:
        case "S":
            return len(given.encode())
        case "N":
            return (len(given.lstrip("-").replace(".", "")) + 1) // 2 + 1
        case "M":
            return 3 + sum(1 + len(name.encode()) + size_of(item) for name, item in given.items())
        case "L":
            return 3 + sum(1 + size_of(item) for item in given)
        case _:
            return 1


def item_size(item):
    return sum(len(name.encode()) + size_of(value) for name, value in item.items())


def item_units(old, new):
    """Return the units of a write, which the larger of the two items decides."""
    return -(-max(item_size(old or {}), item_size(new or {}), 1) // 1024)


def index_units(old, new):
    """Return the units of a keys-only index: an entry comes, goes, or changes its key (both)."""
    before, after = (
        [item[name] for name in INDEX] if item and "live" in item else None for item in (old, new)
    )
    return 0 if before == after else (before is not None) + (after is not None)


def _stored(table, key):
    """Return moto's item of a key, or None."""
    wanted = [key[name] for name in KEYS[table]]
    for item in get_backend("dynamodb")["123456789012"]["eu-west-1"].tables[table].all_items():
        given = item.to_json()["Attributes"]
        if [given[name] for name in KEYS[table]] == wanted:
            return given
    return None


def _written(name, params):
    """Yield the table and the key of every item that a call writes."""
    if name == "BatchWriteItem":
        for table, requests in params["RequestItems"].items():
            for request in requests:
                yield table, request["PutRequest"]["Item"]
    elif name in ("PutItem", "UpdateItem"):
        yield params["TableName"], params.get("Item") or params["Key"]


@contextmanager
def billed(dynamodb, *others):
    """Count everything that these clients are asked for."""
    bill, before = Bill(), {}

    def asked(params, model, context, **_):
        bill.calls[model.name] += 1
        context["written"] = list(_written(model.name, params))
        before[id(context)] = [_stored(*each) for each in context["written"]]

    def answered(model, context, **_):
        for (table, key), old in zip(context["written"], before.pop(id(context)), strict=True):
            new = _stored(table, key)
            # A condition that fails is billed by the item that it found.
            bill.units[f"{table} {model.name}"] += item_units(old, new)
            if index := index_units(old, new):
                bill.units[f"{table} index"] += index

    def counted(model, **_):
        bill.calls[model.name] += 1

    events = [
        (dynamodb, "provide-client-params.dynamodb", asked),
        (dynamodb, "after-call.dynamodb", answered),
    ]
    for client in others:
        service = client.meta.service_model.service_id.hyphenize()
        events.append((client, f"provide-client-params.{service}", counted))
    for client, name, hook in events:
        client.meta.events.register(name, hook)
    try:
        yield bill
    finally:
        for client, name, hook in events:
            client.meta.events.unregister(name, hook)
