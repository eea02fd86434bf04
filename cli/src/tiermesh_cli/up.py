"""Brings the suite up: keys, data, model, processes; and takes it down again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tiermesh_cli.home import Home
from tiermesh_cli.keys import ensure_keys, write_people, write_secret, write_service_token
from tiermesh_cli.people import described_personas
from tiermesh_cli.running import RunningSuite
from tiermesh_cli.stack import build_stack
from tiermesh_cli.supervisor import Supervisor

DEVELOPMENT_TENANT = "acme"
DEFAULT_EMPLOYEES = 500
DEFAULT_YEARS = 3
SIMULATOR_NOTICE = "No ANTHROPIC_API_KEY: answers come from the simulator, which is no model (it follows rules)."


class PreparationFailedError(Exception):
    """Seeding or training ended with an error; its own output says why."""


def prepare(home: Home) -> None:
    """Make what a first start needs and is not there: folders, keys, the classifier's model, the company's data."""
    prepare_keys(home)
    if not (home.classifier_model / "manifest.json").exists():
        run_module("tiermesh_classifier.train", "--pack", str(home.pack), "--out", str(home.classifier_model))
    if not (home.data / "hr.duckdb").exists():
        seed(home, employees=DEFAULT_EMPLOYEES, years=DEFAULT_YEARS)


def prepare_keys(home: Home) -> None:
    """Make the folders, the keys, what services show one another by them, and who the personas are."""
    home.prepare()
    ensure_keys(home.keys)
    write_service_token(home.keys, "executor")
    write_service_token(home.keys, "insights", purpose="judge", audience="executor")
    write_people(home.keys / "people.json", described_personas(home.pack), DEVELOPMENT_TENANT)


def seed(home: Home, *, employees: int, years: int, force: bool = False, as_of: str | None = None) -> None:
    """Fill the database with the pack's company; does nothing when the same data is there."""
    home.prepare()
    arguments = [
        "--pack",
        str(home.pack),
        "--database",
        home.database,
        "--employees",
        str(employees),
        "--years",
        str(years),
    ]
    if as_of:
        arguments += ["--as-of", as_of]
    run_module("tiermesh_aggregator.seed", *arguments, *(["--force"] if force else []))


def run_module(module: str, *arguments: str) -> None:
    """Run a module of the suite in this environment, its output shown. Raises PreparationFailedError."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=False)  # noqa: S603 - our own module
    if done.returncode:
        raise PreparationFailedError(f"python -m {module} ended with exit code {done.returncode}")


@asynccontextmanager
async def suite(home: Home, ports: Mapping[str, int], console: Console) -> AsyncIterator[Supervisor]:
    """Run the suite while the block runs. Raises StartFailedError when it does not come up."""
    key_file = _model_key_file(home)
    if key_file is None:
        console.print(Text(SIMULATOR_NOTICE, style="yellow"))
    processes = build_stack(home, ports, model_key_file=key_file, model_url=os.environ.get("ANTHROPIC_BASE_URL"))
    supervisor = Supervisor(processes, home.logs, lambda line: console.print(Text(line, style="yellow")))
    try:
        await supervisor.start()
        RunningSuite(
            pid=os.getpid(),
            gateway=f"127.0.0.1:{ports['gateway']}",
            simulated=key_file is None,
            addresses={process.name: process.address for process in processes},
            pids={process.name: supervisor.pid(process.name) for process in processes},
        ).write(home.running)
        yield supervisor
    finally:
        home.running.unlink(missing_ok=True)
        await asyncio.shield(supervisor.stop())


def _model_key_file(home: Home) -> str | None:
    """Return the file that holds the provider's key, or None when the simulator must stand in."""
    write_secret(home.keys / "simulator.key", b"simulator")
    key = os.environ.get("ANTHROPIC_API_KEY", "").strip()
    if not key:
        return None
    path: Path = home.keys / "anthropic.key"
    write_secret(path, key.encode())
    return str(path)
