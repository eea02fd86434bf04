"""Starts the suite's processes, watches them, and ends them all together.

A process that dies is reported and started again (up to five times a minute); one that cannot start at all ends the
suite with the last lines of its log.
"""

from __future__ import annotations

import asyncio
import collections
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tiermesh_cli.stack import Process

START_SECONDS = 90.0
STOP_SECONDS = 20.0
RESTARTS_PER_MINUTE = 5


class StartFailedError(Exception):
    """A process did not come up; the message holds the end of its log."""


class Supervisor:
    """Owns the processes of one suite. `start`, then `watch` until told to stop, then `stop`."""

    def __init__(self, processes: Sequence[Process], logs: Path, say: Callable[[str], None]) -> None:
        self._processes = processes
        self._logs = logs
        self._say = say
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._deaths: dict[str, collections.deque[float]] = collections.defaultdict(collections.deque)
        self._stopping = False

    async def start(self) -> None:
        """Start every process and return when all serve. Raises StartFailedError."""
        serving: dict[str, asyncio.Event] = {process.name: asyncio.Event() for process in self._processes}
        with _first_failure():
            async with asyncio.TaskGroup() as group:
                for process in self._processes:
                    group.create_task(self._bring_up(process, serving))

    async def watch(self) -> None:
        """Report and replace processes that die, until cancelled or until one dies too often."""
        with _first_failure():
            async with asyncio.TaskGroup() as group:
                for process in self._processes:
                    group.create_task(self._keep(process))

    async def stop(self) -> None:
        """Ask every process to drain (SIGTERM), last started first; kill what does not end in 20 s."""
        self._stopping = True
        for running in reversed(list(self._running.values())):
            if running.returncode is None:
                running.terminate()
        for name, running in self._running.items():
            try:
                await asyncio.wait_for(running.wait(), STOP_SECONDS)
            except TimeoutError:
                self._say(f"{name} did not end in {STOP_SECONDS:.0f} s and is killed")
                running.kill()
                await running.wait()

    def pid(self, name: str) -> int:
        """Return the process id of a running process."""
        return self._running[name].pid

    async def _bring_up(self, process: Process, serving: dict[str, asyncio.Event]) -> None:
        for name in process.after:
            if name in serving:
                await serving[name].wait()
        await self._spawn(process)
        await self._until_serving(process)
        serving[process.name].set()

    async def _spawn(self, process: Process) -> None:
        log = self._log_path(process)
        with log.open("ab") as output:
            self._running[process.name] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                process.module,
                *process.arguments,
                env={**os.environ, **process.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C reaches the supervisor alone, which then drains the others in order.
                start_new_session=True,
            )

    async def _until_serving(self, process: Process) -> None:
        running = self._running[process.name]
        give_up = time.monotonic() + START_SECONDS
        while running.returncode is None and time.monotonic() < give_up:
            if await answers(process):
                return
            await asyncio.sleep(0.1)
        how = (
            f"ended with exit code {running.returncode}"
            if running.returncode is not None
            else f"did not answer its health check on {process.address} within {START_SECONDS:.0f} s"
        )
        raise StartFailedError(f"{process.name} {how}; the end of {self._log_path(process)}:\n{self._log_end(process)}")

    async def _keep(self, process: Process) -> None:
        while True:
            running = self._running[process.name]
            code = await running.wait()
            if self._stopping:
                return
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            self._say(f"{process.name} {how} (log: {self._log_path(process)})")
            if self._dies_too_often(process.name):
                ending = self._log_end(process)
                raise StartFailedError(f"{process.name} died {RESTARTS_PER_MINUTE} times within a minute:\n{ending}")
            await self._spawn(process)
            self._say(f"{process.name} is started again")

    def _dies_too_often(self, name: str) -> bool:
        deaths = self._deaths[name]
        deaths.append(time.monotonic())
        while deaths and deaths[0] < time.monotonic() - 60:
            deaths.popleft()
        return len(deaths) >= RESTARTS_PER_MINUTE

    def _log_path(self, process: Process) -> Path:
        return self._logs / f"{process.name}.log"

    def _log_end(self, process: Process, lines: int = 12) -> str:
        text = self._log_path(process).read_text(errors="replace")
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


@contextmanager
def _first_failure() -> Iterator[None]:
    """Raise what went wrong first as itself: people want one clear line, not a group."""
    try:
        yield
    except* StartFailedError as group:
        raise group.exceptions[0] from None


async def answers(process: Process) -> bool:
    """Say whether the process serves now."""
    if process.http:
        return await asyncio.to_thread(_http_answers, process.address)
    return await serves(process.address)


async def serves(address: str) -> bool:
    """Say whether a gRPC server at `address` calls itself SERVING."""
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            stub = health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call] # published untyped
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.aio.AioRpcError:
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _http_answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=1.0) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
