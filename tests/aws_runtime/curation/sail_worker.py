"""A Glue job's driver with Sail in Spark's place: one JSON document a line in, one out.

In: `{"plan", "event"}`. Out: `{"version"}` or `{"error", "message"}`. Runs in an environment of its own
(sail.txt); Spark's Delta is a library for Java that Sail stands for here.
"""

from __future__ import annotations

import json
import sys

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

from aws_runtime.glue.load_delta import load
from aws_runtime.plan import AssetPlan

server = SparkConnectServer()
server.start()
_, port = server.listening_address
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
sys.stdout.write("ready\n")
sys.stdout.flush()
for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"version": load(spark, AssetPlan.from_json(asked["plan"]), asked["event"]).version}
    except Exception as error:  # noqa: BLE001 - told to the test
        answer = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
