"""JSONata, as text: quoting, delimiters, variables. In: names and parts. Out: expressions.

An expression that yields nothing fails its state on AWS (States.QueryEvaluationError), so optional
fields only ever stand inside an object constructor, which leaves them out. `[…]` around a path keeps
a list of one element a list. Functions: https://docs.jsonata.org/overview and
https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
"""

from __future__ import annotations

import re

from asl.ir import Ref, Text
from asl.names import digest

#: The event of a file: EventBridge "Object Created". Its key is not URL-encoded.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
EVENT = "$states.context.Execution.Input"
EXECUTION = "$states.context.Execution.Name"
NOW = "$states.context.State.EnteredTime"

#: Variables that a machine has from its second state on: those of a file, or that of a batch.
FILE = "$file"
FILE_ID = "$file_id"
VERSION = "$version"
#: Of a batch: bucket, date, number, manifest, files, bytes.
BATCH = "$batch"
FAILURE = "$failure"


def expression(text: str) -> str:
    """Delimit one expression."""
    return f"{{% {text} %}}"


def text_of(*parts: str | Ref) -> Text:
    """Delimit one expression that names resources between its parts."""
    return Text(("{% ", *parts, " %}"))


def quoted(text: str) -> str:
    """Return a JSONata string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def variable(asset: str) -> str:
    """Return the variable of an asset's run, `$order_lines_run`.

    The suffix keeps it apart from JSONata's functions (an asset may be called `count`), from this
    module's variables and from `$states`.
    """
    name = asset
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,59}", asset):
        name = re.sub(r"\W", "_", f"a_{asset}", flags=re.ASCII)[:50] + "_" + digest(asset)
    return f"${name}_run"
