"""One question, from its conversation to its receipt: remember, classify, decide, answer beside pills, record.

The order of the steps is the substance here; each step is in a module of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from tiermesh_policy import Decision, Inputs, Route

from tiermesh_gateway import outcomes
from tiermesh_gateway.answer import Answered, AnswerTrack
from tiermesh_gateway.background import Background
from tiermesh_gateway.conversations import Conversation, Exchange, Summary, TurnOutcome, TurnRecord, within_budget
from tiermesh_gateway.errors import NoRouteAvailable, UnknownConversation
from tiermesh_gateway.events import DecisionMade, Event, Kind, Receipt, Stop, Timings
from tiermesh_gateway.merge import Merge
from tiermesh_gateway.pills import Pills
from tiermesh_gateway.ports import (
    Classifier,
    Clicked,
    Conversations,
    Executors,
    HealthSource,
    PillTokens,
    Recorder,
    Suggester,
    Surroundings,
)
from tiermesh_gateway.question import Owner, Question, Scored, Turn
from tiermesh_gateway.turns import TurnOrder


@dataclass(frozen=True, slots=True)
class Parts:
    """The world, as the domain sees it."""

    classifier: Classifier
    executors: Executors
    suggester: Suggester
    pill_tokens: PillTokens
    conversations: Conversations
    recorder: Recorder
    surroundings: Surroundings
    health: HealthSource
    background: Background


@dataclass(slots=True)
class _Course:
    """One question on its way; None for what has not happened yet."""

    question: Question
    merge: Merge[Event]
    trace_id: str
    started: float
    conversation: Conversation
    turn: Turn
    inputs: Inputs
    clicked: Clicked | None = None
    scored: Scored | None = None
    classified_in: float = 0.0

    @property
    def key(self) -> tuple[Owner, str]:
        """The conversation, as turns of it are told apart from others."""
        return self.question.owner, self.conversation.id


@dataclass(frozen=True, slots=True)
class _Reply:
    """Both tracks of a turn."""

    made: DecisionMade
    decided: Route
    answer: AnswerTrack
    pills: Pills


@dataclass(slots=True)
class Asking:
    """Answers questions. Holds what turns of one process share."""

    parts: Parts
    order: TurnOrder
    most_context_characters: int = 16_000
    _pills: dict[tuple[Owner, str], Pills] = field(default_factory=dict)

    def work(self, question: Question) -> Callable[[Merge[Event]], Awaitable[None]]:
        """The work of one run."""

        async def answer(merge: Merge[Event]) -> None:
            await self._answer(question, merge)

        return answer

    async def _answer(self, question: Question, merge: Merge[Event]) -> None:
        started = asyncio.get_running_loop().time()
        trace_id = self.parts.surroundings.enter(question)
        new = not question.conversation_id
        conversation_id = question.conversation_id or uuid4().hex
        key = (question.owner, conversation_id)
        async with self.order.turn(key):
            if key in self._pills:
                self._pills[key].stop("asked_again")
            conversation = Conversation(conversation_id) if new else await self._known(question)
            turn = Turn(question, conversation_id, conversation.total_turns + 1)
            inputs = Inputs(None, question.tenant.policy)
            course = _Course(question, merge, trace_id, started, conversation, turn, inputs)
            decision = await self._decide(course)
            if new:
                self.parts.background.start(self.parts.conversations.open_conversation(question.owner, conversation_id))
            reply = await self._begin(course, decision)
            self._pills[key] = reply.pills
            try:
                await reply.answer.run()
            except asyncio.CancelledError:
                self._remember(course, reply, TurnOutcome.ABANDONED)
                self._let_go(course, reply)
                raise
            # Before anyone else may ask in this conversation.
            self._remember(course, reply, _outcome(reply.answer.answered))
        try:
            left = question.ends_at - asyncio.get_running_loop().time()
            await reply.pills.wait(min(question.tenant.policy.pills.deadline_seconds, left), late="late")
        finally:
            receipt = self._let_go(course, reply)
        merge.finish(Event(Kind.RECEIPT, receipt))

    async def _known(self, question: Question) -> Conversation:
        known = await self.parts.conversations.load(question.owner, question.conversation_id)
        if known is None:
            raise UnknownConversation
        return known

    async def _decide(self, course: _Course) -> Decision:
        began = asyncio.get_running_loop().time()
        course.clicked = clicked = self.parts.pill_tokens.clicked(course.turn)
        course.scored = scored = (
            await self.parts.classifier.classify(course.turn, course.conversation)
            if clicked is None
            else clicked.scored
        )
        course.classified_in = asyncio.get_running_loop().time() - began
        course.inputs = Inputs(
            None if scored is None else scored.scores,
            course.question.tenant.policy,
            course.conversation.history(),
            self.parts.health.now(),
            course.question.min_tier,
        )
        decision = course.inputs.decide()
        self.parts.surroundings.decided(course.turn, decision, None if scored is None else scored.scores.confidence)
        return decision

    async def _begin(self, course: _Course, decision: Decision) -> _Reply:
        """Tell the decision and start both tracks; the pills at once, the answer when the caller runs it."""
        if decision.route is None:
            raise NoRouteAvailable(decision.reasons[-1].detail)
        scored, turn = course.scored, course.turn
        made = DecisionMade(
            decision_id=uuid4().hex,
            decision=decision,
            scores=None if scored is None else scored.raw,
            request_id=course.question.request_id,
            conversation_id=turn.conversation_id,
            turn=turn.number,
            trace_id=course.trace_id,
            inputs=course.inputs,
        )
        await course.merge.put_answer(Event(Kind.DECISION, made))
        position = "" if scored is None else scored.scores.position.label
        now = datetime.now(UTC)
        self.parts.recorder.decided(turn, made, position, now)
        if course.clicked is not None:
            self.parts.recorder.clicked_pill(course.question.tenant.name, course.clicked.pill_id, made.decision_id, now)
        pills = self._pill_track(course, decision.route)
        answer = AnswerTrack(
            turn,
            decision,
            scored,
            within_budget(course.conversation.exchanges, self.most_context_characters),
            executors=self.parts.executors,
            health=self.parts.health,
            feed=pills,
            emit=course.merge.put_answer,
        )
        return _Reply(made, decision.route, answer, pills)

    def _pill_track(self, course: _Course, route: Route) -> Pills:
        if not course.question.tenant.policy.pills.enabled:
            return Pills(None, course.merge.put_pill, off="switched_off")
        if not course.question.wants_pills:
            return Pills(None, course.merge.put_pill, off="not_wanted")
        opening = self.parts.suggester.begin(course.turn, course.scored, course.conversation, route)
        return Pills(opening, course.merge.put_pill)

    def _remember(self, course: _Course, reply: _Reply, outcome: TurnOutcome) -> None:
        """Hand the turn to the store, which keeps the order: the next load sees it."""
        question, scored, answered, at = course.question, course.scored, reply.answer.answered, datetime.now(UTC)
        record = TurnRecord(
            request_id=question.request_id,
            exchange=Exchange(question.text, answered.reply),
            summary=_summary(course.turn, scored, answered, outcome, at),
            slots=b"" if scored is None else scored.slots,
            vocabulary_version="" if scored is None else scored.vocabulary_version,
        )
        self.parts.background.start(
            self.parts.conversations.append(question.owner, course.turn.conversation_id, record)
        )
        decision_id, tenant = reply.made.decision_id, question.tenant.name
        if outcome is TurnOutcome.ABANDONED:
            self.parts.recorder.became(outcomes.of_abandonment(decision_id, tenant, reply.decided, at))
            return
        complete = answered.end is not None and answered.end.complete
        for each in outcomes.of_end(
            decision_id, tenant, reply.decided, complete=complete, bounces=answered.bounces, at=at
        ):
            self.parts.recorder.became(each)

    def _let_go(self, course: _Course, reply: _Reply) -> Receipt:
        """End the pill track and keep what explains the answer, however far it came."""
        pills = reply.pills
        pills.stop("abandoned")
        if self._pills.get(course.key) is pills:
            del self._pills[course.key]
        receipt = _receipt(course, reply)
        self.parts.surroundings.answered(receipt)
        owner, store = course.question.owner, self.parts.conversations
        if pills.texts:
            self.parts.background.start(store.note_pills(owner, course.turn.conversation_id, pills.texts))
            self.parts.recorder.showed_pills(
                course.turn, receipt.decision_id, receipt.tier, pills.shown, datetime.now(UTC)
            )
        self.parts.background.start(store.note_answer(owner, reply.made, receipt))
        return receipt


def _outcome(answered: Answered) -> TurnOutcome:
    end = answered.end
    if end is None or not end.complete:
        return TurnOutcome.FAILED
    if end.stop is Stop.CLARIFICATION:
        return TurnOutcome.CLARIFIED
    if answered.proposed:
        return TurnOutcome.PROPOSED
    return TurnOutcome.ESCALATED if answered.bounces else TurnOutcome.COMPLETE


def _summary(turn: Turn, scored: Scored | None, answered: Answered, outcome: TurnOutcome, at: datetime) -> Summary:
    scores = None if scored is None else scored.scores
    last = answered.costs[-1] if answered.costs else None
    return Summary(
        turn=turn.number,
        route=answered.route,
        tier=answered.tier,
        intent="" if scores is None else scores.intent.label,
        cardinality="" if scores is None else scores.cardinality.label,
        temporal="" if scores is None else scores.temporal.label,
        aggregation="" if scores is None else scores.aggregation.label,
        ambiguous=scores is not None and scores.ambiguous.label == "yes",
        multi_step=scores is not None and scores.multi_step.label == "yes",
        high_stakes=scores is not None and scores.stakes.label == "high",
        outcome=outcome,
        cached_tokens=0 if last is None else last.cache_read + last.cache_write_5m + last.cache_write_1h,
        at=at,
    )


def _receipt(course: _Course, reply: _Reply) -> Receipt:
    def since(moment: float | None) -> float | None:
        return None if moment is None else moment - course.started

    answered, pills, made = reply.answer.answered, reply.pills, reply.made
    end = answered.end
    costs = (*answered.costs, *pills.costs)
    return Receipt(
        request_id=made.request_id,
        conversation_id=made.conversation_id,
        decision_id=made.decision_id,
        route=answered.route,
        tier=(end.tier if end is not None else None) or answered.tier,
        model="" if end is None else end.model,
        complete=end is not None and end.complete,
        costs=costs,
        # An answer without an end was cut off in the middle of a call.
        at_least=end is None or answered.at_least or pills.at_least or any(each.at_least for each in costs),
        timings=Timings(
            classification=course.classified_in,
            first_answer_event=since(answered.first_event_at),
            answer_done=since(answered.done_at),
            first_pill=since(pills.first_at),
            total=asyncio.get_running_loop().time() - course.started,
        ),
        tool_calls=answered.tool_calls,
        statements=answered.statements,
        pills=len(pills.texts),
        pills_missing_cause="" if pills.texts else pills.missing_cause,
        trace_id=made.trace_id,
        asked_at=course.question.asked_at,
    )
