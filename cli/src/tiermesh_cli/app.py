"""The command's verbs: thin, each reads its options, calls one thing and sets the exit code.

Exit codes: 0 done, 1 the suite or the answer failed, 2 wrong options or something missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from tiermesh_cli import doctor as examination
from tiermesh_cli import insights
from tiermesh_cli.ask import signed_in
from tiermesh_cli.commands import (
    GatewayOption,
    PersonOption,
    StateOption,
    TenantOption,
    find_home,
    run,
    say_failed,
    sign_in,
)
from tiermesh_cli.evaluation.commands import evaluation
from tiermesh_cli.evaluation.models import AS_GIVEN, calibrate
from tiermesh_cli.home import Home, ProjectNotFoundError
from tiermesh_cli.labelling.command import label
from tiermesh_cli.people import UnknownPersonError, read_personas
from tiermesh_cli.render import AnswerView
from tiermesh_cli.replay import replay
from tiermesh_cli.running import RunningSuite
from tiermesh_cli.sample import ask_samples
from tiermesh_cli.seeding import seed_insights
from tiermesh_cli.service_tokens import service_token
from tiermesh_cli.stack import DEFAULT_PORTS, free_ports
from tiermesh_cli.supervisor import StartFailedError, Supervisor
from tiermesh_cli.up import PreparationFailedError, prepare, suite
from tiermesh_cli.up import seed as seed_database

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Answers each question at the cheapest model tier that answers it right.",
)
app.add_typer(evaluation, name="eval")
app.command()(replay)
app.command()(label)
app.command(context_settings=AS_GIVEN)(calibrate)
app.command("seed-insights")(seed_insights)
app.command("service-token")(service_token)


@app.command()
def up(
    state: StateOption = None,
    sample: Annotated[bool, typer.Option("--sample", help="Ask one question per route when up.")] = False,
    any_ports: Annotated[bool, typer.Option("--any-ports", help="Take whatever ports are free.")] = False,
) -> None:
    """Start every service, watch them, end them all with one Ctrl-C."""
    home, console = find_home(state), Console()
    _fail_when_up(home)
    prepare(home)
    run(_stay_up(home, console, free_ports() if any_ports else DEFAULT_PORTS, sample=sample))


@app.command()
def demo() -> None:
    """Start the suite apart, ask one question per route and a follow-up, stop; exit 1 if one went wrong."""
    home, console = find_home(None, "demo"), Console()
    prepare(home)
    run(_demo(home, console))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as one line of JSON.")] = False,
    person: PersonOption = "manager",
    tenant: TenantOption = "acme",
    conversation: Annotated[str, typer.Option(help="Conversation to go on with.")] = "",
    pill: Annotated[str, typer.Option(help="Token of the pill that this text is of, as --json gives it.")] = "",
    gateway: GatewayOption = None,
    timeout: Annotated[float, typer.Option(min=0.001, max=180, help="Seconds to wait at the most.")] = 60.0,
    state: StateOption = None,
) -> None:
    """Ask a question and stream the answer, its table, its pills and its receipt."""
    home = find_home(state)
    address, token = sign_in(home, gateway, person, tenant)
    run(_ask(address, token, question, conversation=conversation, pill=pill, timeout=timeout, as_json=as_json))


@app.command()
def confirm(
    proposal: Annotated[str, typer.Argument(help="Token of the proposal.")],
    person: PersonOption = "manager",
    tenant: TenantOption = "acme",
    gateway: GatewayOption = None,
    state: StateOption = None,
) -> None:
    """Do what a proposal says, exactly once."""
    home = find_home(state)
    address, token = sign_in(home, gateway, person, tenant)
    run(_confirm(address, token, proposal))


@app.command()
def seed(
    employees: Annotated[int, typer.Option(min=10, max=100_000)] = 500,
    years: Annotated[int, typer.Option(min=1, max=10)] = 3,
    as_of: Annotated[
        str | None, typer.Option(help="Day that the data ends on, ISO 8601; today where left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    state: StateOption = None,
) -> None:
    """Fill the database with the pack's company."""
    seed_database(find_home(state), employees=employees, years=years, force=force, as_of=as_of)


