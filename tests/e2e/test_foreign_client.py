"""A client that another toolchain made from the protos speaks to the gateway."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tiermesh_cli.keys import sign_in_token

PROJECT = Path(__file__).parents[2]
FOREIGN = PROJECT / "tests" / "foreign"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (FOREIGN / "node_modules").is_dir(),
    reason="Node.js or the client's packages are missing: run `make node` where npm is installed",
)


def ask_from_node(suite: Any, token: str, question: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        ["node", "ask.js", str(PROJECT / "protos"), suite.gateway, token, question],
        cwd=FOREIGN,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@needs_node
def test_a_client_generated_by_another_toolchain_reads_the_whole_stream(suite: Any) -> None:
    token = sign_in_token(suite.state / "keys", tenant="acme", subject="E00001", roles=["manager"])
    code, events = ask_from_node(suite, token, "Who applied for the most leave this year?")
    assert code == 0
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[0] == {"sequence": 1, "event": "decision", "route": "ROUTE_AGGREGATE"}
    assert {"table", "text", "answer_done"} <= {event["event"] for event in events}
    assert events[-1]["event"] == "receipt"


@needs_node
def test_it_reads_code_and_details_of_a_refusal(suite: Any) -> None:
    code, events = ask_from_node(suite, "no-token", "Who applied for the most leave this year?")
    assert code == 1
    assert events == [{"error": 16, "details": 1}]
