"""What is remembered of a conversation, and what of it each part of the suite gets. Storing it is in `adapters`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tiermesh_policy import History, Route, Tier, TurnSummary

MOST_SUMMARIES = 16
MOST_SHOWN_PILLS = 64


class TurnOutcome(StrEnum):
    """How a turn ended."""

    COMPLETE = "complete"
    ESCALATED = "escalated"
    CLARIFIED = "clarified"
    PROPOSED = "proposed"
    FAILED = "failed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Summary:
    """One turn, without its words: all that routing needs."""

    turn: int
    route: Route
    tier: Tier
    intent: str
    cardinality: str
    temporal: str
    aggregation: str
    ambiguous: bool
    multi_step: bool
    high_stakes: bool
    outcome: TurnOutcome
    cached_tokens: int
    at: datetime

    def for_decision(self) -> TurnSummary:
        """What the decision looks at."""
        return TurnSummary(
            route=self.route,
            tier=self.tier,
            intent=self.intent,
            ambiguous=self.ambiguous,
            multi_step=self.multi_step,
            high_stakes=self.high_stakes,
            escalated=self.outcome is TurnOutcome.ESCALATED,
            proposed=self.outcome is TurnOutcome.PROPOSED,
            cached_tokens=self.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """The words of one turn."""

    question: str
    reply: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as it stands before a turn."""

    id: str
    total_turns: int = 0
    # The last ones, oldest first.
    summaries: tuple[Summary, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    slots: bytes = b""
    vocabulary_version: str = ""
    shown_pills: tuple[str, ...] = ()
    # What was said before, in short, and up to which turn.
    earlier: str = ""
    earlier_turns: int = 0

    def history(self) -> History:
        """What the decision looks at."""
        return History(tuple(summary.for_decision() for summary in self.summaries))


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What a turn adds to its conversation."""

    request_id: str
    exchange: Exchange
    summary: Summary
    slots: bytes
    vocabulary_version: str


def within_budget(exchanges: Sequence[Exchange], most_characters: int) -> tuple[Exchange, ...]:
    """The latest exchanges that fit, oldest first: the words that an executor gets."""
    kept: list[Exchange] = []
    left = most_characters
    for exchange in reversed(exchanges):
        left -= len(exchange.question) + len(exchange.reply)
        if left < 0:
            break
        kept.append(exchange)
    return tuple(reversed(kept))


def not_yet_condensed(conversation: Conversation, most_characters: int) -> tuple[tuple[Exchange, ...], int]:
    """The exchanges that no longer fit and are in no summary yet, oldest first, and the turn that they end with.

    None while everything fits. Once something does not, all but the latest half of the budget is condensed, so that it
    is not done anew with every turn.
    """
    exchanges = conversation.exchanges
    if len(within_budget(exchanges, most_characters)) == len(exchanges):
        return (), 0
    kept = len(within_budget(exchanges, most_characters // 2))
    first = conversation.total_turns - len(exchanges)
    told = max(0, conversation.earlier_turns - first)
    return exchanges[told : len(exchanges) - kept], conversation.total_turns - kept
