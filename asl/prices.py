"""List prices that the budget multiplies: US dollars, us-east-1, without free tiers or discounts.

Read from AWS's price pages; they change seldom, and only `asl export`'s estimate depends on them.
"""

from __future__ import annotations

from typing import Final

REGION: Final = "us-east-1"
AS_OF: Final = "2025-11"

#: https://aws.amazon.com/step-functions/pricing/ - Standard workflows, each state transition.
TRANSITION: Final = 25.00 / 1_000_000
#: https://aws.amazon.com/lambda/pricing/ - arm64, first tier, and each request.
LAMBDA_GB_SECOND: Final = 0.0000133334
LAMBDA_REQUEST: Final = 0.20 / 1_000_000
#: https://aws.amazon.com/glue/pricing/ - Spark jobs, billed for at least one minute; G.1X is one DPU.
GLUE_DPU_HOUR: Final = 0.44
GLUE_MINIMUM_SECONDS: Final = 60
#: A crawler is billed for at least ten minutes; not every file starts one, as one that runs is left alone.
CRAWLER_START: Final = GLUE_DPU_HOUR * 10 / 60
#: Data Catalog requests above the free million.
CATALOG_REQUEST: Final = 1.00 / 1_000_000
#: https://aws.amazon.com/eventbridge/pricing/ - S3's events are opt-in events, ours custom ones.
EVENT: Final = 1.00 / 1_000_000
#: https://aws.amazon.com/dynamodb/pricing/on-demand/ - a write of up to 1 KB.
DYNAMODB_WRITE: Final = 0.625 / 1_000_000
#: https://aws.amazon.com/s3/pricing/ - Standard, without storage.
S3_WRITE: Final = 5.00 / 1_000_000
S3_READ: Final = 0.40 / 1_000_000
