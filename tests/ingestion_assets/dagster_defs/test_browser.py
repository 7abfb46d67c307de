"""What a person sees: `dagster dev` shows the source, the asset and what happened to it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from conftest import land, order

from ingestion_assets.dagster_defs import materialize_pipeline
from ingestion_assets.pipelines.orders_etl.pipeline import pipeline
from ingestion_assets.pipelines.parquet_ingestion.pipeline import pipeline as curated
from ingestion_assets.pipelines.parquet_ingestion.sample_data import write_deliveries

ROOT = Path(__file__).parents[3]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,900",
    "--virtual-time-budget=20000",
]


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[str]:
    """`dagster dev` on a free port of 127.0.0.1, after one materialization; ended with its children."""
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    land(data, "2025-01-17/a.json", [order(1), order(2)])
    with dg.DagsterInstance.from_config(str(home)) as instance:
        materialize_pipeline(pipeline, data, instance=instance)
        write_deliveries(data / "my-landing-zone/orders", files=8)
        materialize_pipeline(curated, data, config={"processor_type": "glue_sql"}, instance=instance)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [Path(sys.executable).with_name("dagster"), "dev", "-h", "127.0.0.1", "-p", str(port)],
        cwd=ROOT,
        env={**os.environ, "DAGSTER_HOME": str(home), "INGESTION_DATA": str(data)},
        stdout=(tmp_path / "log").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/server_info", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.2)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def page(url: str, profile: Path) -> str:
    """Return the text of a page after its scripts ran."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

    done = subprocess.run(
        [path, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", " ", done.stdout, flags=re.DOTALL))


@pytest.mark.browser
def test_the_graph_and_the_asset_show_what_happened(ui: str, tmp_path: Path) -> None:
    graph = page(f"{ui}/locations/ingestion_assets/asset-groups/orders_etl/lineage", tmp_path / "profile")
    assert re.search(r"order_lines\s+Latest event", graph)
    assert re.search(r"orders\s+Latest event", graph)
    assert re.search(r"23 / 23\s+Passed", graph)
    asset = page(f"{ui}/assets/orders_etl/order_lines", tmp_path / "profile")
    assert "customer_name" in asset
    assert "orders_etl.order_lines" in asset
    asset = page(f"{ui}/assets/parquet_ingestion/orders", tmp_path / "profile")
    for shown in (
        "files_rejected",
        "null_shares",
        "dt=2024-07-02/region=eu",
        "landed_orders",
        "Day of the order",
    ):
        assert shown in asset
    found = page(f"{ui}/assets/parquet_ingestion/orders?view=checks", tmp_path / "profile")
    assert re.search(r"dq_rules__min_rows\s+Succeeded", found)
    assert re.search(r"files_readable\s+Failed", found)
