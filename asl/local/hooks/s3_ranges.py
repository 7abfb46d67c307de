"""Gap: a range of an object's named version is answered with the whole version.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import s3

from asl.local.patching import Function, existing, replace
from asl.local.settings import Settings

HOOK = "s3_ranges"
OK, PARTIAL, UNSATISFIABLE = 200, 206, 416


def install(settings: Settings) -> None:
    """Cut the range out of the version."""
    del settings
    parse = existing(HOOK, s3, "_parse_range", ("range_header", "total"))
    refuse = existing(HOOK, s3, "_error", ("code", "message", "status", "resource", "extra", "headers"))

    def make(original: Function) -> Function:
        def get_object(bucket_name: str, key: str, headers: Any, query_params: Any = None) -> Any:
            asked = headers.get("range", "")
            if not asked or not (query_params or {}).get("versionId"):
                return original(bucket_name, key, headers, query_params)
            # The checksum of the whole is none of a part's.
            plain = {name: value for name, value in headers.items() if name != "x-amz-checksum-mode"}
            status, answered, body = original(bucket_name, key, plain, query_params)
            if status != OK:  # an error, or cut already
                return status, answered, body
            found = parse(asked, len(body))
            if found is None:
                said = "The requested range is not satisfiable"
                return refuse("InvalidRange", said, UNSATISFIABLE, f"/{bucket_name}/{key}")
            start, end = found
            piece = body[start : end + 1]
            told = {"Content-Length": str(len(piece)), "Content-Range": f"bytes {start}-{end}/{len(body)}"}
            return PARTIAL, {**answered, **told}, piece

        return get_object

    replace(HOOK, s3, "_get_object", ("bucket_name", "key", "headers", "query_params"), make)
