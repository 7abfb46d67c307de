"""What goes wrong while deploying or running: one clear line, as for compile errors."""

from __future__ import annotations

import click


class OperationError(click.ClickException):
    """A deployment, a run or the local AWS that cannot go on.

    Args:
        code: `ASL4xx`; `docs/errors.md` explains each.
        what: What is wrong, one sentence without a full stop at its end.
        hint: How to mend it, one sentence.
    """

    def __init__(self, code: str, what: str, hint: str) -> None:
        super().__init__(f"{code} {what}. {hint}")
        self.code = code
        self.what = what
        self.hint = hint
