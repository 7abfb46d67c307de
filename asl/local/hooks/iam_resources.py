"""Gap: a crawler's ARN is looked for under a field that the Glue API does not have.

Without this, `glue:StartCrawler` allowed on the crawler's exact ARN is denied.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions

from asl.local.patching import Function, existing, replace
from asl.local.settings import Settings

HOOK = "iam_resources"
PARAMETERS = ("service", "method", "path", "headers", "body", "query_params", "region", "account_id")


def install(settings: Settings) -> None:
    """Read the crawler's name from `Name`, as StartCrawler and GetCrawler send it."""
    del settings
    field = existing(HOOK, iam_actions, "_safe_json_field", ("body", "field"))

    def make(original: Function) -> Function:
        def extract_resource_arn(*given: Any) -> str:
            service, _, _, headers, body, _, region, account_id = given
            target = next((value for key, value in headers.items() if key.lower() == "x-amz-target"), "")
            if service == "glue" and str(target).rpartition(".")[2].endswith("Crawler"):
                name = field(body, "Name")
                if name:
                    return f"arn:aws:glue:{region}:{account_id}:crawler/{name}"
            arn: str = original(*given)
            return arn

        return extract_resource_arn

    replace(HOOK, iam_actions, "extract_resource_arn", PARAMETERS, make)
