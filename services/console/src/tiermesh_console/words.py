"""How figures and names read on a page. Only formatting: every figure comes from a report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from markdown_it import MarkdownIt
from markupsafe import Markup
from tiermesh.common.v1 import pill_pb2, routing_pb2, scores_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb

# Names as the reports give them, in the order in which pages show them.
ROUTES: Mapping[str, str] = {"tier1": "Tier 1", "aggregate": "Aggregate", "tier2": "Tier 2", "tier3": "Tier 3"}
STAGES: Mapping[str, str] = {
    "rule": "Rules",
    "trained": "Trained model",
    "llm": "Language model",
    "inherited": "Conversation",
    "pill": "Pill",
}
_POSITIONS: Mapping[str, str] = {
    "opening": "Opening",
    "follow_up": "Follow-up",
    "correction": "Correction",
    "topic_shift": "Topic shift",
    "closing": "Closing",
}
# Raw HTML stays text, and links that are no web addresses are left out.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def money(micros: float) -> str:
    """Return micro-dollars as dollars, with as many digits as the size deserves."""
    dollars = micros / 1_000_000
    size = abs(dollars)
    if size == 0:
        return "$0"
    digits = 0 if size >= 1000 else 2 if size >= 1 else 3 if size >= 0.01 else 5
    sign = "−" if dollars < 0 else ""
    return f"{sign}${size:,.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share of 0 to 1 in percent."""
    return f"{share * 100:.{digits}f} %"


def interval(rate: pb.Rate) -> str:
    """Return a rate's 95 % interval and what it rests on."""
    return f"{rate.low * 100:.1f} to {rate.high * 100:.1f} %, n = {rate.count:,}"


def money_interval(estimate: pb.Estimate) -> str:
    """Return an estimate's 95 % interval."""
    return f"{money(estimate.low_micros)} to {money(estimate.high_micros)}"


def count(number: float) -> str:
    """Return a whole number with separators."""
    return f"{number:,.0f}"


def milliseconds(duration: Duration) -> str:
    """Return a duration as people read it."""
    seconds = duration.ToNanoseconds() / 1e9
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def when(timestamp: Timestamp) -> str:
    """Return a moment in UTC, to the minute."""
    return timestamp.ToDatetime(UTC).strftime("%-d %b %Y, %H:%M UTC")


def iso(timestamp: Timestamp) -> str:
    """Return a moment for machines."""
    return timestamp.ToJsonString()


def route(value: int | str) -> str:
    """Return a route's name, of the contract's number or a report's word."""
    word = value if isinstance(value, str) else word_of(routing_pb2.Route, value)
    return ROUTES.get(word, label(word))


def route_word(value: int) -> str:
    """Return a route's stable word, such as "tier1"."""
    return word_of(routing_pb2.Route, value)


def tier(value: int) -> str:
    """Return a tier's name."""
    return f"Tier {value}" if value else "no tier"


def stage(value: int | str) -> str:
    """Return which kind of router decided."""
    word = value if isinstance(value, str) else word_of(scores_pb2.Stage, value)
    return STAGES.get(word, label(word))


def position(word: str) -> str:
    """Return a place in the conversation."""
    return _POSITIONS.get(word, label(word))


def call_outcome(value: int) -> str:
    """Return what became of a model call."""
    return label(word_of(usage_pb2.CallOutcome, value))


def pill_kind(value: int) -> str:
    """Return what a pill leads to."""
    return label(word_of(pill_pb2.PillKind, value))


def pill_source(value: int) -> str:
    """Return where a pill comes from."""
    return label(word_of(pill_pb2.PillSource, value))


def outcome_source(value: int) -> str:
    """Return where an outcome comes from."""
    return label(word_of(pb.Outcome.Source, value))


def proposal_state(value: int) -> str:
    """Return a proposal's state as one word."""
    return word_of(pb.ThresholdProposal.State, value)


def label(word: str) -> str:
    """Return a stable word for people: "high_scope" reads "High scope"."""
    plain = word.replace("_", " ").replace("-", " ").strip()
    return plain[:1].upper() + plain[1:] if plain else "unknown"


def word_of(enum: Any, value: int) -> str:
    """Return an enum value's word without its prefix; the number where this build does not know it."""
    names = enum.DESCRIPTOR.values_by_number
    if value not in names:
        return str(value)
    return str(names[value].name.removeprefix(names[0].name.removesuffix("UNSPECIFIED")).lower())


def markdown(text: str) -> Markup:
    """Return a service's Markdown as HTML; whatever HTML is in it stays text."""
    return Markup(_MARKDOWN.render(text))  # noqa: S704 - rendered with html=False, held by a test


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)
