"""The local AWS as a process: found again, told apart from strangers, gone without a trace."""

from __future__ import annotations

import dataclasses
import json
import os
import urllib.request
from pathlib import Path

import pytest

from asl.deploy.errors import OperationError
from asl.local import server

pytestmark = pytest.mark.local_aws


def test_up_is_found_again_and_down_leaves_nothing(tmp_path):
    state = tmp_path / "state"
    local = server.up(state)
    try:
        assert server.up(state) == local == server.find(state)
        with pytest.raises(OperationError, match=r"ASL402"):
            server.up(state, port=local.port + 1)
        with urllib.request.urlopen(f"{local.endpoint}/_ministack/health") as answer:
            assert json.load(answer)["auth"] == "enabled"
    finally:
        assert server.down(state)
    assert not state.exists()
    assert server.find(state) is None
    assert not server.down(state)


def test_it_listens_on_this_machine_only(local_aws):
    port = f"{local_aws.port:04X}"
    with Path("/proc/net/tcp").open() as table:
        listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    assert [address for address in listening if address.endswith(f":{port}")] == [f"0100007F:{port}"]


def test_a_reused_pid_is_not_taken_for_the_server(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    stranger = server.LocalAws(os.getpid(), "1", 1, "token", str(state), str(state / "log"))
    (state / "state.json").write_text(json.dumps(dataclasses.asdict(stranger)))
    assert server.find(state) is None
    assert not server.down(state)  # this very process is the stranger: it would not get here


def test_another_server_on_its_port_is_not_taken_for_it(local_aws):
    assert server.find(Path(local_aws.state)) == local_aws
    assert not server._healthy(dataclasses.replace(local_aws, token="another"))


def test_a_start_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_launch", lambda: "raise SystemExit('the reason')")
    with pytest.raises(OperationError, match=r"ASL401 .*the reason"):
        server.up(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_without_a_server_the_way_to_start_one_is_said(tmp_path):
    with pytest.raises(OperationError, match=r"ASL403 .*asl local up"):
        server.require(tmp_path / "state")
