"""A running suite with a steady load, on which faults are acted out: its processes, links, stores, clients and history.

Which faults there are is said in `catalogue_*`; what came of one is a `Row` (`acting`).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiermesh_cli.stack import free_ports
from tiermesh_runtime.testing import OtlpReceiver

from tests.faults.suite import evidence
from tests.faults.suite.asker import QUESTIONS
from tests.faults.suite.checker import Evidence, Excuse
from tests.faults.suite.deployment import PROJECT, START_SECONDS, Deployment, Plan, deployed, prepared_home
from tests.faults.suite.history import History, Question
from tests.faults.suite.links import Link, Links, linked
from tests.faults.suite.postgres import Postgres

RATE = 2.5
DEADLINE_SECONDS = 20.0
MOST_QUESTIONS = 24
# What of a question that was under way dies with the process that observed it, and within how many seconds after its
# end a process has handed it on: an exporter's unsent spans wait for SCHEDULE_DELAY, here 0.2 s.
_IN_MEMORY = {"gateway": ("trace", "ending", "receipt")}
_HANDED_ON_SECONDS = 1.0
# Questions asked after the mend that have to be answered whole, one after the other, for "recovered".
# One of each kind: a circuit that is still open for one route would be taken for the next fault's doing.
_IN_A_ROW = len(QUESTIONS)
_CALLEES: Mapping[str, Sequence[str]] = {
    "client": ("gateway",),
    "gateway": ("classifier", "executor-tier1", "executor-tier2", "aggregator", "suggester", "insights"),
    "executor-tier1": ("aggregator", "insights", "simulator"),
    "executor-tier2": ("aggregator", "insights", "simulator"),
    "suggester": ("executor-tier2", "classifier"),
    "insights": ("executor-tier2",),
    "classifier": ("executor-tier1",),
}


_SPOOL_MEGABYTES = 24
# The conversations of a whole run have to fit, but for the fault that fills it.
_DATA_MEGABYTES = 192


@dataclass
class Stage:
    """What faults have in hand."""

    deployment: Deployment
    links: Links
    collector: Link
    receiver: OtlpReceiver
    database: Postgres
    folder: Path
    histories: dict[str, History] = field(default_factory=dict)
    excuses: list[Excuse] = field(default_factory=list)
    # Folder → None where a small disk of its own could be mounted there, else why not.
    small_disks: Mapping[str, str] = field(default_factory=dict)
    rate: float = RATE
    # Where clients reach the gateway, and words before their command; "" is over its link.
    front: str = ""
    client_prefix: tuple[str, ...] = ()
    # The instance that is asked for receipts afterwards.
    told_by: str = "gateway"

    @property
    def gateway(self) -> str:
        """Where clients reach the gateway."""
        return self.front or self.links["client", "gateway"].address

    @property
    def simulator(self) -> str:
        """Where the simulator is administered."""
        return self.deployment["simulator"].process.address

    @property
    def keys(self) -> Path:
        return self.deployment.home.keys

    def questions(self, *, ended_since: float = 0.0) -> list[Question]:
        """Return what all clients saw, in the order of the asking."""
        found = [each for history in self.histories.values() for each in history.questions(ended_since=ended_since)]
        return sorted(found, key=lambda each: each.asked_at)

    @asynccontextmanager
    async def asking(self, name: str, **options: Any) -> AsyncIterator[subprocess.Popen[bytes]]:
        """Run one more client while the block runs; SIGTERM lets it see its questions to their end."""
        path = self.folder / f"{name}.jsonl"
        self.histories[name] = History(path)
        given = {"rate": self.rate, "timeout": DEADLINE_SECONDS, **options}
        words = [f"--{key.replace('_', '-')}" + ("" if value is True else f"={value}") for key, value in given.items()]
        command = [*self.client_prefix, sys.executable, "-m", "tests.faults.suite.asker", "--address", self.gateway]
        process = _spawn([*command, "--keys", str(self.keys), "--out", str(path), *words], self.folder / f"{name}.log")
        try:
            await self._begun(name)
            yield process
        finally:
            process.terminate()
            # In a thread: the links are served by this loop.
            await asyncio.to_thread(_reap, process, DEADLINE_SECONDS + 15)

    async def _begun(self, name: str) -> None:
        """Return when the client has asked its first question: on a busy machine it takes a while to start."""
        give_up, log = time.monotonic() + START_SECONDS, self.folder / f"{name}.log"
        while not self.histories[name].questions():
            words = f"client {name!r} asked nothing within {START_SECONDS:.0f} s:"
            assert time.monotonic() < give_up, f"{words} {log.read_text(errors='replace')[-1000:]}"
            await asyncio.sleep(0.05)  # another process writes the file

    async def forsake(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """kill -9 a client: what it had under way was left, and nobody else can write that down."""
        process.kill()
        await asyncio.to_thread(process.wait)
        path = self.folder / f"{name}.jsonl"
        cut = not path.read_bytes().endswith(b"\n")
        with path.open("ab") as file:
            file.write(b"\n" if cut else b"")
            for each in self.histories[name].questions():
                if not each.ends:
                    line = {"line": "ended", "request_id": each.request_id, "at": time.time(), "how": "cancelled"}
                    file.write(json.dumps(line).encode() + b"\n")

    async def recovered(self, since: float, within: float, load: str = "load") -> float:
        """Return how long after `since` a question was asked from which on answers were whole again."""
        give_up, after = time.time() + within + DEADLINE_SECONDS, list[Question]()
        while time.time() < give_up:
            after = [each for each in self.histories[load].questions(ended_since=since) if each.asked_at >= since]
            row = 0
            for place, each in enumerate(after):
                row = row + 1 if each.ended == "complete" else 0
                if row == _IN_A_ROW:
                    return after[place - _IN_A_ROW + 1].asked_at - since
            await asyncio.sleep(0.1)  # another process writes the file
        seen = [f"{each.ended} {dict(each.ends[0]) if each.ends else ''}" for each in after[-3:]]
        log = (self.folder / f"{load}.log").read_text(errors="replace")[-500:]
        raise AssertionError(f"no {_IN_A_ROW} whole answers in a row within {within:.0f} s; last: {seen} {log}")

    async def ended(self, by: float) -> None:
        """Return when every question that was asked by then has its end."""
        give_up = time.monotonic() + DEADLINE_SECONDS + 12.0
        while any(not each.ends and each.asked_at <= by for each in self.questions(ended_since=by - 60.0)):
            if time.monotonic() > give_up:
                return  # the checker will say which
            await asyncio.sleep(0.1)  # another process writes the file

    def excuse(self, of: str, since: float, why: str, *, until: float | None = None) -> None:
        """Say that something observed may be missing since then."""
        self.excuses.append(Excuse(of, since, time.time() if until is None else until, why))

    async def kill(self, name: str) -> None:
        """kill -9 an instance. Of what a gateway had under way, what it was about to hand on dies with it."""
        at = time.time()
        await self.deployment[name].kill()
        for of in _IN_MEMORY.get(name, ()):
            why = f"the {name} was killed with it in memory"
            self.excuses.append(Excuse(of, at - _HANDED_ON_SECONDS, time.time(), why))

    async def administer(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call the simulator's own endpoints."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.simulator}/simulator/{path}", data, method=method)
        return json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).read()))

    async def gather(self) -> Evidence:
        """Return what everybody else knows of the questions."""
        return await evidence.gather(
            self.questions(),
            gateway=self.deployment[self.told_by].process.address,
            keys=self.keys,
            database=self.database,
            simulator=self.simulator,
            receiver=self.receiver,
            spools=sorted(self.deployment.home.spool.glob("**/*.sqlite")),
        )


@asynccontextmanager
async def stage(folder: Path, database: Postgres) -> AsyncIterator[Stage]:
    """Run the suite, every connection over a link, while the block runs."""
    home, ports = prepared_home(folder / "state"), free_ports()
    with _small_disk(home.spool) as spool_disk, _small_disk(home.data, _DATA_MEGABYTES) as data_disk:
        async with AsyncExitStack() as stack:
            edges = [(caller, callee, ports[callee]) for caller, callees in _CALLEES.items() for callee in callees]
            links = await stack.enter_async_context(linked(edges))
            receiver = await stack.enter_async_context(OtlpReceiver.running())
            collector = await links.add("everybody", "collector", int(receiver.endpoint.rpartition(":")[2]))
            plan = Plan(
                address=lambda caller, callee: links.address(caller, callee, f"127.0.0.1:{ports[callee]}"),
                settings=lambda name: settings_of(name, database, f"http://{collector.address}"),
            )
            deployment = await stack.enter_async_context(deployed(home, ports, plan))
            disks = {"spool": spool_disk, "data": data_disk}
            yield Stage(deployment, links, collector, receiver, database, folder, small_disks=disks)


def settings_of(name: str, database: Postgres, collector: str) -> dict[str, str]:
    """Return what an instance is told beside what `tiermesh up` would tell it."""
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
    }
    service = name.partition("-")[0]
    settings |= {
        "simulator": {"TIERMESH_SIMULATOR_JOURNAL_SIZE": "100000", "TIERMESH_SIMULATOR_TIME_SCALE": "0.6"},
        "gateway": {
            "TIERMESH_GATEWAY_MOST_QUESTIONS": str(MOST_QUESTIONS),
            # A busy test machine is no reason to take the failure policy.
            "TIERMESH_GATEWAY_CLASSIFY_SECONDS": "1",
            "TIERMESH_GATEWAY_LAG_SECONDS": "5",
        },
        "aggregator": {
            "TIERMESH_AGGREGATOR_DATABASE": database.url("company"),
            "TIERMESH_AGGREGATOR_ROW_SECURITY": "off",
            "TIERMESH_AGGREGATOR_STATEMENT_TIMEOUT_SECONDS": "4",
        },
        "insights": {"TIERMESH_INSIGHTS_DATABASE": database.url("insights")},
    }.get(service, {})
    return settings


def _spawn(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=output)


def _reap(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _small_disk(folder: Path, megabytes: int = _SPOOL_MEGABYTES) -> Iterator[str]:
    """Mount a small file system at `folder`; give "" or why it could not be."""
    if os.geteuid() != 0:
        yield "mounting a small file system needs root"
        return
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        yield f"mount: {done.stderr.strip()}"
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
