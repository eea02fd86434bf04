"""Processes under supervision: started in order, reported when they die, ended together."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tiermesh_cli.stack import Process, free_ports
from tiermesh_cli.supervisor import StartFailedError, Supervisor

SERVER = """
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
print("up", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Said(list[str]):
    """What the supervisor told people."""

    def __init__(self) -> None:
        self._more = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.append(line)
        self._more.set()

    async def wait_for(self, part: str) -> None:
        async with asyncio.timeout(20):
            while not any(part in line for line in self):
                self._more.clear()
                await self._more.wait()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "tiny_server.py").write_text(SERVER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "tiny_server"


def process(name: str, module: str, after: tuple[str, ...] = ()) -> Process:
    port = free_ports()["gateway"]
    return Process(name, module, port, arguments=(str(port),), after=after, http=True)


@pytest.fixture
async def supervised(module: str, tmp_path: Path) -> AsyncIterator[tuple[Supervisor, Said]]:
    said = Said()
    supervisor = Supervisor([process("one", module), process("two", module, after=("one",))], tmp_path, said)
    await supervisor.start()
    yield supervisor, said
    await supervisor.stop()


async def test_all_processes_serve_after_start_and_none_lives_after_stop(
    supervised: tuple[Supervisor, Said],
) -> None:
    supervisor, _ = supervised
    pids = [supervisor.pid(name) for name in ("one", "two")]
    await supervisor.stop()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_killed_process_is_reported_and_started_again(supervised: tuple[Supervisor, Said]) -> None:
    supervisor, said = supervised
    first = supervisor.pid("one")
    watching = asyncio.create_task(supervisor.watch())
    os.kill(first, signal.SIGKILL)
    await said.wait_for("one is started again")
    watching.cancel()
    assert any("one was killed by SIGKILL" in line for line in said)
    assert supervisor.pid("one") != first


async def test_a_process_that_cannot_start_fails_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = Process("broken", "no_such_module_anywhere", 1, http=True)
    supervisor = Supervisor([broken], tmp_path, Said())
    with pytest.raises(StartFailedError, match=r"exit code 1(.|\n)*No module named no_such_module_anywhere"):
        await supervisor.start()
    await supervisor.stop()
