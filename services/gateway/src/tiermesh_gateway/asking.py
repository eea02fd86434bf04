"""One question, from its conversation to its receipt: remember, classify, decide, answer beside pills, record.

The order of the steps is the substance here; each step is in a module of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4

from tiermesh_policy import Decision, Inputs, Route

from tiermesh_gateway import outcomes
from tiermesh_gateway.admission import Admission
from tiermesh_gateway.answer import Answered, AnswerTrack
from tiermesh_gateway.background import Background
from tiermesh_gateway.budget import PillPurse, Purse
from tiermesh_gateway.closing import cut_off, outcome_of, receipt_of, summary_of
from tiermesh_gateway.conversations import Exchange, TurnOutcome, TurnRecord, not_yet_condensed, within_budget
from tiermesh_gateway.errors import NoRouteAvailable
from tiermesh_gateway.events import DecisionMade, Event, Kind, Receipt
from tiermesh_gateway.merge import Merge
from tiermesh_gateway.pills import Pills
from tiermesh_gateway.ports import (
    Budgets,
    Classifier,
    Clicked,
    Conversations,
    Executors,
    HealthSource,
    PillTokens,
    PillTrack,
    Recorder,
    Suggester,
    Summarizer,
    Surroundings,
)
from tiermesh_gateway.question import Owner, Question, Scored, Turn
from tiermesh_gateway.sampling import Sampler
from tiermesh_gateway.shadow import Shadow, may_be_shadowed
from tiermesh_gateway.speculation import Governor
from tiermesh_gateway.turns import Hold, Holding

_NOTE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The world, as the domain sees it."""

    classifier: Classifier
    executors: Executors
    suggester: Suggester
    pill_tokens: PillTokens
    conversations: Conversations
    budgets: Budgets
    summarizer: Summarizer
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
    hold: Hold
    turn: Turn
    inputs: Inputs
    purse: Purse
    pill_purse: PillPurse
    clicked: Clicked | None = None
    scored: Scored | None = None
    classified_in: float = 0.0

    @property
    def key(self) -> tuple[Owner, str]:
        """The conversation, as turns of it are told apart from others."""
        return self.question.owner, self.turn.conversation_id


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
    holding: Holding
    admission: Admission
    governor: Governor
    sampler: Sampler
    most_context_characters: int = 16_000
    _pills: dict[tuple[Owner, str], Pills] = field(default_factory=dict)

    def work(self, question: Question) -> Callable[[Merge[Event]], Awaitable[None]]:
        """The work of one run."""

        async def answer(merge: Merge[Event]) -> None:
            await self._answer(question, merge)

        return answer

    async def _answer(self, question: Question, merge: Merge[Event]) -> None:
        async with self.admission.admitted(question.tenant.name, question.tenant.policy.limits):
            await self._answer_admitted(question, merge)

    async def _answer_admitted(self, question: Question, merge: Merge[Event]) -> None:
        started = asyncio.get_running_loop().time()
        conversation_id = question.conversation_id or uuid4().hex
        trace_id = self.parts.surroundings.enter(question, conversation_id)
        key = (question.owner, conversation_id)
        async with self.holding.held(question, conversation_id) as hold:
            if key in self._pills:
                self._pills[key].stop("asked_again")
            course = _Course(
                question,
                merge,
                trace_id,
                started,
                hold,
                Turn(question, conversation_id, hold.conversation.total_turns + 1),
                Inputs(None, question.tenant.policy),
                Purse(question, self.parts.budgets),
                PillPurse(question, self.parts.budgets),
            )
            reply = await self._replied(course)
            self._pills[key] = reply.pills
            try:
                await reply.answer.run()
            except asyncio.CancelledError:
                self._remember(course, reply, TurnOutcome.ABANDONED)
                self._let_go(course, reply, TurnOutcome.ABANDONED)
                raise
            # Before anyone else may ask in this conversation.
            outcome = outcome_of(reply.answer.answered)
            self._remember(course, reply, outcome)
        try:
            left = question.ends_at - asyncio.get_running_loop().time()
            await reply.pills.wait(min(question.tenant.policy.pills.deadline_seconds, left), late="late")
        finally:
            receipt, noted = self._let_go(course, reply, outcome)
        # Whoever reads the receipt may ask any replica about it; a store that is away delays it by this and no more.
        await asyncio.wait([noted], timeout=_NOTE_SECONDS)
        merge.finish(Event(Kind.RECEIPT, receipt))
        self.parts.background.start(self._condense(course))

    async def _replied(self, course: _Course) -> _Reply:
        """Decide within the budget, tell, and start both tracks; what was reserved comes back when that fails."""
        try:
            decision = await self._within_budget(course, await self._decide(course))
            await course.hold.ready()
            return await self._begin(course, decision)
        except BaseException:
            self.parts.background.start(course.purse.settle(0, at_least=False))
            raise

    async def _condense(self, course: _Course) -> None:
        """Put into the summary what the next turn's executor would no longer be told word for word."""
        known = course.hold.conversation
        exchanges, turns = not_yet_condensed(known, self.most_context_characters)
        if not exchanges:
            return
        text = await self.parts.summarizer.condense(course.turn, known.earlier, exchanges)
        if text:
            await self.parts.conversations.note_summary(course.question.owner, known.id, text, turns)

    async def _decide(self, course: _Course) -> Decision:
        began = asyncio.get_running_loop().time()
        course.clicked = clicked = self.parts.pill_tokens.clicked(course.turn)
        course.scored = scored = (
            await self.parts.classifier.classify(course.turn, course.hold.conversation)
            if clicked is None
            else clicked.scored
        )
        course.classified_in = asyncio.get_running_loop().time() - began
        policy = course.question.tenant.policy
        course.inputs = Inputs(
            None if scored is None else scored.scores,
            policy,
            course.hold.conversation.history(),
            self.parts.health.now(),
            course.question.min_tier,
            held_back="load" if policy.speculation.share > 0 and not self.admission.speculation else "",
        )
        decision = course.inputs.decide()
        if policy.speculation.share > 0:
            self.governor.count(course.question.tenant.name)
        if decision.speculate and (why := await self.governor.held_back(course.question.tenant.name, policy)):
            course.inputs = replace(course.inputs, held_back=why)
            decision = course.inputs.decide()
        return decision

    async def _within_budget(self, course: _Course, decision: Decision) -> Decision:
        """Reserve; over budget decide again, as the tenant's policy says."""
        purse = course.purse
        if decision.route is not None and not await purse.reserve(decision.route, speculates=decision.speculate):
            course.inputs = replace(course.inputs, over_budget=True)
            decision = course.inputs.decide()
            if decision.route is not None:
                await purse.reserve_beyond(decision.route)
        course.turn = replace(course.turn, reservation_id=purse.reservation_id)
        scores = course.inputs.scores
        # Also a decision that nothing may answer is seen in the trace and counted.
        self.parts.surroundings.decided(course.turn, decision, None if scores is None else scores.confidence)
        return decision

    async def _begin(self, course: _Course, decision: Decision) -> _Reply:
        """Tell the decision and start both tracks; the pills at once, the answer when the caller runs it."""
        route = decision.route
        if route is None:
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
        pills = self._pill_track(course, route)
        known = course.hold.conversation
        words = within_budget(known.exchanges, self.most_context_characters)
        answer = AnswerTrack(
            turn,
            decision,
            scored,
            words,
            earlier=known.earlier if len(words) < known.total_turns else "",
            executors=self.parts.executors,
            health=self.parts.health,
            purse=course.purse,
            feed=pills,
            emit=course.merge.put_answer,
        )
        return _Reply(made, route, answer, pills)

    def _pill_track(self, course: _Course, route: Route) -> Pills:
        if not course.question.tenant.policy.pills.enabled:
            return Pills(None, course.merge.put_pill, off="switched_off")
        if not course.question.wants_pills:
            return Pills(None, course.merge.put_pill, off="not_wanted")
        if course.purse.over_budget:
            return Pills(None, course.merge.put_pill, off="over_budget")
        if not self.admission.pills:
            return Pills(None, course.merge.put_pill, off="load")
        return Pills(self._suggesting(course, route), course.merge.put_pill)

    @asynccontextmanager
    async def _suggesting(self, course: _Course, route: Route) -> AsyncIterator[PillTrack]:
        """Within the pills' own money; part of the pill track, so that the answer does not wait for the store."""
        with_model = await course.pill_purse.reserve()
        known = course.hold.conversation
        async with self.parts.suggester.begin(course.turn, course.scored, known, route, with_model=with_model) as track:
            yield track

    def _remember(self, course: _Course, reply: _Reply, outcome: TurnOutcome) -> None:
        """Have the hold write the turn when it lets go: the next turn sees it, wherever it is asked."""
        question, scored, answered, at = course.question, course.scored, reply.answer.answered, datetime.now(UTC)
        course.hold.record = TurnRecord(
            request_id=question.request_id,
            exchange=Exchange(question.text, answered.reply),
            summary=summary_of(course.turn, scored, answered, outcome, at),
            slots=b"" if scored is None else scored.slots,
            vocabulary_version="" if scored is None else scored.vocabulary_version,
        )

    def _let_go(self, course: _Course, reply: _Reply, outcome: TurnOutcome) -> tuple[Receipt, asyncio.Task[None]]:
        """End the pill track and keep what explains the answer, however far it came; done when the task is."""
        pills = reply.pills
        pills.stop("abandoned")
        if self._pills.get(course.key) is pills:
            del self._pills[course.key]
        answered = reply.answer.answered
        receipt = receipt_of(
            course.question,
            reply.made,
            answered,
            pills,
            started=course.started,
            classified_in=course.classified_in,
        )
        receipt = replace(receipt, reserved_micros=course.purse.reserved_micros)
        self._account(course, answered, pills)
        self._report(course, reply, receipt, outcome)
        self.parts.surroundings.answered(receipt)
        owner, store = course.question.owner, self.parts.conversations
        if pills.texts:
            self.parts.background.start(store.note_pills(owner, course.turn.conversation_id, pills.texts))
            self.parts.recorder.showed_pills(
                course.turn, receipt.decision_id, receipt.tier, pills.shown, datetime.now(UTC)
            )
        return receipt, self.parts.background.start(store.note_answer(owner, reply.made, receipt))

    def _account(self, course: _Course, answered: Answered, pills: Pills) -> None:
        """Settle what was reserved, and learn from a speculation."""
        of_pills = sum(each.micros for each in pills.costs)
        spent = sum(each.micros for each in answered.costs) + of_pills
        if answered.speculation is not None:
            self.parts.background.start(self.governor.went(course.question.tenant.name, answered.speculation))
            spent += answered.speculation.loser_micros
        if pills.at_least:
            spent += course.question.tenant.policy.costs.of_pills()
        self.parts.background.start(course.purse.settle(spent, at_least=cut_off(answered)))
        self.parts.background.start(course.pill_purse.settle(of_pills, at_least=pills.at_least))

    def _report(self, course: _Course, reply: _Reply, receipt: Receipt, outcome: TurnOutcome) -> None:
        """Tell the decision log how the turn ended, and give the judge its share of tier 1's answers."""
        tenant, answered, at = course.question.tenant, reply.answer.answered, datetime.now(UTC)
        if outcome is TurnOutcome.ABANDONED:
            self.parts.recorder.became(outcomes.of_abandonment(receipt, tenant.name, reply.decided, at))
            return
        for each in outcomes.of_end(receipt, tenant.name, reply.decided, bounces=answered.bounces, at=at):
            self.parts.recorder.became(each)
        share, scores = tenant.policy.sampling.judged_share, course.inputs.scores
        intent = "" if scores is None else scores.intent.label
        judged = receipt.complete and answered.route is Route.TIER1 and answered.reply
        if judged and self.sampler.draws(tenant.name, intent, share):
            self.parts.recorder.sampled(course.turn, reply.made, answered, share, at)
        shadowed = tenant.policy.sampling.shadowed_share
        if may_be_shadowed(reply.made, answered) and self.sampler.draws(tenant.name, f"shadow {intent}", shadowed):
            shadow = Shadow(self.parts.executors, self.parts.recorder, self.parts.surroundings)
            self.parts.background.start(shadow.run(course.turn, reply.made, course.scored, answered, shadowed))
