"""Makes follow-up questions from a question's words and the answer's columns: short, of every kind, none twice."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Final

from tiermesh_simulator.rules.dates import find_period
from tiermesh_simulator.rules.dialogue import Dialogue
from tiermesh_simulator.rules.entities import groups_in
from tiermesh_simulator.rules.lexicon import best_likeness, content_words, words

LONGEST: Final = 60
KINDS: Final = ("drill_down", "compare", "act", "explain")

_DIMENSIONS: Final = ("department", "month", "location", "grade", "manager", "employee")
_OWN_DIMENSIONS: Final[Mapping[str, Sequence[str]]] = {
    "leave": ("leave type",),
    "attendance": ("shift", "week"),
    "expenses": ("category", "merchant"),
    "reviews": ("review cycle",),
    "pay": ("quarter",),
    "headcount": ("job title",),
}
# What one person's own records cannot be split by.
_OTHERS: Final = ("department", "location", "grade", "manager", "employee")
_OWN: Final = re.compile(r"\b(?:i|my|mine|me)\b(?! (?:team|reports|department))", re.IGNORECASE)
_TABLE: Final = re.compile(r"<answer-table[^>]*>(.*?)</answer-table>", re.IGNORECASE | re.DOTALL)
_TOPICS: Final = {
    "leave": ("leave", "sick", "vacation", "holiday"),
    "attendance": ("attendance", "late", "overtime", "shift", "hour", "remote"),
    "expenses": ("expense", "claim", "receipt", "hotel", "travel"),
    "reviews": ("review", "rating", "goal", "feedback", "performance"),
    "pay": ("payslip", "salary", "bonus", "tax", "compensation"),
    "headcount": ("headcount", "joiner", "leaver", "hire", "probation"),
}
_ACTS: Final = {
    # Some of these are dead ends on purpose: whoever checks pills has something to find.
    "leave": ("Book a day off next Friday", "Book next week as annual leave", "Book time off"),
    "attendance": ("Correct a missing punch", "Draft a note about working hours", "Show my shifts of next week"),
    "expenses": ("File an expense claim for a taxi", "Show the claims that wait for me", "Prepare an expense claim"),
    "reviews": ("Draft feedback for a colleague", "Show the reviews still open", "Show my goals that are at risk"),
    "pay": ("Open my last payslip", "Draft a question to payroll", "Request a salary certificate"),
    "headcount": ("Draft a welcome note to new joiners", "Show the open probations", "Show who joins next month"),
}
_RULES: Final = {
    "leave": ("How many days can be carried over?", "How far ahead must leave be requested?"),
    "attendance": ("How is overtime compensated?", "What are the core working hours?"),
    "expenses": ("What are the limits by category?", "Which receipts are needed?"),
    "reviews": ("How is the rating decided?", "When does the review cycle end?"),
    "pay": ("How is the bonus calculated?", "When is pay day?"),
    "headcount": ("How long is the probation period?", "Who counts as employed?"),
}
_PERIODS: Final = (
    (re.compile(r"\bthis year\b", re.I), "last year"),
    (re.compile(r"\blast year\b", re.I), "the year before"),
    (re.compile(r"\b(?:this|last) month\b", re.I), "the month before"),
    (re.compile(r"\b(?:this|last) quarter|\bq[1-4]\b", re.I), "the quarter before"),
    (re.compile(r"\b(?:this|last) week\b", re.I), "the week before"),
)


def topic_of(text: str) -> str:
    """Return what a question is about, in one word."""
    found = content_words(text)
    scored = [
        (max((best_likeness(word, names) for word in found), default=0.0), -at)
        for at, names in enumerate(_TOPICS.values())
    ]
    best, at = max(scored)
    return list(_TOPICS)[-at] if best >= 0.6 else "this"


def follow_ups(dialogue: Dialogue, kind: str) -> list[str]:
    """Return follow-up questions of a kind, best first, none longer than `LONGEST`."""
    text = dialogue.context
    topic, own = topic_of(text), bool(_OWN.search(text))
    makers = {"drill_down": _drill_downs, "compare": _comparisons, "act": _acts}
    found = makers[kind](dialogue, topic, own) if kind in makers else _explanations(dialogue, topic)
    if own:
        found = [pill for pill in found if "departments" not in pill and "teams" not in pill]
    said = dialogue.whole_text.lower() + "\n".join(dialogue.earlier).lower()
    return [pill for pill in found if len(pill) <= LONGEST and pill.lower() not in said]


def _turned(texts: Sequence[str], dialogue: Dialogue) -> list[str]:
    """Begin at a place that the question fixes, so that two questions seldom get the same."""
    at = zlib.crc32(dialogue.question.strip().lower().encode()) % len(texts) if texts else 0
    return [*texts[at:], *texts[:at]]


def _columns(dialogue: Dialogue) -> list[str]:
    """The words of the answer's table, when the prompt tells its columns."""
    match = _TABLE.search(dialogue.whole_text)
    return words(match.group(1)) if match else []


def _drill_downs(dialogue: Dialogue, topic: str, own: bool) -> list[str]:
    text = dialogue.context
    left_out = _OTHERS if own else ("department",) if groups_in(text) else ()
    there = [*words(text), *_columns(dialogue)]
    dimensions = [
        name
        for name in (*_turned(_DIMENSIONS, dialogue), *_OWN_DIMENSIONS.get(topic, ()))
        if name not in left_out and not set(words(name)[-1:]) & set(there)
    ]
    special = [name for name in dimensions if name in _OWN_DIMENSIONS.get(topic, ())]
    ordered = dict.fromkeys([*special[:1], *dimensions]) if own else dict.fromkeys(dimensions)
    return [f"Split {topic} by {name}" for name in ordered]


def _comparisons(dialogue: Dialogue, topic: str, own: bool) -> list[str]:
    text = dialogue.context
    before = next((said for pattern, said in _PERIODS if pattern.search(text)), "last year")
    rest = [
        f"How does {topic} develop month by month?",
        f"Compare {topic} across departments",
        f"Compare {topic} with the company's average" if not own else f"Compare {topic} with my team's average",
    ]
    return [f"Compare with {before}", *_turned(rest, dialogue)]


def _acts(dialogue: Dialogue, topic: str, own: bool) -> list[str]:
    general = ["Remind me of this next month"] if own else ["Draft a note to my team about this"]
    return [*_turned(_ACTS.get(topic, ()), dialogue), *general]


def _explanations(dialogue: Dialogue, topic: str) -> list[str]:
    found = [*_RULES.get(topic, ()), f"Which policy on {topic} applies here?", f"How is {topic} counted?"]
    if find_period(dialogue.context, dialogue.today) is not None:
        found.append("What changed over this period?")
    if _columns(dialogue):
        found.append("What explains the highest figure?")
    return _turned(found, dialogue)


def mixed(dialogue: Dialogue, kinds: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Return `count` pairs of kind and text, the kinds in turn."""
    queues = {kind: follow_ups(dialogue, kind if kind in KINDS else "explain") for kind in kinds}
    chosen: list[tuple[str, str]] = []
    while len(chosen) < count and any(queues.values()):
        for kind, queue in queues.items():
            while queue and queue[0] in [text for _, text in chosen]:
                queue.pop(0)
            if queue and len(chosen) < count:
                chosen.append((kind, queue.pop(0)))
    return chosen
