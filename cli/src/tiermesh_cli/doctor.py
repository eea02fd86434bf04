"""`tiermesh doctor`: says what is missing or unreachable, and the mend."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tiermesh_cli.home import Home
from tiermesh_cli.running import RunningSuite
from tiermesh_cli.stack import DEFAULT_PORTS, Process, build_stack
from tiermesh_cli.supervisor import answers


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    detail: str
    mend: str = ""


async def examine(home: Home) -> AsyncIterator[Finding]:
    """Look at everything that a suite on this machine needs, in the order in which it is needed."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", sys.version_info >= (3, 11), version, "use Python 3.11 or newer")
    for module in (
        "tiermesh_gateway",
        "tiermesh_classifier",
        "tiermesh_executor",
        "tiermesh_aggregator",
        "tiermesh_suggester",
        "tiermesh_insights",
        "tiermesh_console",
    ):
        found = importlib.util.find_spec(module) is not None
        yield Finding(module, found, "installed" if found else "not installed", "make setup")
    keys = (home.keys / "principal.pem").exists()
    yield Finding("development keys", keys, str(home.keys), "made by the next: make run")
    trained = (home.classifier_model / "manifest.json").exists()
    yield Finding("classifier model", trained, str(home.classifier_model), "make train")
    data = (home.data / "hr.duckdb").exists()
    yield Finding("company data", data, str(home.data / "hr.duckdb"), "make seed")
    running = RunningSuite.read(home.running)
    yield Finding(
        "suite", running is not None, f"runs as process {running.pid}" if running else "does not run", "make run"
    )
    if running is not None:
        for process in running_processes(home, running):
            good = await answers(process)
            detail = f"serves at {process.address}" if good else f"no answer at {process.address}"
            yield Finding(process.name, good, detail, f"read {home.logs / (process.name + '.log')}")


def running_processes(home: Home, running: RunningSuite) -> list[Process]:
    """Return the processes of the running suite, at the addresses it noted."""
    noted = {name: int(address.rpartition(":")[2]) for name, address in running.addresses.items()}
    ports = {**DEFAULT_PORTS, **noted}
    stack = build_stack(home, ports, model_key_file=None if running.simulated else "", model_url=None)
    return [process for process in stack if process.name in running.addresses]
