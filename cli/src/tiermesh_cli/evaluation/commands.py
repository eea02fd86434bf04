"""The verbs of `tiermesh eval`: each reads its options, measures, prints a table and writes JSON for machines."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from tiermesh_client import TiermeshClient

from tiermesh_cli.commands import (
    GatewayOption,
    PersonOption,
    StateOption,
    TenantOption,
    find_home,
    say_failed,
    sign_in,
)
from tiermesh_cli.evaluation import models
from tiermesh_cli.evaluation.classifier import PASSED_ON, classifier
from tiermesh_cli.evaluation.pill_report import report_of
from tiermesh_cli.evaluation.pill_trial import (
    AskedTurn,
    Conversation,
    DataNotUsableError,
    PillTrial,
    read_conversations,
)
from tiermesh_cli.evaluation.rendering import show_pills, show_routes
from tiermesh_cli.evaluation.route_report import RoutedTurn, values
from tiermesh_cli.evaluation.route_trial import LabelledConversation, read_labelled, run_trial
from tiermesh_cli.running import RunningSuite

evaluation = typer.Typer(no_args_is_help=True, help="Measure a running suite, or models, on a file.")
models.register(evaluation)
evaluation.command(context_settings=PASSED_ON, add_help_option=False)(classifier)


@evaluation.callback()
def _group() -> None:
    """Keep this a group of verbs, however few there are."""


@evaluation.command()
def pills(
    data: Annotated[Path, typer.Option(help="JSON Lines of questions: `text`, and `conversation` where it has turns.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the report to.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Conversations to ask at the most; 0 asks all.")] = 0,
    clicks: Annotated[int, typer.Option(min=0, max=6, help="Pills to click per conversation, chosen by --seed.")] = 1,
    both_tiers: Annotated[
        bool, typer.Option("--both-tiers/--as-routed", help="Ask everything a second time at tier 2, and compare.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Chooses the pills that are clicked.")] = 1,
    person: PersonOption = "manager",
    tenant: TenantOption = "acme",
    gateway: GatewayOption = None,
    state: StateOption = None,
) -> None:
    """Measure pills per tier that answered: dead ends, duplicates, invisible data, kinds, and when they come.

    A dead end is found by clicking: the pill is asked in its conversation, and the answer says where it led.
    """
    home = find_home(state)
    try:
        conversations = read_conversations(data)
    except DataNotUsableError as error:
        say_failed(str(error), 2)
    running = RunningSuite.read(home.running) if gateway is None else None
    address, token = sign_in(home, gateway, person, tenant)
    trial = _ask_all(address, token, conversations[: limit or None], clicks=clicks, both_tiers=both_tiers, seed=seed)
    turns = asyncio.run(trial)
    report = report_of(turns, simulated=None if running is None else running.simulated)
    if json_file is not None:
        json_file.write_text(json.dumps(report.values(), indent=2, ensure_ascii=False) + "\n")
    show_pills(report, Console())


@evaluation.command()
def conversations(
    data: Annotated[Path, typer.Option(help="JSON Lines of labelled turns: `text`, `route`, `conversation`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report for machines.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Conversations to ask at the most; 0 asks all.")] = 0,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Conversations to ask at once.")] = 2,
    person: PersonOption = "manager",
    tenant: TenantOption = "acme",
    gateway: GatewayOption = None,
    state: StateOption = None,
) -> None:
    """Run labelled conversations through a live suite: route accuracy and each kind of error, per position."""
    home = find_home(state)
    try:
        labelled = read_labelled(data)
    except DataNotUsableError as error:
        say_failed(str(error), 2)
    running = RunningSuite.read(home.running) if gateway is None else None
    address, token = sign_in(home, gateway, person, tenant)
    turns = asyncio.run(_converse(address, token, labelled[: limit or None], at_once))
    if as_json:
        simulated = None if running is None else running.simulated
        typer.echo(json.dumps(values(turns, simulated=simulated), indent=2, ensure_ascii=False))
    else:
        show_routes(turns, Console())


async def _converse(address: str, token: str, labelled: list[LabelledConversation], at_once: int) -> list[RoutedTurn]:
    async with TiermeshClient(address, token=token) as client:
        with Progress(console=Console(stderr=True)) as progress:
            return await run_trial(client, labelled, at_once=at_once, progress=progress)


async def _ask_all(
    address: str, token: str, conversations: list[Conversation], *, clicks: int, both_tiers: bool, seed: int
) -> list[AskedTurn]:
    async with TiermeshClient(address, token=token) as client:
        trial = PillTrial(client, clicks=clicks, seed=seed)
        return await trial.run(conversations, both_tiers=both_tiers, console=Console(stderr=True))
