"""The jobs, as clients of the service: `python -m tiermesh_insights.jobs report|audit|tune --address … --token-file …`.

A person's command (`tiermesh audit`) and a scheduler call the same. The token is a principal for insights: a person's,
or a service principal of purpose `report` (`tune` for tuning). Exit codes: 0 done, 1 a limit is broken or the call
failed, 2 wrong options.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime.channels import checked_address, open_channel, tls_credentials
from tiermesh_runtime.errors import from_call
from tiermesh_runtime.principal import METADATA_KEY

_SECONDS = 30.0
_AUDIT_SECONDS = 175.0


class Client:
    """Calls the service with one token."""

    def __init__(self, channel: grpc.aio.Channel, token: str, selection: pb.Selection) -> None:
        self.stub: rpc.InsightsServiceAsyncStub = rpc.InsightsServiceStub(channel)
        self.metadata = ((METADATA_KEY, token),)
        self.selection = selection


async def report(client: Client, _: argparse.Namespace) -> int:
    """Print confidence, routing and cost of the selection."""
    stub, selection, token = client.stub, client.selection, client.metadata
    confidence = await stub.ReportConfidence(
        pb.ReportConfidenceRequest(selection=selection), metadata=token, timeout=_SECONDS
    )
    routing = await stub.ReportRouting(pb.ReportRoutingRequest(selection=selection), metadata=token, timeout=_SECONDS)
    cost = await stub.ReportCost(pb.ReportCostRequest(selection=selection), metadata=token, timeout=_SECONDS)
    _say(
        f"{selection.tenant}: {confidence.decisions} decisions with a confidence, {confidence.with_outcome} with "
        f"an outcome; threshold {confidence.threshold.value:.3f} ({confidence.threshold.version or 'none yet'})"
    )
    _say("\nconfidence   decisions   success (95 %)")
    for band in confidence.bands:
        success = _rate(band.success) if band.HasField("success") else "–"
        _say(f"{band.low:.1f} – {band.high:.1f}   {band.decisions:9}   {success}")
    if confidence.HasField("adaptive_calibration_error"):
        error = confidence.adaptive_calibration_error
        brier = confidence.brier_interval
        _say(f"calibration error {error.value:.3f} ({error.low:.3f} to {error.high:.3f}), Brier {brier.value:.3f}")
    for point in routing.points:
        _say(f"\nroutes        {_shares(point.routes)}\ndecided by    {_shares(point.stages)}")
        _say(f"quality loss  {_rate(point.quality_loss)}\ncost inflation {_rate(point.cost_inflation)}")
        _say(f"bounces       {_rate(point.bounces)}\nescalated     {_rate(point.escalated)}")
        _say(f"traps refused {point.traps_refused}")
    _say(f"\nspent {_dollars(cost.total.total_micros)} on {cost.questions} questions{_at_least(cost.total)}")
    if cost.HasField("saving_against_tier2"):
        saved = cost.saving_against_tier2
        _say(
            f"saved against everything at tier 2: {_dollars(saved.value_micros)} "
            f"(95 %: {_dollars(saved.low_micros)} to {_dollars(saved.high_micros)})"
        )
    for tag in cost.tags:
        _say(f"  {tag.tag:16} {tag.model:24} {tag.calls:6} calls  {_dollars(tag.cost_micros)}")
    for each in confidence.drift:
        if each.flagged:
            _say(f"DRIFT in {each.what}: {each.detail} (p = {each.p_value:.2g})")
    return 0


async def audit(client: Client, options: argparse.Namespace) -> int:
    """Have a sample judged anew, write the report in both forms; 1 past a limit."""
    request = pb.RunAuditRequest(selection=client.selection, sample=options.sample, mid_model=options.mid_model)
    found = await client.stub.RunAudit(request, metadata=client.metadata, timeout=_AUDIT_SECONDS)
    written = await asyncio.to_thread(_write, options.out, client.selection.tenant, found)
    _say(f"misroute rate {_rate(found.misroute)} of {found.judged} judged; limit {found.misroute_limit:.1%}")
    if not found.judge.trusted:
        _say("the judge's own health is not shown: " + "; ".join(found.judge.problems))
    for failure in found.failures:
        _say(f"FAILED: {failure}")
    _say("report: " + ", ".join(map(str, written)))
    return 1 if found.failed else 0


def _write(folder: Path, tenant: str, found: pb.RunAuditResponse) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"audit-{tenant}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    written = {folder / f"{name}.md": found.report, folder / f"{name}.html": found.html}
    for path, text in written.items():
        path.write_text(text, "utf-8")
    return list(written)


async def tune(client: Client, _: argparse.Namespace) -> int:
    """Propose a threshold and put it in force: the quarterly job, where the tenant lets it."""
    try:
        answer = await client.stub.ProposeThreshold(
            pb.ProposeThresholdRequest(selection=client.selection), metadata=client.metadata, timeout=_SECONDS
        )
    except grpc.aio.AioRpcError as error:
        if from_call(error).reason != "SAMPLE_TOO_SMALL":
            raise
        _say(f"no proposal: {from_call(error).message}")
        return 0
    proposal = answer.proposal
    _say(proposal.evidence)
    if not proposal.proposal_id:
        return 0
    apply = pb.ApplyThresholdRequest(tenant=proposal.tenant, proposal_id=proposal.proposal_id)
    policy = (await client.stub.ApplyThreshold(apply, metadata=client.metadata, timeout=_SECONDS)).policy
    _say(f"\nin force: {policy.threshold:.3f} as version {policy.version}")
    return 0


_JOBS: Mapping[str, Callable[[Client, argparse.Namespace], Awaitable[int]]] = {
    "report": report,
    "audit": audit,
    "tune": tune,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        token = options.token_file.read_text("utf-8").strip()
        address = checked_address(options.address)
        credentials = tls_credentials(options.tls_ca, options.tls_certificate, options.tls_key)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    selection = pb.Selection(tenant=options.tenant)
    if options.days:
        start = Timestamp()
        start.FromDatetime(datetime.now(UTC) - timedelta(days=options.days))
        selection.start.CopyFrom(start)
    return asyncio.run(_run(options, address, credentials, token, selection))


async def _run(
    options: argparse.Namespace,
    address: str,
    credentials: grpc.ChannelCredentials | None,
    token: str,
    selection: pb.Selection,
) -> int:
    async with open_channel(address, credentials=credentials) as channel:
        try:
            return await _JOBS[options.job](Client(channel, token, selection), options)
        except grpc.aio.AioRpcError as error:
            told = from_call(error)
            sys.stderr.write(f"{told.reason or told.code.name}: {told.message}\n")
            return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tiermesh_insights.jobs", description="Jobs around the log.")
    parser.add_argument("job", choices=sorted(_JOBS))
    parser.add_argument("--address", required=True, help="host:port of insights")
    parser.add_argument("--token-file", required=True, type=Path, help="file with a principal for insights")
    parser.add_argument("--tls-ca", type=Path, help="PEM file of the CA of insights' certificate")
    parser.add_argument("--tls-certificate", type=Path, help="PEM file of the job's own certificate")
    parser.add_argument("--tls-key", type=Path, help="PEM file of its key")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--days", type=int, default=0, help="how far back; 0 takes all, an audit a quarter")
    parser.add_argument("--sample", type=int, default=200, help="answers that an audit judges")
    parser.add_argument("--mid-model", default="", help="mid-size model that an audit holds the saving against")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for an audit's reports")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _rate(rate: pb.Rate) -> str:
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}, n = {rate.count})" if rate.count else "nothing known"


def _shares(shares: Sequence[pb.ReportRoutingResponse.Share]) -> str:
    return ", ".join(f"{each.name} {each.rate.value:.0%}" for each in shares)


def _dollars(micros: int) -> str:
    return f"{micros / 1e6:,.4f} $"


def _at_least(total: usage_pb2.CostSummary) -> str:
    return ", at least" if total.at_least else ""


if __name__ == "__main__":
    sys.exit(main())
