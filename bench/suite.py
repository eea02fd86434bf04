"""A whole suite of processes for measurements: seeded, on the simulator, traced into a receiver; and what each costs.

Started by `tiermesh up`, as people start it. Every measurement that asks a running suite begins here.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from tiermesh_cli.home import Home
from tiermesh_cli.keys import sign_in_token
from tiermesh_cli.people import find_person
from tiermesh_cli.testing import COMMAND, running
from tiermesh_cli.up import DEVELOPMENT_TENANT

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Suite:
    """A running suite."""

    state: Path
    gateway: str
    addresses: Mapping[str, str]
    pids: Mapping[str, int]
    # Where its spans and metrics go; None when nothing is exported.
    receiver: Receiver | None

    def token(self, who: str = "manager") -> str:
        """Return a bearer token of a persona, or of an employee id, that is good for an hour."""
        person = find_person(PROJECT / "packs/hr", who)
        keys = Home(PROJECT, self.state).keys
        return sign_in_token(keys, tenant=DEVELOPMENT_TENANT, subject=person.subject, roles=person.roles)

    @property
    def simulator(self) -> str:
        """The simulator's base URL."""
        return f"http://{self.addresses['simulator']}"

    def log(self, name: str) -> str:
        """Return a process's log."""
        return (self.state / "logs" / f"{name}.log").read_text(errors="replace")


@dataclass(frozen=True)
class Receiver:
    """An OTLP receiver in a process of its own."""

    address: str
    pid: int


@contextmanager
def running_suite(
    *, environment: Mapping[str, str] | None = None, employees: int = 500, traced: bool = True
) -> Iterator[Suite]:
    """Run a fresh suite while the block runs; `environment` adds to the services' own.

    RuntimeError when it cannot be seeded, StartFailedError when it does not come up.
    """
    state = Path(tempfile.mkdtemp(prefix="tiermesh-bench-"))
    # Whoever ends a bench gets its processes taken away, too.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run("seed", "--employees", str(employees), "--years", "3", "--state", str(state))
        with (
            _receiver() if traced else _none() as receiver,
            running(Home(PROJECT, state), {**_traced(receiver), **(environment or {})}) as (_, note),
        ):
            yield Suite(state, note.gateway, note.addresses, note.pids, receiver)
    finally:
        signal.signal(signal.SIGTERM, before)
        shutil.rmtree(state, ignore_errors=True)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children, ended and running, as Linux accounts it (10 ms ticks)."""
    total = 0.0
    for one in [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]:
        try:
            fields = Path(f"/proc/{one}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def memory_mb(pid: int) -> float:
    """Resident memory of a process with its children, in MiB."""
    parent = psutil.Process(pid)
    found = sum(each.memory_info().rss for each in [parent, *parent.children(recursive=True)])
    return round(float(found) / 2**20, 1)


def _run(*arguments: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], cwd=PROJECT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"tiermesh {arguments[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


@contextmanager
def _none() -> Iterator[None]:
    yield None


@contextmanager
def _receiver() -> Iterator[Receiver]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.otlp_receiver"], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Receiver(process.stdout.readline().strip(), process.pid)
    finally:
        process.terminate()
        process.wait()


def _traced(receiver: Receiver | None) -> dict[str, str]:
    if receiver is None:
        return {}
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{receiver.address}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
