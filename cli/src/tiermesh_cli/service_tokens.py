"""`tiermesh service-token`: signs the principal that a job or a service brings where no person asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from tiermesh_runtime.principal import PrincipalSigner

from tiermesh_cli.commands import say_failed

_DAY_SECONDS = 24 * 3600.0


def service_token(
    subject: Annotated[str, typer.Argument(help="Who brings it, such as executor or refresh-views.")],
    *,
    purpose: Annotated[str, typer.Option(help="What it is good for, such as record, judge, refresh-views or report.")],
    audience: Annotated[str, typer.Option(help="The service that it is good at, such as insights.")],
    key: Annotated[Path, typer.Option(help="PEM file with the gateway's private key (principal.pem).")],
    tenant: Annotated[str, typer.Option(help="Tenant; * for all.")] = "*",
    pack_version: Annotated[str, typer.Option(help="Pack, such as hr@1.0.0, where the service asks for one.")] = "",
    days: Annotated[float, typer.Option(min=0.01, max=366, help="How long it is good for.")] = 30,
) -> None:
    """Print a service principal: one purpose, one service, for some days."""
    try:
        signer = PrincipalSigner(key.read_bytes())
    except (OSError, ValueError) as error:
        say_failed(f"{key}: {error}; name the PEM file with the Ed25519 key that the gateway signs with", 2)
    typer.echo(
        signer.mint(
            tenant=tenant,
            subject=subject,
            roles=(),
            audience=(audience,),
            purpose=purpose,
            pack_version=pack_version,
            request_id="",
            ttl=days * _DAY_SECONDS,
        )
    )
