"""Makes follow-up questions out of a question's words: one short text per kind, none that was said already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tiermesh_simulator.rules.dates import find_period
from tiermesh_simulator.rules.dialogue import Dialogue
from tiermesh_simulator.rules.entities import groups_in
from tiermesh_simulator.rules.lexicon import best_likeness, content_words, words

LONGEST: Final = 60
KINDS: Final = ("drill_down", "compare", "act", "explain")

_DIMENSIONS: Final = ("department", "month", "location", "leave type", "category", "grade", "manager", "employee")
# What one person's own records cannot be split by.
_OTHERS: Final = ("department", "location", "grade", "manager", "employee")
_OWN: Final = re.compile(r"\b(?:i|my|mine|me)\b(?! (?:team|reports|department))", re.IGNORECASE)
_TOPICS: Final = {
    "leave": ("leave", "sick", "vacation", "holiday"),
    "attendance": ("attendance", "late", "overtime", "shift", "hour", "remote"),
    "expenses": ("expense", "claim", "receipt"),
    "reviews": ("review", "rating", "goal", "feedback", "performance"),
    "pay": ("payslip", "salary", "bonus", "tax", "compensation"),
    "headcount": ("headcount", "joiner", "leaver", "hire", "probation"),
}
_ACTS: Final = {
    "leave": ("Book time off", "Draft a leave request for next month"),
    "attendance": ("Correct a missing punch", "Draft a note about working hours"),
    "expenses": ("Prepare an expense claim", "Show the claims that wait for me"),
    "reviews": ("Draft feedback for a colleague", "Show the reviews still open"),
    "pay": ("Open my last payslip", "Draft a question to payroll"),
    "headcount": ("Draft a welcome note to new joiners", "Show the open probations"),
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
    topic = topic_of(text)
    asked = words(text)
    own = bool(_OWN.search(text))
    if kind == "drill_down":
        left_out = _OTHERS if own else ("department",) if groups_in(text) else ()
        dimensions = [
            name for name in _DIMENSIONS if name not in left_out and best_likeness(words(name)[-1], asked) < 1
        ]
        if topic != "leave":
            dimensions = [name for name in dimensions if name != "leave type"]
        if topic != "expenses":
            dimensions = [name for name in dimensions if name != "category"]
        found = [f"Split {topic} by {name}" for name in dimensions]
    elif kind == "compare":
        before = next((words_ for pattern, words_ in _PERIODS if pattern.search(text)), "last year")
        found = [
            f"Compare with {before}",
            f"Compare {topic} across departments",
            f"How does {topic} develop month by month?",
        ]
    elif kind == "act":
        found = [*_ACTS.get(topic, ()), "Draft a note to my team about this", "Remind me of this next month"]
    else:
        found = [
            f"Which policy on {topic} applies here?",
            f"How is {topic} counted?",
            "What explains the highest figure?",
        ]
        if find_period(text, dialogue.today) is not None:
            found.append("What changed over this period?")
    if own:
        found = [pill for pill in found if "departments" not in pill]
    said = dialogue.whole_text.lower() + "\n".join(dialogue.earlier).lower()
    return [pill for pill in found if len(pill) <= LONGEST and pill.lower() not in said]


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
