"""Tier 1 in the shadow of an escalated turn: asked when the answer is done, shown to nobody, read by the judge.

It is how the log learns what escalating costs for nothing. A tier 1 that hands the turn over has said for itself that
it would not have done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tiermesh_policy import Route, Tier

from tiermesh_gateway.answer import Answered
from tiermesh_gateway.events import Bounced, DecisionMade, Finished, Kind, Said, Voided
from tiermesh_gateway.ports import (
    Execution,
    ExecutorLostError,
    ExecutorRefusedError,
    Executors,
    Outcome,
    OutcomeSource,
    OutOfTimeError,
    Recorder,
    Surroundings,
)
from tiermesh_gateway.question import Scored, Turn

_SECONDS = 30.0
# The one rule that sends a turn up for want of confidence: no threshold moves the others.
_DOUBT = "doubt_escalates"


@dataclass(frozen=True, slots=True)
class Shadow:
    """Runs tier 1 off the path."""

    executors: Executors
    recorder: Recorder
    surroundings: Surroundings

    async def run(
        self, turn: Turn, made: DecisionMade, scored: Scored | None, answered: Answered, drawn_with: float
    ) -> None:
        """Ask tier 1, and hand both answers to the judge. A tier 1 that is down says nothing."""
        shadow_turn = replace(turn, question=replace(turn.question, request_id=f"shadow-{made.decision_id}"))
        # In the person's name, for their rows and no others, under a purpose and a request id of its own.
        self.surroundings.enter_shadow(shadow_turn.question)
        shadow = Answered(Route.TIER1, Tier.ONE, exchanges=answered.exchanges)
        # A branch that may lose proposes nothing.
        execution = Execution(
            shadow_turn,
            Route.TIER1,
            scored,
            answered.exchanges,
            "",
            bulk_tools_only=False,
            timeout=_SECONDS,
            speculative=True,
        )
        try:
            handed_over = await self._listen(execution, shadow)
        except (ExecutorLostError, ExecutorRefusedError, OutOfTimeError):
            return
        at = datetime.now(UTC)
        if handed_over or not shadow.reply:
            identity, tenant = f"{made.decision_id}.shadow", turn.question.tenant.name
            self.recorder.became(Outcome(identity, made.decision_id, tenant, OutcomeSource.SHADOW, 0.0, 1.0, at))
            return
        self.recorder.sampled(turn, made, answered, drawn_with, at)
        self.recorder.sampled(turn, made, shadow, drawn_with, at, shadow=True)

    async def _listen(self, execution: Execution, shadow: Answered) -> bool:
        """Fill `shadow` in; True when tier 1 handed over or did not come to an end."""
        async with self.executors.execute(execution) as sayings:
            async for saying in sayings:
                match saying:
                    case Said(kind=Kind.TEXT, text=text):
                        shadow.text.append(text)
                    case Said(kind=Kind.TABLE, payload=table):
                        shadow.tables.append(table)
                    case Voided():
                        shadow.text.clear()
                        shadow.tables.clear()
                    case Bounced():
                        return True
                    case Finished(end=end, costs=costs):
                        shadow.end = end
                        shadow.costs.extend(costs)
                    case _:
                        pass
        return shadow.end is None or not shadow.end.complete


def may_be_shadowed(made: DecisionMade, answered: Answered) -> bool:
    """True for a whole answer of tier 2 that only the doubt sent up, and that wrote nothing."""
    decision, scores = made.decision, made.inputs.scores
    if scores is None or decision.speculate or answered.route is not Route.TIER2 or answered.bounces:
        return False
    writes = scores.vocabulary.facts(scores.intent.label).write
    whole = answered.end is not None and answered.end.complete
    return whole and bool(answered.reply) and not (writes or answered.proposed) and decision.reasons[-1].rule == _DOUBT
