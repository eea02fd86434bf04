"""Gathers what others know of the questions: the gateway's receipts, insights' log and ledger, the provider's own
journal, the spans that a collector got. Judging it is the checker's."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from tiermesh.common.v1 import usage_pb2
from tiermesh.gateway.v1 import gateway_service_pb2
from tiermesh_cli.keys import sign_in_token
from tiermesh_client import TiermeshClient
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.testing import OtlpReceiver

from tests.faults.suite.asker import QUESTIONS
from tests.faults.suite.checker import Booking, Decision, Ending, Evidence, ModelCall, Receipt, Root
from tests.faults.suite.history import Question
from tests.faults.suite.postgres import Postgres

SETTLE_SECONDS = 60.0
_ASK = "tiermesh.gateway.v1.GatewayService/Ask"
_AT_ONCE = 8
_TRIES = 10
_ROUNDS = 10


async def receipts(address: str, keys: Path, history: Sequence[Question]) -> dict[str, Receipt]:
    """Ask the gateway for the receipt of each question that showed one."""
    roles = {person: roles for _, person, roles in QUESTIONS}
    found: dict[str, Receipt] = {}
    room = asyncio.Semaphore(_AT_ONCE)

    async def fetch(client: TiermeshClient, question: Question) -> None:
        async with room:
            response = await _receipt(client, question.request_id)
        if response is None:
            return
        receipt = response.receipt
        found[question.request_id] = Receipt(
            receipt.request_id, receipt.decision_id, receipt.complete, receipt.cost.total_micros
        )

    for person in {each.person for each in history}:
        token = sign_in_token(keys, tenant="acme", subject=person, roles=roles[person])
        mine = [each for each in history if each.person == person and each.receipt is not None]
        async with TiermeshClient(address, token=token) as client:
            await asyncio.gather(*(fetch(client, each) for each in mine))
    return found


async def _receipt(client: TiermeshClient, request_id: str) -> gateway_service_pb2.GetReceiptResponse | None:
    """Return the receipt, None when there is none: a gateway that is busy is asked again."""
    for tries in range(_TRIES):
        try:
            return await client.receipt(request_id)
        except RpcError as error:
            if error.code is grpc.StatusCode.NOT_FOUND:
                return None
            if tries == _TRIES - 1:
                raise
            await asyncio.sleep(0.5)
    return None


async def log_and_ledger(database: Postgres) -> tuple[list[Decision], list[Ending], list[Booking]]:
    """Read what insights stored."""
    decisions = await database.fetch("insights", "SELECT decision_id, request_id FROM decisions")
    endings = await database.fetch("insights", "SELECT decision_id, complete FROM endings")
    usage = await database.fetch("insights", "SELECT record FROM usage")
    return (
        [Decision(row["decision_id"], row["request_id"]) for row in decisions],
        [Ending(row["decision_id"], row["complete"]) for row in endings],
        [_booking(usage_pb2.LedgerEntry.FromString(row["record"])) for row in usage],
    )


def _booking(entry: usage_pb2.LedgerEntry) -> Booking:
    return Booking(
        entry.entry_id,
        entry.request_id,
        entry.provider_request_id,
        entry.model,
        entry.cost_micros,
        entry.outcome != usage_pb2.CALL_OUTCOME_INTENDED,
    )


def model_calls(simulator: str) -> list[ModelCall]:
    """Return the calls that the simulator saw, by its own journal."""
    with urllib.request.urlopen(f"http://{simulator}/simulator/requests", timeout=20) as reply:
        report: Mapping[str, Any] = json.load(reply)
    calls = [each for each in report["requests"] if each["path"] == "/v1/messages" and each["model"]]
    assert len(report["requests"]) == report["total"], "the simulator's journal was too small for the run"
    return [ModelCall(each["request_id"], each["model"], each["started"], each["outcome"]) for each in calls]


def roots(receiver: OtlpReceiver) -> list[Root]:
    """Return the outermost span of each question."""
    return [
        Root(span.trace_id.hex(), span.span_id.hex(), service)
        for service, span in receiver.spans()
        if span.name == _ASK and span.kind == span.SPAN_KIND_SERVER
    ]


def undelivered(spools: Sequence[Path]) -> int:
    """Return how many records wait in spools, those that were set aside included."""
    waiting = 0
    for path in spools:
        if path.exists():
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
                waiting += connection.execute("SELECT count(*) FROM records").fetchone()[0]
    return waiting


async def settled(condition: Callable[[], bool], seconds: float = SETTLE_SECONDS) -> None:
    """Return when everything has come to rest, or when it had its time: what still waits is the checker's to find."""
    give_up = asyncio.get_running_loop().time() + seconds
    while not condition() and asyncio.get_running_loop().time() < give_up:  # noqa: ASYNC110 - as below
        await asyncio.sleep(0.1)  # other processes' files and spans: nothing here is told of them


async def gather(
    history: Sequence[Question],
    *,
    gateway: str,
    keys: Path,
    database: Postgres,
    simulator: str,
    receiver: OtlpReceiver,
    spools: Sequence[Path],
) -> Evidence:
    """Wait until nothing is on its way any more, then read everything."""
    for _ in range(_ROUNDS):
        before = await asyncio.to_thread(model_calls, simulator)
        await settled(lambda: undelivered(spools) == 0)
        decisions, endings, bookings = await log_and_ledger(database)
        calls = await asyncio.to_thread(model_calls, simulator)
        # Judges and summaries go on by themselves: only what stood still while the ledger was read can be compared.
        if calls == before and all(call.outcome != "running" for call in calls):
            break
        await asyncio.sleep(1.0)
    traces = {str(each.decision.get("trace_id")) for each in history if each.receipt is not None}
    await settled(lambda: traces <= {root.trace_id for root in roots(receiver)}, 5.0)
    return Evidence(
        await receipts(gateway, keys, history),
        decisions,
        endings,
        bookings,
        calls,
        roots(receiver),
        undelivered(spools),
    )