@app.command()
def people(state: StateOption = None) -> None:
    """List who you can ask as."""
    for name, person in read_personas(find_home(state).pack).items():
        typer.echo(f"{name:18} {person.subject}  {', '.join(person.roles)}")


@app.command()
def doctor(state: StateOption = None) -> None:
    """Say what is missing or unreachable, and the mend. Exit 1 when something is."""
    home, console = find_home(state), Console()
    run(_doctor(home, console))


insights.register(app)


def main() -> None:
    """Run the command; every foreseeable failure is one clear line."""
    try:
        app()
    except (ProjectNotFoundError, UnknownPersonError) as missing:
        say_failed(str(missing), 2)
    except OSError as error:
        say_failed(f"{error.filename or 'the system'}: {error.strerror or error}", 2)
    except (PreparationFailedError, StartFailedError) as failed:
        say_failed(str(failed), 1)


async def _stay_up(home: Home, console: Console, ports: Mapping[str, int], *, sample: bool) -> int:
    stopped = _stop_event()
    async with suite(home, ports, console) as supervisor:
        console.print(Text(f"up: gateway on 127.0.0.1:{ports['gateway']}", style="bold green"))
        console.print(Text(f"    console on http://127.0.0.1:{ports['console']}", style="bold green"))
        if sample:
            await _samples(home, console)
        console.print(
            Text('try: tiermesh ask "who took the most leave this year?"    Ctrl-C ends everything', style="dim")
        )
        failure = await _watch(supervisor, stopped)
        console.print(Text("draining …", style="dim"))
    if failure:
        raise failure
    return 0


async def _watch(supervisor: Supervisor, stopped: asyncio.Event) -> StartFailedError | None:
    """Watch until told to stop; return why the suite cannot go on, if it cannot."""
    watching = asyncio.create_task(supervisor.watch())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await watching
        except StartFailedError as error:
            return error
    return None


async def _demo(home: Home, console: Console) -> int:
    async with suite(home, free_ports(), console):
        failures = await _samples(home, console)
    for failure in failures:
        console.print(Text(f"✗ {failure}", style="red"))
    if not failures:
        console.print(Text("✓ every question took its route and was answered completely", style="green"))
    return 1 if failures else 0


async def _samples(home: Home, console: Console) -> list[str]:
    address, token = sign_in(home, None, "manager", "acme")
    async with signed_in(address, token) as asker:
        return await ask_samples(asker, console)


async def _ask(
    address: str, token: str, question: str, *, conversation: str, pill: str, timeout: float, as_json: bool
) -> int:
    view = AnswerView(Console())
    complete = False
    async with signed_in(address, token) as asker:
        async for event in asker.ask(question, conversation_id=conversation, pill_token=pill, timeout=timeout):
            if as_json:
                typer.echo(json.dumps(event, ensure_ascii=False))
            else:
                view.show(event)
            complete = complete or bool(event["event"] == "answer_done" and event["complete"])
            if event["event"] == "decision" and not as_json:
                typer.echo(f"conversation {event['conversation_id']}", err=True)
    return 0 if complete else 1


async def _confirm(address: str, token: str, proposal: str) -> int:
    async with signed_in(address, token) as asker:
        done = await asker.client.confirm(proposal)
    typer.echo(done.summary + ("  (had been done before)" if done.repeated else ""))
    return 0


async def _doctor(home: Home, console: Console) -> int:
    wrong = 0
    async for finding in examination.examine(home):
        wrong += not finding.good
        mark, style = ("✓", "green") if finding.good else ("✗", "red")
        line = Text.assemble((f"{mark} ", style), f"{finding.what:24} {finding.detail}")
        console.print(line if finding.good else line.append(f"  → {finding.mend}", style="bold"), soft_wrap=True)
    return 1 if wrong else 0


def _stop_event() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _fail_when_up(home: Home) -> None:
    running = RunningSuite.read(home.running)
    if running is not None:
        say_failed(
            f"a suite runs from {home.state} already (process {running.pid}): end it with Ctrl-C there, or use --state",
            2,
        )
