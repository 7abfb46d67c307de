"""List prices: US dollars, us-east-1, without free tiers, discounts and tax.

In: nothing. Out: `PRICES`, one `Price` a thing that AWS bills, with the page that states it, and the same
as plain numbers for one unit. `asl cost` and the estimate of `asl export` multiply these and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

REGION: Final = "us-east-1"
AS_OF: Final = "2025-11"


@dataclass(frozen=True, slots=True)
class Price:
    """What AWS bills for one thing.

    Args:
        service: As the bill names it.
        unit: What is counted.
        dollars: For `per` units, as AWS's page states it.
        per: How many units `dollars` buys.
        page: Where AWS states it.
        note: What the number leaves out.
    """

    service: str
    unit: str
    dollars: float
    per: int
    page: str
    note: str = ""

    @property
    def each(self) -> float:
        """Dollars for one unit."""
        return self.dollars / self.per


MILLION: Final = 1_000_000
_SQS = "https://aws.amazon.com/sqs/pricing/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_GLUE = "https://aws.amazon.com/glue/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_S3 = "https://aws.amazon.com/s3/pricing/"
_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"

PRICES: Final[Mapping[str, Price]] = MappingProxyType(
    {
        "transition": Price(
            "Step Functions",
            "state transitions",
            25.00,
            MILLION,
            "https://aws.amazon.com/step-functions/pricing/",
            "Standard workflows; each retry is one more",
        ),
        "lambda_gb_second": Price("Lambda", "GB-seconds", 0.0000133334, 1, _LAMBDA, "arm64, first tier"),
        "lambda_request": Price("Lambda", "requests", 0.20, MILLION, _LAMBDA),
        "glue_dpu_hour": Price(
            "Glue", "DPU-hours", 0.44, 1, _GLUE, "Spark, by the second, at least one minute; start-up is free"
        ),
        "catalog_request": Price("Glue", "catalog requests", 1.00, MILLION, _GLUE, "above the free million"),
        "event": Price(
            "EventBridge",
            "events",
            1.00,
            MILLION,
            "https://aws.amazon.com/eventbridge/pricing/",
            "S3's events are opt-in events and cost as much as custom ones",
        ),
        "queue_request": Price("SQS", "requests", 0.40, MILLION, _SQS, "standard queues, up to 64 KB each"),
        "dynamodb_write": Price(
            "DynamoDB", "write units", 0.625, MILLION, _DYNAMODB, "on demand, each up to 1 KB"
        ),
        "dynamodb_read": Price(
            "DynamoDB", "read units", 0.125, MILLION, _DYNAMODB, "on demand, each up to 4 KB, consistent"
        ),
        "s3_write": Price("S3", "PUT, COPY and LIST requests", 0.005, 1_000, _S3, "Standard"),
        "s3_read": Price("S3", "GET and HEAD requests", 0.0004, 1_000, _S3, "Standard"),
        "log_gb": Price("CloudWatch", "GB of logs", 0.50, 1, _CLOUDWATCH, "ingested, first tier"),
        "alarm": Price("CloudWatch", "alarms", 0.10, 1, _CLOUDWATCH, "a month, standard resolution"),
        "metric": Price("CloudWatch", "metrics of our own", 0.30, 1, _CLOUDWATCH, "a month, first tier"),
        "dashboard": Price("CloudWatch", "dashboards", 3.00, 1, _CLOUDWATCH, "a month, above the free three"),
    }
)

#: Glue bills a Spark job at least this long; a G.1X worker is one DPU.
GLUE_MINIMUM_SECONDS: Final = 60

# The same for one unit each, for arithmetic that needs no table.
TRANSITION: Final = PRICES["transition"].each
LAMBDA_GB_SECOND: Final = PRICES["lambda_gb_second"].each
LAMBDA_REQUEST: Final = PRICES["lambda_request"].each
GLUE_DPU_HOUR: Final = PRICES["glue_dpu_hour"].each
#: A crawler is billed for at least ten minutes; not every file starts one, as one that runs is left alone.
CRAWLER_START: Final = GLUE_DPU_HOUR * 10 / 60
CATALOG_REQUEST: Final = PRICES["catalog_request"].each
EVENT: Final = PRICES["event"].each
DYNAMODB_WRITE: Final = PRICES["dynamodb_write"].each
S3_WRITE: Final = PRICES["s3_write"].each
S3_READ: Final = PRICES["s3_read"].each
