"""Settings, start and end, faults nobody foresaw, and the trace a question begins in."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiermesh_runtime.testing import span_exporter

SERVING = re.compile(r'"address": "([^"]+)"')


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIERMESH_")}
    environment |= {f"TIERMESH_CONSOLE_{name}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "tiermesh_console", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def key(tmp_path: Path) -> str:
    (tmp_path / "console.key").write_bytes(b"k" * 32)
    return str(tmp_path / "console.key")


def test_it_starts_with_nobody_up_and_ends_on_sigterm(tmp_path: Path, key: str) -> None:
    process = run(tmp_path, PORT="0", SESSION_KEY_FILE=key)
    assert process.stderr is not None
    line = next(line for line in process.stderr if "serving" in line)
    assert SERVING.search(line)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_every_wrong_setting_is_named_at_once(tmp_path: Path, key: str) -> None:
    process = run(
        tmp_path,
        "--check-config",
        SESSION_KEY_FILE=str(tmp_path / "absent"),
        GATEWAY_ADDRESS="nowhere",
        TARGET_MIX="tier1=50,tier9=50",
        TRACE_URL="javascript:alert(1)",
        WORKERS="4",
        SESION_HOURS="3",
    )
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    for word in ("SESSION_KEY_FILE", "GATEWAY_ADDRESS", "TARGET_MIX", "TRACE_URL", "WORKERS", "SESION_HOURS"):
        assert f"TIERMESH_CONSOLE_{word}" in said


def test_a_short_key_and_half_a_development_sign_in_are_refused(tmp_path: Path) -> None:
    (tmp_path / "short.key").write_bytes(b"short")
    process = run(tmp_path, SESSION_KEY_FILE=str(tmp_path / "short.key"), DEVELOPMENT_KEY=str(tmp_path / "short.key"))
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert "fewer than 32 bytes" in said


def test_a_people_file_that_is_none_ends_the_start_with_one_line(tmp_path: Path, key: str) -> None:
    process = run(tmp_path, PORT="0", SESSION_KEY_FILE=key, DEVELOPMENT_PEOPLE=key, DEVELOPMENT_KEY=key)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert "TIERMESH_CONSOLE_DEVELOPMENT_PEOPLE" in said
    assert "Traceback" not in said


async def test_a_fault_of_ours_is_one_sentence_and_no_traceback(world: Any, monkeypatch: Any) -> None:
    browser = await world.browser("operator-token")

    def broken(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("tiermesh_console.charts.spend", broken)
    response, text = await browser.get("/cost")
    assert response.status == 500
    assert "secret" not in text
    assert "Traceback" not in text


async def test_an_address_that_is_none_is_a_page_too(world: Any) -> None:
    browser = await world.browser("operator-token")
    response, text = await browser.get("/nowhere")
    assert response.status == 404
    assert "Nothing there" in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_answered_with_its_services_away(world: Any, path: str) -> None:
    await world.stop("gateway")
    await world.stop("insights")
    browser = await world.browser()
    response, text = await browser.get(path)
    assert (response.status, text) == (200, "ok\n")


@pytest.mark.parametrize("path", ["/static/..%2fsettings.py", "/static/../settings.py", "/static/", "/static/vendor"])
async def test_static_files_are_those_of_the_folder_alone(world: Any, path: str) -> None:
    browser = await world.browser()
    response, _ = await browser.get(path)
    assert response.status in (303, 403, 404) or str(response.url).endswith("/sign-in?back=/settings.py")


async def test_a_question_is_traced_from_the_request_to_the_gateway(world: Any) -> None:
    spans = span_exporter()
    browser = await world.browser("employee-token")
    await browser.script("/ask/stream", {"text": "a private question"})
    found = {span.name: span for span in spans.get_finished_spans()}
    page, call = found["POST /ask/stream"], found["tiermesh.gateway.v1.GatewayService/Ask"]
    assert page.context.trace_id == call.context.trace_id
    assert "a private question" not in str([span.attributes for span in spans.get_finished_spans()])
