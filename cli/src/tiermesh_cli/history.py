"""A simulated history for insights: what a tenant might have asked over some weeks, drawn from a known truth.

For looking at reports before there is traffic. Everything in it says that it is simulated (ids, models, versions); no
model was asked, and nothing may be concluded from it. The same seed and end draw the same records. `seeding` sends it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import context_pb2, pill_pb2, routing_pb2, scores_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb

LABEL = "simulated"
THRESHOLD = 0.6
_INTENTS = (
    "leave.balance",
    "leave.history",
    "leave.policy",
    "payroll.payslip",
    "expenses.status",
    "attendance.summary",
    "benefits.overview",
)
# Mean cost of a call by tag, in micro-dollars, and the tier that pays it.
_TAGS = {
    "answer-simple": (600, 1),
    "answer-complex": (35_000, 2),
    "narrate": (450, 1),
    "suggest": (900, 2),
    "classify": (300, 1),
}
_HARD_RULES = ("several_steps_need_tier2", "ambiguity_needs_tier2", "high_stakes_need_tier2")
_KINDS = (pill_pb2.PILL_KIND_DRILL_DOWN, pill_pb2.PILL_KIND_COMPARE, pill_pb2.PILL_KIND_EXPLAIN)


@dataclass
class Records:
    """Everything that is sent, kind by kind."""

    decisions: list[pb.DecisionRecord] = field(default_factory=list)
    usage: list[usage_pb2.LedgerEntry] = field(default_factory=list)
    outcomes: list[pb.Outcome] = field(default_factory=list)
    samples: list[pb.Sample] = field(default_factory=list)
    pills: list[pb.PillRecord] = field(default_factory=list)


@dataclass
class History:
    """Draws one tenant's turns."""

    tenant: str
    pack_version: str
    seed: int
    ends_at: datetime
    records: Records = field(default_factory=Records)

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.seed} {self.tenant}")  # noqa: S311 - draws a history, guards nothing
        self._number = 0

    def draw(self, turns: int, days: int) -> Records:
        """Return `turns` turns over the last `days` days."""
        moments = sorted(self._moment(days) for _ in range(turns))
        for conversation, opened in enumerate(self._openings(moments)):
            for turn, at in enumerate(opened, start=1):
                self._turn(conversation, turn, at)
        return self.records

    def _openings(self, moments: list[datetime]) -> Iterator[list[datetime]]:
        """Cut the moments into conversations of one to four turns."""
        at = 0
        while at < len(moments):
            length = self._chance.choice((1, 1, 1, 2, 2, 3, 4))
            yield [moments[at] + timedelta(seconds=40 * turn) for turn in range(min(length, len(moments) - at))]
            at += length

    def _moment(self, days: int) -> datetime:
        """A moment of the working day, on fewer weekends."""
        while True:
            at = self.ends_at - timedelta(days=days * self._chance.random())
            if at.weekday() < 5 or self._chance.random() < 0.15:
                hour = min(max(self._chance.gauss(13, 3), 6), 21)
                moved = at.replace(hour=int(hour), minute=self._chance.randrange(60))
                return moved if moved <= self.ends_at else at

    def _turn(self, conversation: int, turn: int, at: datetime) -> None:
        self._number += 1
        drawn = _Turn(f"{LABEL}-{self.seed}-{self._number}", f"{LABEL}-{self.seed}-c{conversation}", turn, at)
        drawn.choose(self._chance)
        self.records.decisions.append(self._decision(drawn))
        self._book(drawn)
        self._conclude(drawn)
        if drawn.route == routing_pb2.ROUTE_TIER2 and self._chance.random() < 0.12:
            self._shadow(drawn)
        self._suggest(drawn)

    def _decision(self, turn: _Turn) -> pb.DecisionRecord:
        record = pb.DecisionRecord(
            decision=turn.decision(),
            context=context_pb2.RequestContext(
                request_id=turn.id,
                tenant=self.tenant,
                pack_version=self.pack_version,
                conversation_id=turn.conversation,
                turn=turn.number,
            ),
            decided_at=_timestamp(turn.at),
            subject_hash=LABEL,
            position="opening" if turn.number == 1 else turn.position,
            base_threshold=THRESHOLD,
        )
        record.context.asked_at.CopyFrom(record.decided_at)
        return record

    def _book(self, turn: _Turn) -> None:
        tags = [turn.tag, "suggest"]
        if turn.stage == scores_pb2.STAGE_LLM:
            tags.insert(0, "classify")
        if turn.bounced:
            tags.insert(0, "answer-simple")
        for place, tag in enumerate(tags):
            mean, tier = _TAGS[tag]
            cost = int(mean * self._chance.lognormvariate(0, 0.35))
            failed = self._chance.random() < 0.02
            for attempt in (1, 2) if failed else (1,):
                last = attempt == 2 or not failed
                entry = usage_pb2.LedgerEntry(
                    entry_id=f"{turn.id}-{place}-{attempt}",
                    revision=1,
                    tag=tag,
                    tenant=self.tenant,
                    request_id=turn.id,
                    conversation_id=turn.conversation,
                    tier=routing_pb2.Tier.ValueType(tier),
                    provider=LABEL,
                    model=f"{LABEL}-tier{tier}",
                    usage=usage_pb2.TokenUsage(input=cost // 2, cache_read=cost, output=cost // 12),
                    cost_micros=cost if last else cost // 5,
                    price_version=LABEL,
                    outcome=usage_pb2.CALL_OUTCOME_SERVED if last else usage_pb2.CALL_OUTCOME_FAILED,
                    prompt_version=f"{LABEL}-{1 if turn.at < self.ends_at - timedelta(days=20) else 2}",
                    started_at=_timestamp(turn.at),
                    time_to_first_token=_duration(turn.first_seconds),
                    duration=_duration(turn.total_seconds),
                    attempt=attempt,
                )
                self.records.usage.append(entry)

    def _conclude(self, turn: _Turn) -> None:
        end = turn.at + timedelta(seconds=turn.total_seconds)
        answered = routing_pb2.ROUTE_TIER2 if turn.bounced else turn.route
        ending = pb.Ending(
            route=answered,
            tier=routing_pb2.TIER_2 if answered == routing_pb2.ROUTE_TIER2 else routing_pb2.TIER_1,
            complete=True,
            bounce_cause="escalate_tool" if turn.bounced else "",
            first_answer_event=_duration(turn.first_seconds),
            total=_duration(turn.total_seconds),
            pills=len(_KINDS),
        )
        self._outcome(turn, pb.Outcome.SOURCE_COMPLETION, 1.0, end, weight=0.2, ending=ending)
        if turn.bounced:
            self._outcome(turn, pb.Outcome.SOURCE_BOUNCE, 0.0, end)
        if turn.route != routing_pb2.ROUTE_TIER1:
            return
        right = 1.0 if turn.tier1_right else 0.0
        if self._chance.random() < 0.3:
            # A person who rates is mistaken now and then.
            said = right if self._chance.random() > 0.04 else 1 - right
            self._outcome(turn, pb.Outcome.SOURCE_THUMB, said, end + timedelta(seconds=20))
        if self._chance.random() < 0.35:
            self._outcome(turn, pb.Outcome.SOURCE_JUDGE, right, end + timedelta(minutes=5))
        if not turn.tier1_right and self._chance.random() < 0.15:
            self._outcome(turn, pb.Outcome.SOURCE_HUMAN_OVERRIDE, 0.0, end + timedelta(seconds=30))

    def _outcome(
        self,
        turn: _Turn,
        source: pb.Outcome.Source.ValueType,
        success: float,
        at: datetime,
        *,
        weight: float = 1.0,
        ending: pb.Ending | None = None,
    ) -> None:
        name = pb.Outcome.Source.Name(source).removeprefix("SOURCE_").lower()
        self.records.outcomes.append(
            pb.Outcome(
                outcome_id=f"{turn.id}-{name}",
                decision_id=turn.id,
                tenant=self.tenant,
                source=source,
                success=success,
                weight=weight,
                at=_timestamp(at),
                ending=ending,
            )
        )

    def _shadow(self, turn: _Turn) -> None:
        """Tier 1 beside an escalated turn: judged, and both answers kept for the blind comparison."""
        at = turn.at + timedelta(minutes=2)
        self._outcome(turn, pb.Outcome.SOURCE_SHADOW, 1.0 if turn.tier1_right else 0.0, at)
        days = self._chance.randrange(3, 28)
        short = f"You have {days if turn.tier1_right else days - 2} leave days left."
        long = (
            f"You have {days} leave days left this year. {days // 4} of them are carried over from last year "
            "and expire on 31 March, so it is best to take those first."
        )
        for kind, tier, words in ((pb.Sample.KIND_SERVED, 2, long), (pb.Sample.KIND_SHADOW, 1, short)):
            self.records.samples.append(
                pb.Sample(
                    sample_id=f"{turn.id}-t{tier}",
                    decision_id=turn.id,
                    tenant=self.tenant,
                    subject_hash=LABEL,
                    at=_timestamp(at),
                    kind=kind,
                    question="How many leave days do I have left, and do any of them expire?",
                    answer=words,
                    tables_json=f'[{{"caption": "Leave balance", "columns": ["days"], "rows": [[{days}]]}}]',
                    route=routing_pb2.Route.ValueType(tier + 1),
                    tier=routing_pb2.Tier.ValueType(tier),
                    model=f"{LABEL}-tier{tier}",
                    tag="answer-simple" if tier == 1 else "answer-complex",
                    prompt_version=f"{LABEL}-2",
                    intent=turn.intent,
                    drawn_with=0.12,
                )
            )

    def _suggest(self, turn: _Turn) -> None:
        for place, kind in enumerate(_KINDS, start=1):
            shown = pb.PillRecord(
                pill_id=f"{turn.id}-{place}",
                tenant=self.tenant,
                state=pb.PillRecord.STATE_SHOWN,
                decision_id=turn.id,
                at=_timestamp(turn.at + timedelta(seconds=turn.total_seconds)),
                kind=kind,
                source=pill_pb2.PILL_SOURCE_MODEL if self._chance.random() < 0.95 else pill_pb2.PILL_SOURCE_FALLBACK,
                place=place,
                tier=turn.tier,
            )
            self.records.pills.append(shown)
            if self._chance.random() < 0.12 / place:
                clicked = pb.PillRecord(pill_id=shown.pill_id, tenant=self.tenant, state=pb.PillRecord.STATE_CLICKED)
                clicked.at.CopyFrom(shown.at)
                self.records.pills.append(clicked)


@dataclass
class _Turn:
    """One turn with its hidden truth."""

    id: str
    conversation: str
    number: int
    at: datetime
    route: routing_pb2.Route.ValueType = routing_pb2.ROUTE_TIER1
    rule: str = ""
    tag: str = "answer-simple"
    intent: str = ""
    position: str = "follow_up"
    stage: scores_pb2.Stage.ValueType = scores_pb2.STAGE_TRAINED
    confidence: float = 0.0
    tier1_right: bool = True
    bounced: bool = False
    first_seconds: float = 0.0
    total_seconds: float = 0.0

    @property
    def tier(self) -> routing_pb2.Tier.ValueType:
        """Tier that was chosen."""
        return routing_pb2.TIER_2 if self.route == routing_pb2.ROUTE_TIER2 else routing_pb2.TIER_1

    def choose(self, chance: random.Random) -> None:
        """Draw the turn: what it is about, where it goes, what is true of it."""
        self.intent = chance.choice(_INTENTS)
        self.position = chance.choices(("follow_up", "correction", "topic_shift"), (0.75, 0.1, 0.15))[0]
        stages = (scores_pb2.STAGE_RULE, scores_pb2.STAGE_TRAINED, scores_pb2.STAGE_LLM)
        self.stage = chance.choices(stages, (0.42, 0.54, 0.04))[0]
        # Mostly sure; how often tier 1 is right rises steeply around one half.
        self.confidence = min(max(chance.betavariate(5, 1.3), 0.01), 0.99)
        self.tier1_right = chance.random() < 0.993 / (1 + math.exp(-14 * (self.confidence - 0.45)))
        kind = chance.random()
        if kind < 0.3:
            self.route, self.rule, self.tag = routing_pb2.ROUTE_AGGREGATE, "high_scope_takes_aggregate", "narrate"
        elif kind < 0.35:
            self.route, self.rule, self.tag = routing_pb2.ROUTE_TIER2, chance.choice(_HARD_RULES), "answer-complex"
        elif self.confidence >= THRESHOLD:
            self.rule = "confidence_reaches_the_threshold"
            self.bounced = not self.tier1_right and chance.random() < 0.4
            self.tag = "answer-complex" if self.bounced else "answer-simple"
        else:
            self.route, self.rule, self.tag = routing_pb2.ROUTE_TIER2, "doubt_escalates", "answer-complex"
        slow = self.tag == "answer-complex"
        self.first_seconds = (0.9 if slow else 0.35) * chance.lognormvariate(0, 0.3) + (0.4 if self.bounced else 0)
        self.total_seconds = self.first_seconds + (3.2 if slow else 0.8) * chance.lognormvariate(0, 0.4)

    def decision(self) -> routing_pb2.Decision:
        """The decision as the gateway would have logged it."""
        other = routing_pb2.ROUTE_TIER1 if self.route == routing_pb2.ROUTE_TIER2 else routing_pb2.ROUTE_TIER2
        axis = scores_pb2.AxisScore(label=self.intent, probability=0.95, stage=self.stage, version=LABEL)
        axis.distribution.add(label=self.intent, probability=0.95)
        return routing_pb2.Decision(
            decision_id=self.id,
            route=self.route,
            tier=self.tier,
            reasons=[routing_pb2.DecisionReason(rule=self.rule, detail=f"{LABEL} turn")],
            threshold=routing_pb2.Threshold(value=THRESHOLD, version=LABEL),
            otherwise=routing_pb2.Alternative(
                route=other,
                tier=routing_pb2.TIER_1 if other == routing_pb2.ROUTE_TIER1 else routing_pb2.TIER_2,
                detail=f"{LABEL} turn",
                estimated_cost_micros=35_000 if other == routing_pb2.ROUTE_TIER2 else 600,
            ),
            policy_version=LABEL,
            scores=scores_pb2.Scores(
                intent=axis, confidence=scores_pb2.Confidence(value=self.confidence, version=LABEL)
            ),
            estimated_cost_micros=35_000 if self.route == routing_pb2.ROUTE_TIER2 else 600,
        )


def _timestamp(at: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(at)
    return message


def _duration(seconds: float) -> Duration:
    message = Duration()
    message.FromNanoseconds(int(seconds * 1e9))
    return message
