"""The decision log: records go into the spool at once, and from there to insights, off every question's path."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import grpc
from tiermesh.common.v1 import pill_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_policy import Tier
from tiermesh_runtime.spool import RejectedError, Spool

from tiermesh_gateway.adapters.insights import RecordPrincipal
from tiermesh_gateway.adapters.translate import (
    ROUTES,
    TIERS,
    conversation_turns,
    decision_message,
    duration,
    request_context,
    tables_json,
    timestamp,
)
from tiermesh_gateway.answer import Answered
from tiermesh_gateway.background import Background
from tiermesh_gateway.events import DecisionMade, Receipt
from tiermesh_gateway.ports import Outcome, OutcomeSource
from tiermesh_gateway.question import Owner, Turn

DECISIONS = "decision"
OUTCOMES = "outcome"
SAMPLES = "sample"
PILLS = "pill"
DELIVERY_SECONDS = 10.0
_MOST_POSITION = 20
_MOST_SAMPLES = 50
_MOST_CONTEXT_TURNS = 16
_MOST_ANSWER = 65_536
_Source = pb.Outcome.Source
_SOURCES = {
    OutcomeSource.THUMB: _Source.SOURCE_THUMB,
    OutcomeSource.HUMAN_OVERRIDE: _Source.SOURCE_HUMAN_OVERRIDE,
    OutcomeSource.BOUNCE: _Source.SOURCE_BOUNCE,
    OutcomeSource.PILL_CLICK: _Source.SOURCE_PILL_CLICK,
    OutcomeSource.ABANDONED: _Source.SOURCE_ABANDONED,
    OutcomeSource.COMPLETION: _Source.SOURCE_COMPLETION,
    OutcomeSource.SHADOW: _Source.SOURCE_SHADOW,
}


class SpoolRecorder:
    """Takes records without waiting."""

    def __init__(self, spool: Spool, background: Background, subject_key: bytes) -> None:
        self._spool = spool
        self._background = background
        self._subject_key = subject_key

    def decided(self, turn: Turn, made: DecisionMade, position: str, at: datetime) -> None:
        """A decision, with everything that is needed to replay it and no text."""
        record = pb.DecisionRecord(
            decision=decision_message(made),
            context=request_context(turn),
            decided_at=timestamp(at),
            subject_hash=subject_hash(self._subject_key, turn.question.owner),
            position=position[:_MOST_POSITION],
            base_threshold=turn.question.tenant.policy.thresholds.tier1,
            inputs=made.inputs.dump(),
        )
        self._background.start(self._spool.append(DECISIONS, record.SerializeToString()))

    def became(self, outcome: Outcome) -> None:
        """An outcome."""
        record = pb.Outcome(
            outcome_id=outcome.outcome_id,
            decision_id=outcome.decision_id,
            tenant=outcome.tenant,
            source=_SOURCES[outcome.source],
            success=outcome.success,
            weight=outcome.weight,
            at=timestamp(outcome.at),
            ending=None if outcome.receipt is None else _ending(outcome.receipt, outcome.bounce_cause),
        )
        self._background.start(self._spool.append(OUTCOMES, record.SerializeToString()))

    def sampled(
        self,
        turn: Turn,
        made: DecisionMade,
        answered: Answered,
        drawn_with: float,
        at: datetime,
        *,
        shadow: bool = False,
    ) -> None:
        """Question and answer of a turn that a judge is to read: the only text that leaves the gateway's store."""
        last = answered.costs[-1] if answered.costs else None
        sample = pb.Sample(
            sample_id=f"{made.decision_id}.{'shadow' if shadow else 'served'}",
            decision_id=made.decision_id,
            tenant=turn.question.tenant.name,
            subject_hash=subject_hash(self._subject_key, turn.question.owner),
            at=timestamp(at),
            kind=pb.Sample.KIND_SHADOW if shadow else pb.Sample.KIND_SERVED,
            question=turn.question.text,
            context=list(conversation_turns(answered.exchanges[-_MOST_CONTEXT_TURNS // 2 :])),
            answer=answered.reply[:_MOST_ANSWER],
            tables_json=tables_json(answered.tables),
            route=ROUTES[answered.route],
            tier=TIERS[answered.tier],
            model="" if answered.end is None else answered.end.model[:120],
            tag="" if last is None else last.tag,
            prompt_version="" if last is None else last.prompt_version,
            intent="" if made.inputs.scores is None else made.inputs.scores.intent.label[:80],
            drawn_with=drawn_with,
        )
        self._background.start(self._spool.append(SAMPLES, sample.SerializeToString()))

    def showed_pills(
        self, turn: Turn, decision_id: str, answered_by: Tier, pills: Sequence[pill_pb2.Pill], at: datetime
    ) -> None:
        """Pills that were shown, in order, without their words."""
        for place, pill in enumerate(pills, start=1):
            record = pb.PillRecord(
                pill_id=pill.pill_id,
                tenant=turn.question.tenant.name,
                state=pb.PillRecord.STATE_SHOWN,
                decision_id=decision_id,
                at=timestamp(at),
                kind=pill.kind,
                source=pill.source,
                place=place,
                tier=TIERS[answered_by],
            )
            self._background.start(self._spool.append(PILLS, record.SerializeToString()))

    def clicked_pill(self, tenant: str, pill_id: str, decision_id: str, at: datetime) -> None:
        """A pill that was clicked."""
        state = pb.PillRecord.STATE_CLICKED
        record = pb.PillRecord(pill_id=pill_id, tenant=tenant, state=state, decision_id=decision_id, at=timestamp(at))
        self._background.start(self._spool.append(PILLS, record.SerializeToString()))


def _ending(receipt: Receipt, bounce_cause: str) -> pb.Ending:
    return pb.Ending(
        route=ROUTES[receipt.route],
        tier=TIERS[receipt.tier],
        complete=receipt.complete,
        bounce_cause=bounce_cause[:40],
        first_answer_event=duration(receipt.timings.first_answer_event),
        total=duration(receipt.timings.total),
        pills=receipt.pills,
    )


def subject_hash(key: bytes, owner: Owner) -> str:
    """A person in the decision log: found again with the key, not read without it."""
    return hmac.new(key, f"{owner.tenant}\0{owner.subject}".encode(), hashlib.sha256).hexdigest()


class Delivery:
    """Carries records from the spool to insights for as long as the process lives."""

    def __init__(self, spool: Spool, channel: grpc.aio.Channel, principal: RecordPrincipal) -> None:
        self._spool = spool
        self._stub = rpc.InsightsServiceStub(channel)
        self._principal = principal

    async def __aenter__(self) -> Delivery:
        self._stop = asyncio.Event()
        self._ending = AsyncExitStack()
        group = await self._ending.enter_async_context(asyncio.TaskGroup())
        group.create_task(self._spool.deliver(DECISIONS, self._deliver_decisions, self._stop))
        group.create_task(self._spool.deliver(OUTCOMES, self._deliver_outcomes, self._stop))
        group.create_task(self._spool.deliver(SAMPLES, self._deliver_samples, self._stop))
        group.create_task(self._spool.deliver(PILLS, self._deliver_pills, self._stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._ending.aclose()

    async def _deliver_decisions(self, payloads: list[bytes]) -> None:
        request = pb.RecordDecisionsRequest(decisions=[pb.DecisionRecord.FromString(each) for each in payloads])
        await self._send(self._stub.RecordDecisions, request)

    async def _deliver_outcomes(self, payloads: list[bytes]) -> None:
        request = pb.RecordOutcomesRequest(outcomes=[pb.Outcome.FromString(each) for each in payloads])
        await self._send(self._stub.RecordOutcomes, request)

    async def _deliver_samples(self, payloads: list[bytes]) -> None:
        samples = [pb.Sample.FromString(each) for each in payloads]
        # A request holds at most fifty; what was stored before a failure is known by its id.
        for start in range(0, len(samples), _MOST_SAMPLES):
            request = pb.RecordSamplesRequest(samples=samples[start : start + _MOST_SAMPLES])
            await self._send(self._stub.RecordSamples, request)

    async def _deliver_pills(self, payloads: list[bytes]) -> None:
        request = pb.RecordPillsRequest(pills=[pb.PillRecord.FromString(each) for each in payloads])
        await self._send(self._stub.RecordPills, request)

    async def _send(self, method: Callable[..., Awaitable[object]], request: Any) -> None:
        try:
            await method(request, timeout=DELIVERY_SECONDS, metadata=self._principal.metadata())
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise RejectedError("insights will never take this record") from error
            raise
