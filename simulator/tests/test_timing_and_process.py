"""The speed that was set, and the process: its line, its port file, its end, its errors."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from anthropic import AsyncAnthropic
from tiermesh_simulator.settings import SimulatorSettings, Timing
from tiermesh_simulator.testing import administering, running

ASK: dict[str, Any] = {"max_tokens": 300, "messages": [{"role": "user", "content": "What can you do?"}]}


async def test_each_class_of_models_has_its_speed() -> None:
    settings = SimulatorSettings(
        port=0,
        haiku=Timing(first_token_ms=0, chunk_ms=0, chunk_chars=10_000),
        sonnet=Timing(first_token_ms=300, chunk_ms=20, chunk_chars=20),
    )
    async with running(settings) as url, AsyncAnthropic(base_url=url, api_key="k") as sdk:
        found = {}
        for model in ("claude-haiku-4-5", "claude-sonnet-5"):
            started = time.monotonic()
            times = [
                time.monotonic() - started
                async for event in await sdk.messages.create(model=model, stream=True, **ASK)
                if event.type == "content_block_delta"
            ]
            found[model] = times
    assert len(found["claude-haiku-4-5"]) == 1
    slow = found["claude-sonnet-5"]
    assert slow[0] >= 0.3
    assert len(slow) > 8
    # From the question on: a first chunk that is seen late would shorten the time between chunks.
    assert slow[-1] >= 0.3 + 0.02 * (len(slow) - 1)


async def test_the_pace_is_changed_while_it_runs() -> None:
    async with running() as url, AsyncAnthropic(base_url=url, api_key="k") as sdk, administering(url) as admin:
        texts = []
        for chunks in (1, 40, 100_000):
            await admin.pace(chunks=chunks)
            texts.append(
                [
                    event.delta.text
                    async for event in await sdk.messages.create(model="claude-haiku-4-5", stream=True, **ASK)
                    if event.type == "content_block_delta" and event.delta.type == "text_delta"
                ]
            )
        with pytest.raises(aiohttp.ClientResponseError, match="400"):
            await admin.pace(chunks=0)
    assert [len(found) for found in texts] == [1, 40, len(texts[0][0])]
    assert len({"".join(found) for found in texts}) == 1


def test_global_speed_and_scale_win_over_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERMESH_SIMULATOR_FIRST_TOKEN_MS", "80")
    monkeypatch.setenv("TIERMESH_SIMULATOR_OPUS__CHUNK_MS", "40")
    monkeypatch.setenv("TIERMESH_SIMULATOR_TIME_SCALE", "0.5")
    timing = SimulatorSettings().timing("opus")
    assert (timing.first_token_ms, timing.chunk_ms) == (40, 20)


async def _start(*flags: str, **environment: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tiermesh_simulator", *flags, stdout=PIPE, stderr=PIPE, env={**os.environ, **environment}
    )


async def test_it_says_that_it_is_no_model_and_ends_on_sigterm(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    process = await _start("--port", "0", "--port-file", str(port_file))
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
    assert line.startswith("simulator (no model) on http://127.0.0.1:")
    url = line.rpartition(" ")[2]
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as answer:
        assert (await answer.json())["status"] == "ok"
    assert url.endswith(":" + port_file.read_text())
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(process.communicate(), 15)
    assert process.returncode == 0
    assert errors == b""


async def test_sigterm_ends_it_though_an_answer_hangs() -> None:
    process = await _start("--port", "0")
    assert process.stdout is not None
    url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().split()[-1]
    async with AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as sdk:
        stream = await sdk.messages.create(
            model="claude-sonnet-5", stream=True, extra_headers={"x-simulator-fault": "stall"}, **ASK
        )
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 15)
        await stream.close()
    await process.communicate()
    assert process.returncode == 0


async def test_a_taken_port_is_named_and_exits_with_2(base_url: str) -> None:
    process = await _start("--port", base_url.rpartition(":")[2])
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert b"cannot listen on 127.0.0.1:" in errors
    assert b"Traceback" not in errors


async def test_wrong_settings_are_named_and_exit_with_2() -> None:
    process = await _start(TIERMESH_SIMULATOR_PORT="99999", TIERMESH_SIMULATOR_CHUNK_CHARS="0")
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert b"'port'" in errors
    assert b"'chunk_chars'" in errors
    assert b"Traceback" not in errors
