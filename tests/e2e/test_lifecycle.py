"""Processes that die, drain and start alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tiermesh_cli.home import Home
from tiermesh_cli.keys import ensure_keys, write_secret, write_service_token
from tiermesh_cli.stack import build_stack, free_ports

PROJECT = Path(__file__).parents[2]
FULL_NAMES = {
    "gateway": {"tiermesh.gateway.v1.GatewayService"},
    "classifier": {"tiermesh.classifier.v1.ClassifierService"},
    "aggregator": {"tiermesh.aggregator.v1.AggregatorService", "tiermesh.tools.v1.ToolsService"},
    "suggester": {"tiermesh.suggester.v1.SuggesterService"},
    "insights": {"tiermesh.insights.v1.InsightsService"},
    "executor-tier1": {"tiermesh.executor.v1.ExecutorService"},
}


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Poll another process's state: there is no event to wait for across processes."""
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.05)
    return found


def health_of(address: str) -> int | None:
    with grpc.insecure_channel(address) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
        except grpc.RpcError:
            return None
        return int(reply.status)


def test_kill_9_of_the_suggester_leaves_answers_whole(own_suite: Any) -> None:
    os.kill(own_suite.pids["suggester"], signal.SIGKILL)
    events = own_suite.ask("Who applied for the most leave this year?")
    kinds = [event["event"] for event in events]
    assert "table" in kinds
    assert kinds[-1] == "receipt"
    assert next(event for event in events if event["event"] == "answer_done")["complete"]


def test_a_killed_service_is_reported_and_comes_back(own_suite: Any) -> None:
    address = own_suite.addresses["classifier"]
    os.kill(own_suite.pids["classifier"], signal.SIGKILL)
    until(lambda: health_of(address) is None, "the classifier's death", 5)
    until(lambda: health_of(address) == health_pb2.HealthCheckResponse.SERVING, "the classifier's return")
    own_suite.process.send_signal(signal.SIGTERM)
    said = own_suite.process.communicate(timeout=40)[0]
    assert "classifier was killed by SIGKILL" in said


def test_without_the_classifier_the_failure_policy_answers(own_suite: Any) -> None:
    os.kill(own_suite.pids["classifier"], signal.SIGSTOP)
    try:
        events = own_suite.ask("How many leave days do I have left?")
    finally:
        os.kill(own_suite.pids["classifier"], signal.SIGCONT)
    assert events[0]["route"] == "tier2"
    assert any("fail" in reason["rule"] or "down" in reason["rule"] for reason in events[0]["reasons"])
    assert next(event for event in events if event["event"] == "answer_done")["complete"]


def test_a_failed_executor_tier_1_costs_no_answer(own_suite: Any) -> None:
    os.kill(own_suite.pids["executor-tier1"], signal.SIGSTOP)
    try:
        events = own_suite.ask("How many leave days do I have left?", "--timeout", "90")
    finally:
        os.kill(own_suite.pids["executor-tier1"], signal.SIGCONT)
    assert next(event for event in events if event["event"] == "answer_done")["complete"]
    assert events[-1]["tier"] == "2"


@pytest.mark.parametrize("name", sorted(FULL_NAMES))
def test_each_service_starts_alone_answers_health_and_reflection_and_drains_on_sigterm(
    name: str, seeded: Path, tmp_path: Path
) -> None:
    process, address = start_alone(name, seeded, tmp_path)
    try:
        until(
            lambda: process.poll() is not None or health_of(address) == health_pb2.HealthCheckResponse.SERVING,
            "serving",
        )
        assert process.poll() is None, process.communicate()[0]
        assert reflected(address) >= FULL_NAMES[name]
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[0]
    finally:
        process.kill()
    assert process.returncode == 0
    events = [json.loads(line).get("event") for line in said.splitlines() if line.startswith("{")]
    assert events.index("serving") < events.index("draining") < events.index("stopped")


@pytest.mark.parametrize("name", sorted(FULL_NAMES))
def test_a_busy_port_is_a_clear_start_up_error(name: str, seeded: Path, tmp_path: Path) -> None:
    process, address = start_alone(name, seeded, tmp_path)
    try:
        until(
            lambda: process.poll() is not None or health_of(address) == health_pb2.HealthCheckResponse.SERVING,
            "serving",
        )
        port = address.rpartition(":")[2]
        second, _ = start_alone(name, seeded, tmp_path, port=int(port))
        said = second.communicate(timeout=30)[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert second.returncode == 2
    assert "PORT" in said
    assert "in use" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", sorted(FULL_NAMES))
def test_broken_settings_are_all_told_at_once_with_their_variables(name: str, seeded: Path, tmp_path: Path) -> None:
    prefix = f"TIERMESH_{name.partition('-')[0].upper()}_"
    broken = {f"{prefix}WORKERS": "many", f"{prefix}LOG_LEVEL": "LOUD", f"{prefix}DRIAN_SECONDS": "3"}
    process, _ = start_alone(name, seeded, tmp_path, **broken)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 2
    for variable in broken:
        assert variable in said
    assert f"{prefix}DRAIN_SECONDS" in said, "the misspelt name is not mended"
    assert "Traceback" not in said


@pytest.mark.parametrize("name", sorted(FULL_NAMES))
def test_a_missing_key_is_named_at_start(name: str, seeded: Path, tmp_path: Path) -> None:
    service = name.partition("-")[0].upper()
    variable = f"TIERMESH_{service}_PRINCIPAL_{'KEY' if service == 'GATEWAY' else 'PUBLIC_KEY'}"
    process, _ = start_alone(name, seeded, tmp_path, **{variable: str(tmp_path / "nowhere.pem")})
    said = process.communicate(timeout=90)[0]
    assert process.returncode == 2
    assert variable in said
    assert "nowhere.pem" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["classifier", "aggregator", "suggester", "gateway"])
def test_a_missing_pack_file_is_named_at_start(name: str, seeded: Path, tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    shutil.copytree(PROJECT / "packs" / "hr", packs / "hr")
    (packs / "hr" / "vocabulary" / "intents.yaml").unlink()
    # The gateway serves many tenants: it has the folder of all packs.
    variable, folder = ("PACKS", packs) if name == "gateway" else ("PACK", packs / "hr")
    process, _ = start_alone(name, seeded, tmp_path, **{f"TIERMESH_{name.upper()}_{variable}": str(folder)})
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 2
    assert "vocabulary/intents.yaml" in said
    assert "Traceback" not in said


def start_alone(
    name: str, seeded: Path, state: Path, port: int = 0, **changes: str
) -> tuple[subprocess.Popen[str], str]:
    """Start one service as the suite would, with none of the others there; `changes` are settings."""
    home = Home(PROJECT, state)
    home.prepare()
    ensure_keys(home.keys)
    write_service_token(home.keys, "executor")
    write_secret(home.keys / "simulator.key", b"none")
    if not (home.data / "hr.duckdb").exists():
        (home.data / "hr.duckdb").write_bytes(seeded.read_bytes())
    ports = free_ports()
    if port:
        ports[name] = port
    stack = build_stack(home, ports, model_key_file=str(home.keys / "simulator.key"), model_url="http://127.0.0.1:9")
    process = next(process for process in stack if process.name == name)
    started = subprocess.Popen(
        [sys.executable, "-m", process.module],
        env={**os.environ, **process.environment, **changes},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return started, process.address


def reflected(address: str) -> set[str]:
    with grpc.insecure_channel(address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        reply = next(stub.ServerReflectionInfo(iter([request]), timeout=5))
        return {service.name for service in reply.list_services_response.service}
