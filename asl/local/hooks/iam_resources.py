"""Gap: IAM takes a crawler's ARN from a field that the Glue API does not have, and no machine has tags.

Without this, `glue:StartCrawler` allowed on the crawler's exact ARN is denied, and so is
`states:StartExecution` allowed by `aws:ResourceTag`.
https://docs.aws.amazon.com/step-functions/latest/dg/tag-based-policies.html
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions
from ministack.services import stepfunctions, tagging

from asl.local.patching import Function, existing, replace
from asl.local.settings import Settings

HOOK = "iam_resources"
PARAMETERS = ("service", "method", "path", "headers", "body", "query_params", "region", "account_id")


def install(settings: Settings) -> None:
    """Read the crawler's name from `Name`, as StartCrawler and GetCrawler send it; find machines' tags."""
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

    def make_tags(original: Function) -> Function:
        def resource_tags(arn: str) -> dict[str, str] | None:
            if ":stateMachine:" in arn:
                return {tag["key"]: tag["value"] for tag in stepfunctions._tags.get(arn) or ()}  # noqa: SLF001 - what a hook is for
            tags: dict[str, str] | None = original(arn)
            return tags

        return resource_tags

    replace(HOOK, iam_actions, "extract_resource_arn", PARAMETERS, make)
    replace(HOOK, tagging, "resource_tags", ("arn",), make_tags)
