"""Gap: `States.ALL` catches what it does not catch on AWS, and MaxDelaySeconds is ignored.

States.ALL and States.TaskFailed match neither States.DataLimitExceeded nor States.Runtime.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import stepfunctions

from asl.local.patching import Function, replace
from asl.local.settings import Settings

HOOK = "error_matching"
NEVER_CAUGHT = frozenset({"States.DataLimitExceeded", "States.Runtime"})


def install(settings: Settings) -> None:
    """Match as AWS does; hold a retrier's interval below its MaxDelaySeconds."""
    del settings

    def make_match(original: Function) -> Function:
        def error_matches(error_equals: list[str], error: str) -> bool:
            if error in NEVER_CAUGHT:
                return error in error_equals
            matched: bool = original(error_equals, error)
            return matched

        return error_matches

    def make_retrier(original: Function) -> Function:
        def find_matching_retrier(retriers: Any, error: str, retry_counts: dict[int, int]) -> Any:
            retrier, index = original(retriers, error, retry_counts)
            if retrier and "MaxDelaySeconds" in retrier:
                wait = retrier.get("IntervalSeconds", 1) * retrier.get(
                    "BackoffRate", 2.0
                ) ** retry_counts.get(index, 0)
                if wait > retrier["MaxDelaySeconds"]:
                    retrier = {**retrier, "IntervalSeconds": retrier["MaxDelaySeconds"], "BackoffRate": 1.0}
            return retrier, index

        return find_matching_retrier

    replace(HOOK, stepfunctions, "_error_matches", ("error_equals", "error"), make_match)
    replace(
        HOOK, stepfunctions, "_find_matching_retrier", ("retriers", "error", "retry_counts"), make_retrier
    )
