"""What every command that asks a gateway shares: its options, where the project is, signing in, and how it ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from tiermesh_runtime.errors import RpcError

from tiermesh_cli.home import Home
from tiermesh_cli.keys import sign_in_token
from tiermesh_cli.people import find_person
from tiermesh_cli.running import RunningSuite

StateOption = Annotated[
    Path | None, typer.Option("--state", help="Folder for keys, data and logs.", show_default=".tiermesh")
]
TenantOption = Annotated[str, typer.Option(help="Tenant to sign in to.")]
PersonOption = Annotated[str, typer.Option("--as", help="Persona (manager, employee, …) or employee id.")]
GatewayOption = Annotated[str | None, typer.Option(help="host:port; the running suite's where left out.")]


def find_home(state: Path | None, name: str = "") -> Home:
    """Return the project with its state folder, or a folder of its own beneath."""
    found = Home.find(state)
    return Home(found.project, found.state / name) if name else found


def sign_in(home: Home, gateway: str | None, person: str, tenant: str) -> tuple[str, str]:
    """Return the gateway's address and a token: TIERMESH_TOKEN, or one signed by the development keys."""
    if gateway is None:
        running = RunningSuite.read(home.running)
        if running is None:
            say_failed(
                f"no suite runs from {home.state}: start one with `make run`, or name a gateway with --gateway", 2
            )
        gateway = running.gateway
    token = os.environ.get("TIERMESH_TOKEN")
    if not token:
        who = find_person(home.pack, person)
        token = sign_in_token(home.keys, tenant=tenant, subject=who.subject, roles=who.roles)
    return gateway, token


def run(work: Coroutine[Any, Any, int]) -> None:
    """Run to the end; a refused call is one line with its reason."""
    try:
        code = asyncio.run(work)
    except RpcError as error:
        say_failed(f"{error.reason or error.code.name}: {error.message}", 1)
    except KeyboardInterrupt:
        code = 130
    raise typer.Exit(code)


def say_failed(message: str, code: int) -> NoReturn:
    """End the command with one line."""
    typer.echo(f"tiermesh: {message}", err=True)
    sys.exit(code)
