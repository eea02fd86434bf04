"""The two sides of the comparison, each a set of processes and a gateway that is asked in the same way."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from google.protobuf import proto
from tiermesh_cli.stack import free_ports
from tiermesh_client import TiermeshClient
from tiermesh_simulator.testing import SimulatorAdmin

from bench.chain.floor import ROLES
from bench.chain.load import Asked, ask
from bench.chain.shape import QUESTIONS, Shape
from bench.suite import PROJECT, Suite, cpu_seconds


@dataclass
class Side:
    """One side: who is asked, and whose CPU counts."""

    name: str
    client: TiermeshClient
    # Service to process id; in the order of tables.
    pids: Mapping[str, int]
    # What the model says to a question of each kind.
    answers: Mapping[str, str]
    # Processes whose CPU is told apart and is not the side's.
    beside: Mapping[str, int] = field(default_factory=dict)
    simulator: SimulatorAdmin | None = None

    async def prepare(self, shape: Shape) -> None:
        """Make the model speak as the shape says."""
        if self.simulator is not None:
            await self.simulator.pace(first_token_ms=0, chunk_ms=shape.pause_ms, chunks=shape.chunks)
            await self.simulator.reset()

    async def once(self, shape: Shape) -> Asked:
        """Ask one question."""
        text = shape.question() if self.simulator is not None else shape.directive()
        return await ask(self.client, text, self.answers[shape.kind], pills=shape.pills)

    def cpu(self) -> dict[str, float]:
        """CPU seconds of each process so far."""
        return {name: cpu_seconds(pid) for name, pid in {**self.pids, **self.beside}.items()}


@asynccontextmanager
async def suite_side(suite: Suite) -> AsyncIterator[Side]:
    """The suite, with what its simulator says to each kind of question."""
    services = {name: pid for name, pid in suite.pids.items() if name not in ("simulator", "console")}
    beside = {"simulator": suite.pids["simulator"]}
    if suite.receiver is not None:
        beside["OTLP receiver"] = suite.receiver.pid
    async with (
        TiermeshClient(suite.gateway, token=suite.token()) as client,
        aiohttp.ClientSession() as session,
    ):
        simulator = SimulatorAdmin(suite.simulator, session)
        yield Side("suite", client, services, {}, beside, simulator)


async def record(side: Side, folder: Path) -> dict[str, str]:
    """Write what the suite says to each kind of question, for the floor to say again; return the answers' texts."""
    answers = {}
    for kind in QUESTIONS:
        shape = Shape(kind, chunks=1, pills=True)
        await side.prepare(shape)
        said = []
        with (folder / f"{kind}.stream").open("wb") as stream:
            async for event in side.client.ask(shape.question()):
                proto.serialize_length_prefixed(event, stream)
                said.append(event.text.text)
        answers[kind] = "".join(said)
    return answers


@contextmanager
def floor_processes(folder: Path, *, loop: str) -> Iterator[tuple[str, dict[str, int]]]:
    """The floor's processes on asyncio's own loop or on uvloop; yields the gateway's address and the process ids."""
    ports = dict(zip(ROLES, free_ports().values(), strict=False))
    processes: dict[str, subprocess.Popen[str]] = {}
    try:
        for role in ROLES:
            command = [sys.executable, "-m", "bench.chain.floor", role, json.dumps(ports), str(folder), loop]
            processes[role] = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        for role, process in processes.items():
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"the floor's {role} did not start")
        yield f"127.0.0.1:{ports['gateway']}", {role: process.pid for role, process in processes.items()}
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()


@contextmanager
def recording_folder() -> Iterator[Path]:
    """A folder for the recording, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tiermesh-floor-") as folder:
        yield Path(folder)
