"""Commands around the decision log: report, audit, tune, export, analyze, train. Each runs a module of the service.

What the modules do, and how a scheduler calls them without this command, is in `services/insights/README.md`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from tiermesh_client import TiermeshClient
from tiermesh_runtime.errors import RpcError

from tiermesh_cli.home import Home
from tiermesh_cli.keys import sign_in_token, write_secret
from tiermesh_cli.people import find_person
from tiermesh_cli.running import RunningSuite

_StateOption = Annotated[
    Path | None, typer.Option("--state", help="Folder for keys, data and logs.", show_default=".tiermesh")
]
_TenantOption = Annotated[str, typer.Option(help="Tenant whose log it is.")]
_PersonOption = Annotated[str, typer.Option("--as", help="Persona with the role router_admin.")]
_DaysOption = Annotated[int, typer.Option(min=0, help="How far back; 0 takes all, an audit a quarter.")]
_NOT_HELD_OUT = "0123456789abc"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (report, audit, tune, export, analyze, train):
        app.command()(command)


def report(
    tenant: _TenantOption = "acme",
    person: _PersonOption = "operator",
    days: _DaysOption = 0,
    state: _StateOption = None,
) -> None:
    """Say what the log shows: confidence against outcome, routes, both errors, cost."""
    _job("report", tenant, person, state, "--days", str(days))


def audit(
    sample: Annotated[int, typer.Option(min=1, max=2000, help="Answers to judge anew.")] = 200,
    out: Annotated[Path, typer.Option(help="Folder for the report, in Markdown and HTML.")] = Path(),
    mid_model: Annotated[str, typer.Option(help="Mid-size model that the saving is held against.")] = "",
    tenant: _TenantOption = "acme",
    person: _PersonOption = "operator",
    days: _DaysOption = 0,
    state: _StateOption = None,
) -> None:
    """Have a sample of tier-1 answers judged anew; exit 1 when a limit is broken."""
    rest = ("--sample", str(sample), "--out", str(out), "--mid-model", mid_model, "--days", str(days))
    _job("audit", tenant, person, state, *rest)


def tune(tenant: _TenantOption = "acme", person: _PersonOption = "operator", state: _StateOption = None) -> None:
    """Propose a threshold from the log and put it in force, in your name."""
    _job("tune", tenant, person, state)


def export(
    kind: Annotated[str, typer.Argument(help="decisions, usage, outcomes, endings, verdicts, samples or training.")],
    out: Annotated[Path, typer.Option(help="File that ends with .jsonl or .parquet.")],
    tenant: _TenantOption = "acme",
    since: Annotated[str | None, typer.Option(help="ISO 8601 day to begin with.")] = None,
    state: _StateOption = None,
) -> None:
    """Write one tenant's log to a file."""
    raise typer.Exit(_export(Home.find(state), kind, tenant, out, *(("--since", since) if since else ())))


def analyze(
    log: Annotated[Path, typer.Argument(help="JSON Lines: text, model, tokens, cost, rating.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print for machines.")] = False,
) -> None:
    """Say of a query log, before there is a router, whether routing would pay, and why."""
    raise typer.Exit(_module("tiermesh_insights.analyze", str(log), *(("--json",) if as_json else ())))


def train(
    out: Annotated[
        Path | None, typer.Option(help="Folder of the new artefact; one with its date where left out.")
    ] = None,
    tenant: _TenantOption = "acme",
    data: Annotated[list[Path] | None, typer.Option(help="Further labelled JSON Lines file.")] = None,
    state: _StateOption = None,
) -> None:
    """Make a new classifier artefact from logged outcomes, and score it beside the present one on turns held out of it.

    Nothing is put in use: point TIERMESH_CLASSIFIER_ARTEFACT at the folder when the scores convince.
    """
    home = Home.find(state)
    target = out or home.classifier_model.parent / f"classifier-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    with tempfile.TemporaryDirectory() as folder:
        logged = Path(folder) / "logged.jsonl"
        if code := _export(home, "training", tenant, logged):
            raise typer.Exit(code)
        shown, held = _split(logged)
        given = [argument for path in (shown, *(data or ())) for argument in ("--data", str(path))]
        code = _module("tiermesh_classifier.train", "--pack", str(home.pack), "--out", str(target), *given)
        if code:
            raise typer.Exit(code)
        if not held.stat().st_size:
            typer.echo("too few labelled turns to hold some out: the new artefact is not scored")
        for name, artefact in (("present", home.classifier_model), ("new", target)):
            if held.stat().st_size and artefact.exists():
                typer.echo(f"\n{name}: {artefact}")
                _module(
                    "tiermesh_classifier.evaluate",
                    *("--data", str(held), "--pack", str(home.pack), "--artefact", str(artefact)),
                )
    typer.echo(f"\nnew artefact: {target}")


def _split(logged: Path) -> tuple[Path, Path]:
    """Hold a fifth out, by the decision's id: the same turns each time."""
    shown, held = logged.with_name("shown.jsonl"), logged.with_name("held.jsonl")
    with logged.open(encoding="utf-8") as lines, shown.open("w") as to_train, held.open("w") as to_score:
        for line in lines:
            first = line.partition('"id": "')[2][:1]
            (to_train if first in _NOT_HELD_OUT else to_score).write(line)
    return shown, held


def _job(name: str, tenant: str, person: str, state: Path | None, *arguments: str) -> None:
    """Run a job in a person's name: the gateway gives out the principal that insights asks for."""
    home = Home.find(state)
    running = RunningSuite.read(home.running)
    if running is None:
        typer.echo(f"tiermesh: no suite runs from {home.state}: start one with `make run`", err=True)
        raise typer.Exit(2)
    who = find_person(home.pack, person)
    token = sign_in_token(home.keys, tenant=tenant, subject=who.subject, roles=who.roles)
    try:
        principal = asyncio.run(_principal(running.gateway, token))
    except RpcError as error:
        typer.echo(f"tiermesh: {error.reason or error.code.name}: {error.message}", err=True)
        raise typer.Exit(1) from error
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "principal"
        write_secret(file, principal.encode())
        code = _module(
            "tiermesh_insights.jobs",
            name,
            *("--address", running.addresses["insights"], "--token-file", str(file), "--tenant", tenant, *arguments),
        )
    raise typer.Exit(code)


async def _principal(gateway: str, token: str) -> str:
    async with TiermeshClient(gateway, token=token) as client:
        return (await client.issue_principal()).principal


def _export(home: Home, kind: str, tenant: str, out: Path, *arguments: str) -> int:
    database = f"sqlite:///{home.data / 'insights.sqlite'}"
    given = (kind, "--tenant", tenant, "--out", str(out), *arguments)
    return _module("tiermesh_insights.export", *given, TIERMESH_INSIGHTS_DATABASE=database)


def _module(module: str, *arguments: str, **environment: str) -> int:
    """Run a module of the suite in this environment, its output shown; return its exit code."""
    command: Sequence[str] = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, check=False, env={**os.environ, **environment}).returncode  # noqa: S603 - our own
