"""What the log says of tier 1 on one turn: many sources, each with its weight, made into one label or none. Pure.

Which source says what, how far each is believed, and what is left out because it came too late, too early, twice or
from somebody else, is decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from tiermesh_insights.records import DecisionRow, OutcomeRow


class Source(StrEnum):
    """Where the word on an answer comes from."""

    THUMB = "thumb"
    HUMAN_OVERRIDE = "human_override"
    JUDGE = "judge"
    BOUNCE = "bounce"
    LATER_ESCALATION = "later_escalation"
    ASKED_AGAIN = "asked_again"
    PILL_CLICK = "pill_click"
    ABANDONED = "abandoned"
    COMPLETION = "completion"
    SHADOW = "shadow"
    PREFERENCE = "preference"


# The most that one word of each source may weigh, whatever its sender says. A person's word, a judge's and a bounce are
# labels; the others are hints, of which several together make a label.
BELIEVED: Mapping[str, float] = {
    Source.THUMB: 1.0,
    Source.HUMAN_OVERRIDE: 1.0,
    Source.JUDGE: 1.0,
    Source.BOUNCE: 1.0,
    Source.SHADOW: 1.0,
    Source.PREFERENCE: 1.0,
    Source.LATER_ESCALATION: 0.3,
    Source.ASKED_AGAIN: 0.5,
    Source.COMPLETION: 0.2,
    Source.PILL_CLICK: 0.1,
    Source.ABANDONED: 0.1,
}
# From this weight on a turn counts as labelled where a threshold is to be moved.
LABELLED_FROM = 0.5
# Sources that speak of tier 1 also when another tier answered.
COUNTERFACTUAL = frozenset({Source.SHADOW, Source.PREFERENCE})
# Rules of the decision that hold the confidence against the threshold: only these turns move with it.
BY_CONFIDENCE = frozenset({"confidence_reaches_the_threshold", "doubt_escalates", "the_borderline_is_speculated_on"})
# An answer is not rated months after it was given; a later word is about something else.
LATEST_WORD = timedelta(days=30)
# A turn that comes later than this is not about the answer before it.
_SOON = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Turn:
    """One decision, as far as evidence needs it."""

    decision_id: str
    tenant: str
    at: datetime
    route: str
    tier: int
    intent: str
    family: str
    stage: str
    position: str
    # None when the classifier was down.
    confidence: float | None
    threshold: float
    base_threshold: float
    settled_by: str
    high_scope: bool
    # Booked for answering it, pills and judges left out; what it was expected to cost where nothing is booked.
    cost_micros: int
    estimated_cost_micros: int
    other_cost_micros: int | None
    # Place in the conversation, "" and 0 for a turn outside one.
    conversation_id: str = ""
    number: int = 0

    @property
    def by_confidence(self) -> bool:
        """True when the threshold settled the route."""
        return self.confidence is not None and self.settled_by in BY_CONFIDENCE

    @property
    def level(self) -> float:
        """The confidence less what the conversation had raised the threshold by.

        Held against a tenant's threshold it gives the route that the turn would have taken under it.
        """
        return (self.confidence or 0.0) - max(0.0, self.threshold - self.base_threshold)


def turn_of(row: DecisionRow) -> Turn:
    """Return a decision as evidence sees it, before anything is booked for it."""
    return Turn(
        decision_id=row.decision_id,
        tenant=row.tenant,
        at=row.decided_at,
        route=row.route,
        tier=row.tier,
        intent=row.intent,
        family=row.family,
        stage=row.stage,
        position=row.position,
        confidence=row.confidence,
        threshold=row.threshold,
        base_threshold=row.base_threshold,
        settled_by=row.settled_by,
        high_scope=row.high_scope,
        cost_micros=0,
        estimated_cost_micros=row.estimated_cost_micros,
        other_cost_micros=row.other_cost_micros,
        conversation_id=row.conversation_id,
        number=row.turn,
    )


@dataclass(frozen=True, slots=True)
class Case:
    """A turn with what is known of tier 1 on it."""

    turn: Turn
    # From 0 (wrong) to 1 (right), None without a word; and what the words weigh together, at most 1.
    success: float | None
    weight: float

    @property
    def labelled(self) -> bool:
        """True when the evidence may move a threshold."""
        return self.success is not None and self.weight >= LABELLED_FROM


def cases(turns: Sequence[Turn], outcomes: Iterable[OutcomeRow], *, believe_own_judge: bool = True) -> list[Case]:
    """Put what was said to the turns that it was said of. What is said of an unknown turn is left out."""
    by_turn: dict[str, list[OutcomeRow]] = {}
    for outcome in (*outcomes, *implied(turns)):
        if believe_own_judge or not outcome.judged_here:
            by_turn.setdefault(outcome.decision_id, []).append(outcome)
    return [case_of(turn, by_turn.get(turn.decision_id, ())) for turn in turns]


def implied(turns: Sequence[Turn]) -> Iterator[OutcomeRow]:
    """What the next turn of a conversation says of the one before it, when it comes soon and on the same topic.

    A correction says that the answer missed; an override that the person wanted a higher tier; going up a tier is a
    weak hint. It is read from the decision log, so that no service has to notice it.
    """
    ordered = sorted(
        (turn for turn in turns if turn.conversation_id), key=lambda turn: (turn.conversation_id, turn.number)
    )
    for before, after in pairwise(ordered):
        soon = timedelta(0) <= after.at - before.at <= _SOON
        if before.conversation_id != after.conversation_id or not soon or before.family != after.family:
            continue
        source = _implied_source(before, after)
        if source is not None:
            identity = f"{before.decision_id}.{source}"
            yield OutcomeRow(identity, before.decision_id, before.tenant, source, 0.0, BELIEVED[source], after.at)


def _implied_source(before: Turn, after: Turn) -> Source | None:
    if after.settled_by == "a_person_asked_for_more" and before.tier < after.tier:
        return Source.HUMAN_OVERRIDE
    if after.position == "correction":
        return Source.ASKED_AGAIN
    if before.route == "tier1" and after.tier > before.tier:
        return Source.LATER_ESCALATION
    return None


def case_of(turn: Turn, outcomes: Sequence[OutcomeRow]) -> Case:
    """Weigh the words on one turn against one another. Contradicting ones end between 0 and 1."""
    success, weight = weigh(
        said
        for said in outcomes
        if said.tenant == turn.tenant
        and said.at <= turn.at + LATEST_WORD
        and (turn.route == "tier1" or said.source in COUNTERFACTUAL)
    )
    return Case(turn, success, weight)


def weigh(outcomes: Iterable[OutcomeRow]) -> tuple[float | None, float]:
    """Return the weighted success and the weight, at most 1. Of one source the last word counts."""
    last: dict[str, OutcomeRow] = {}
    for said in sorted(outcomes, key=lambda each: (each.at, each.outcome_id)):
        last[said.source] = said
    weights = [(min(said.weight, BELIEVED.get(said.source, 0.0)), said.success) for said in last.values()]
    total = sum(weight for weight, _ in weights)
    if total <= 0:
        return None, 0.0
    return sum(weight * success for weight, success in weights) / total, min(total, 1.0)
