"""`tiermesh replay`: what another threshold would have done on the decision log, at what cost and with which errors.

Against a running suite insights answers, with outcomes and intervals. With `--log` an export is decided again here:
every record holds what it was decided on, so that no service is needed; what became of the answers is not in it.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_client import TiermeshClient
from tiermesh_policy import load_inputs
from tiermesh_policy.record import RecordUnreadableError
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.errors import from_call
from tiermesh_runtime.principal import METADATA_KEY

from tiermesh_cli.commands import PersonOption, StateOption, TenantOption, find_home, run, say_failed, sign_in
from tiermesh_cli.home import Home
from tiermesh_cli.running import RunningSuite

_SECONDS = 30.0


@dataclass
class Replayed:
    """What deciding a log again came to."""

    threshold: float
    decisions: int = 0
    changed: int = 0
    escalated_before: int = 0
    escalated: int = 0
    cost_change_micros: int = 0
    # Such as "tier1 → tier2".
    moves: dict[str, int] = field(default_factory=dict)
    # Decisions without a record of what they were decided on, and records that cannot be read.
    without_record: int = 0
    unreadable: int = 0


def replay_log(lines: Iterable[str], threshold: float, since: datetime | None = None) -> Replayed:
    """Decide an export again; ValueError names the line that is no decision."""
    replayed, moves = Replayed(threshold), Counter[str]()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            decided_at = datetime.fromisoformat(row["decided_at"])
            record = base64.b64decode(row.get("inputs") or "", validate=True)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError(f"line {number}: not a decision of `tiermesh export decisions`") from None
        if since is not None and decided_at.replace(tzinfo=decided_at.tzinfo or UTC) < since:
            continue
        if not record:
            replayed.without_record += 1
            continue
        try:
            inputs = load_inputs(record)
        except RecordUnreadableError:
            replayed.unreadable += 1
            continue
        before, after = inputs.decide(), inputs.under(threshold).decide()
        replayed.decisions += 1
        replayed.escalated_before += _escalated(before.tier)
        replayed.escalated += _escalated(after.tier)
        replayed.cost_change_micros += after.estimated_cost_micros - before.estimated_cost_micros
        if after.route != before.route:
            replayed.changed += 1
            moves[f"{before.route or 'none'} → {after.route or 'none'}"] += 1
    replayed.moves = dict(moves.most_common())
    return replayed


def _escalated(tier: int | None) -> bool:
    return tier is not None and tier > 1


def replay(
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Threshold to decide under.")],
    since: Annotated[str | None, typer.Option(help="ISO 8601 day or moment to begin with.")] = None,
    log: Annotated[
        Path | None, typer.Option(help="Export of decisions (JSON Lines) instead of the running suite's log.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print for machines.")] = False,
    person: PersonOption = "operator",
    tenant: TenantOption = "acme",
    state: StateOption = None,
) -> None:
    """Say what another threshold would have done on the decision log, with cost and errors."""
    start = _moment(since)
    if log is not None:
        try:
            with log.open(encoding="utf-8") as lines:
                replayed = replay_log(lines, threshold, start)
        except ValueError as error:
            say_failed(f"{log}: {error}", 2)
        _show_local(replayed, as_json=as_json)
        return
    home = find_home(state)
    run(_ask_insights(home, tenant, person, threshold, start, as_json=as_json))


def _moment(since: str | None) -> datetime | None:
    if since is None:
        return None
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        say_failed(f"--since {since!r} is no ISO 8601 day or moment, such as 2026-11-27", 2)
    return moment.replace(tzinfo=moment.tzinfo or UTC)


async def _ask_insights(
    home: Home, tenant: str, person: str, threshold: float, since: datetime | None, *, as_json: bool
) -> int:
    gateway, token = sign_in(home, None, person, tenant)
    running = RunningSuite.read(home.running)
    if running is None:
        say_failed(f"no suite runs from {home.state}: start one with `make run`, or name an export with --log", 2)
    async with TiermeshClient(gateway, token=token) as client:
        principal = (await client.issue_principal()).principal
    selection = pb.Selection(tenant=tenant)
    if since is not None:
        selection.start.FromDatetime(since)
    async with open_channel(running.addresses["insights"]) as channel:
        try:
            response = await rpc.InsightsServiceStub(channel).ReplayPolicy(
                pb.ReplayPolicyRequest(selection=selection, threshold=threshold),
                metadata=((METADATA_KEY, principal),),
                timeout=_SECONDS,
            )
        except grpc.aio.AioRpcError as error:
            raise from_call(error) from error
    values = _values(response, threshold)
    typer.echo(json.dumps(values, indent=2) if as_json else _told(values))
    return 0


def _values(response: pb.ReplayPolicyResponse, threshold: float) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "decisions": response.decisions,
        "changed": response.changed,
        "escalated_before": _rate(response.escalated_before),
        "escalated": _rate(response.escalated),
        "quality_loss_before": _rate(response.quality_loss_before),
        "quality_loss": _rate(response.quality_loss),
        "cost_inflation": _rate(response.cost_inflation),
        "cost_change_micros": response.cost_change_micros,
    }


def _rate(rate: pb.Rate) -> dict[str, float]:
    return {"value": rate.value, "low": rate.low, "high": rate.high, "count": rate.count}


def _told(values: dict[str, Any]) -> str:
    def share(name: str) -> str:
        rate = values[name]
        if not rate["count"]:
            return "unknown (nothing observed)"
        return f"{rate['value']:.1%} ({rate['low']:.1%} to {rate['high']:.1%}, n = {rate['count']})"

    return "\n".join(
        (
            f"{values['decisions']} decisions under threshold {values['threshold']}: {values['changed']} would change",
            f"escalated       {share('escalated_before')} → {share('escalated')}",
            f"quality loss    {share('quality_loss_before')} → {share('quality_loss')}",
            f"cost inflation  {share('cost_inflation')}",
            f"cost            {values['cost_change_micros'] / 1e6:+.4f} $",
        )
    )


def _show_local(replayed: Replayed, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(replayed), indent=2, ensure_ascii=False))
        return
    typer.echo(
        f"{replayed.decisions} decisions under threshold {replayed.threshold}: {replayed.changed} would change\n"
        f"escalated       {replayed.escalated_before} → {replayed.escalated}\n"
        f"estimated cost  {replayed.cost_change_micros / 1e6:+.4f} $"
    )
    for move, count in replayed.moves.items():
        typer.echo(f"  {move}: {count}")
    if replayed.without_record or replayed.unreadable:
        typer.echo(
            f"left out: {replayed.without_record} without what they were decided on, {replayed.unreadable} unreadable"
        )
