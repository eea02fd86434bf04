"""`make bench-peers`: latency, first token, CPU, memory and throughput of other gateways beside the suite's.

Every row asks the same questions of the same simulator (40 chunks, no think time), in turn. What is added is over plain
sockets to the simulator. A peer that cannot be installed or started here says so in its row.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiermesh_cli.stack import free_ports

from bench.chain.measuring import percentiles
from bench.machine import facts
from bench.peers import report
from bench.peers.installing import PINS, NotInstalledError, environment
from bench.suite import PROJECT, Suite, cpu_seconds, memory_mb, running_suite

_MODEL = "claude-haiku-5-5"
_ENVIRONMENT = {
    "TIERMESH_GATEWAY_CLASSIFY_SECONDS": "5",
    "TIERMESH_SUGGESTER_CLASSIFY_SECONDS": "10",
    "TIERMESH_CLASSIFIER_MODEL_LEAST_SECONDS": "60",
    "TIERMESH_SIMULATOR_TIME_SCALE": "0",
    "TIERMESH_SIMULATOR_CHUNKS": "40",
}
_START_SECONDS = 90.0


@dataclass
class Peer:
    """One row: who asks whom, and whose CPU counts."""

    name: str
    kind: str
    python: str
    url: str
    # What it does not do, of what the suite does.
    lacks: str
    # Processes that serve; empty where the gateway is inside of the one that asks.
    pids: Sequence[int] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        """One round."""
        before = [cpu_seconds(pid) for pid in self.pids]
        command = [self.python, str(PROJECT / "bench/peers/driver.py"), self.kind, self.url, _MODEL, str(seconds)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **self.variables}
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr.strip()[-500:]}")
        found = json.loads(done.stdout.strip().splitlines()[-1])
        if self.pids:
            # The client is not the gateway's to pay for.
            spent = sum(cpu_seconds(pid) for pid in self.pids) - sum(before)
            found["client_cpu_ms"], found["cpu_ms"] = found["cpu_ms"], spent * 1000 / found["questions"]
            found["memory_mb"] = sum(memory_mb(pid) for pid in self.pids)
        self.rounds.append(found)

    def facts(self) -> dict[str, Any]:
        """Medians over the rounds."""

        def median(name: str) -> float:
            return round(statistics.median(each[name] for each in self.rounds), 2)

        return {
            "name": self.name,
            "lacks": self.lacks,
            "first_ms": percentiles([each for one in self.rounds for each in one["first_ms"]]),
            "latency_ms": percentiles([each for one in self.rounds for each in one["latency_ms"]]),
            "cpu_ms": median("cpu_ms"),
            "cpu_ms_rounds": [round(each["cpu_ms"], 2) for each in self.rounds],
            "per_second": median("per_second"),
            "per_second_of_one_core": round(1000 / median("cpu_ms"), 1),
            "memory_mb": round(median("memory_mb")),
            "pieces": self.rounds[0]["pieces"],
            "answers": sorted({answer for each in self.rounds for answer in each["answers"]}),
        }


def main() -> int:
    """Install, start, measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="rounds of each row, in turn")
    parser.add_argument("--seconds", type=float, default=4.0, help="of the sixteen askers, per round")
    options = parser.parse_args()
    began = time.monotonic()
    told = {**facts("make bench-peers", ("grpcio", "anthropic")), "peers": dict(PINS)}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        ours = stack.enter_context(running_suite(environment=_ENVIRONMENT))
        peers = _peers(ours, stack, missing)
        installed = time.monotonic() - began
        for _ in range(options.rounds):
            for peer in list(peers):
                try:
                    peer.measure(options.seconds)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    missing[peer.name] = f"does not answer here: {str(error)[-200:]}"
                    peers.remove(peer)
    rows = [peer.facts() for peer in peers]
    problems = _broken(rows)
    report.write(told, rows, missing, problems)
    print(report.table(rows, missing))
    print(f"{time.monotonic() - began:.0f} s, {installed:.0f} of them to install and start; bench/results/peers.json")
    for problem in problems:
        print(f"BROKEN PROMISE: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _broken(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The suite's answers must be the upstream's, whole, as plain sockets read them."""
    whole = next(row["answers"] for row in rows if row["name"] == report.FLOOR)
    return [f"{row['name']} gave {row['answers']}" for row in rows if row["answers"] != whole]


def _peers(ours: Suite, stack: ExitStack, missing: dict[str, str]) -> list[Peer]:
    url, python = ours.simulator, sys.executable
    services = [pid for name, pid in ours.pids.items() if name not in ("simulator", "console")]
    nothing = "no identity, routing, classification, tools, data, verified figures, pills, ledger, tracing"
    peers = [Peer(report.FLOOR, "bare", python, url, nothing)]
    made: list[tuple[str, Callable[[], Peer]]] = [
        ("SDK direct", lambda: Peer("SDK direct", "sdk", str(environment("sdk") / "python"), url, nothing)),
        ("TensorZero, embedded", lambda: _tensorzero(url)),
        ("LiteLLM proxy", lambda: _litellm(url, stack)),
    ]
    for name, make in made:
        try:
            peers.append(make())
        except (NotInstalledError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            missing[name] = f"could not be installed or started here: {str(error)[-200:]}"
    token = {"TOKEN": ours.token()}
    peers.append(Peer("Tiermesh, no pills", "suite", python, ours.gateway, "–", services, token))
    pills = {**token, "PILLS": "1"}
    peers.append(Peer("Tiermesh, with pills", "suite", python, ours.gateway, "– (two model calls)", services, pills))
    return peers


def _tensorzero(url: str) -> Peer:
    lacks = "no classification or routing of questions, data, verified figures, pills; here without its database"
    return Peer("TensorZero, embedded", "tensorzero", str(environment("tensorzero") / "python"), url, lacks)


def _litellm(url: str, stack: ExitStack) -> Peer:
    commands = environment("litellm")
    port = free_ports()["gateway"]
    pid = stack.enter_context(_litellm_proxy(commands, port, url))
    lacks = "no classification here, data, verified figures, pills; here without its database; asked through the SDK"
    python = str(environment("sdk") / "python")
    return Peer("LiteLLM proxy", "litellm", python, f"http://127.0.0.1:{port}", lacks, [pid])


@contextmanager
def _litellm_proxy(commands: Path, port: int, url: str) -> Iterator[int]:
    """The proxy on loopback, without a database and without a key."""
    with tempfile.TemporaryDirectory() as folder:
        config, log = Path(folder) / "config.yaml", Path(folder) / "log"
        row = {"model": f"anthropic/{_MODEL}", "api_base": url, "api_key": "bench"}
        config.write_text(json.dumps({"model_list": [{"model_name": _MODEL, "litellm_params": row}]}))
        variables = {
            **os.environ,
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "PATH": f"{commands}:{os.environ['PATH']}",
        }
        command = [str(commands / "litellm"), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=variables, stdout=output, stderr=output, cwd=folder)
        try:
            _until_alive(process, f"http://127.0.0.1:{port}/health/liveliness", log)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _until_alive(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(log.read_text(errors="replace").strip()[-300:]) from None
            time.sleep(0.2)  # nothing announces that it listens


if __name__ == "__main__":
    sys.exit(main())
