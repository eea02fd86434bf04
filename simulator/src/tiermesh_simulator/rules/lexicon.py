"""Words: how a text is cut, what counts as the same word, and how well two texts go together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from tiermesh_simulator.wordlist import word_set

_WORD: Final = re.compile(r"[A-Za-z]+(?:'[a-z]+)?|\d+")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

STOP: Final = word_set(
    "a an the of to in on at for from by with and or but is are was were be been am do does did has have had "
    "can could will would shall should may might must i me my mine we us our you your he she it its they them "
    "their this that these those there here what which who whom whose when where why how if then than as so "
    "not no yes please tell show give get find let s t m re ve d ll any some all about into over up out just "
    "also much many more most least tool returns return use used using answer question data value values name "
    "one"
)
_IRREGULAR: Final[Mapping[str, str]] = {
    "took": "take", "taken": "take", "taking": "take", "spent": "spend", "paid": "pay", "people": "person",
    "left": "remaining", "leaves": "leave", "leaving": "leaver", "applied": "apply", "applies": "apply",
    "vs": "versus", "avg": "average", "dept": "department", "depts": "department", "gave": "give", "given": "give",
    "ate": "eat", "wrote": "write", "days": "day", "status": "status", "bonus": "bonus", "expenses": "expense",
    "claims": "claim", "hired": "hire", "yearly": "year", "monthly": "month", "weekly": "week", "daily": "day",
}  # fmt: skip
_GROUPS: Final = (
    "leave vacation pto absence timeoff",
    "sick ill sickness illness",
    "take apply book use",
    "balance remaining remain available accrued accrue entitlement",
    "late lateness punctual tardy delay",
    "attendance presence present punch clock clockin",
    "overtime extra",
    "remote home wfh",
    "shift roster schedule work",
    "expense claim reimbursement spend cost spending receipt",
    "anomaly unusual duplicate suspicious over",
    "rating score performance review appraisal",
    "goal okr objective target",
    "allowance limit cap maximum",
    "payslip pay salary payroll wage compensation earn",
    "bonus raise increment",
    "tax deduction withholding",
    "employee person who staff worker colleague member report",
    "team report reporting crew",
    "department division unit",
    "location office site city country",
    "headcount size",
    "joiner hire join newcomer lifecycle",
    "leaver attrition resign lifecycle quit",
    "birthday anniversary probation lifecycle",
    "profile contact email phone telephone detail",
    "bank account iban",
    "policy rule handbook regulation guideline allowed entitle",
    "search look find lookup",
    "ticket issue incident support",
    "manager boss supervisor lead head superior",
    "taxi uber cab train flight trip travel",
    "approve decide decision decided",
    "letter certificate document",
    "simulate whatif projection project forecast instead",
    "propose prepare draft book apply submit file create",
    "cancel withdraw revoke",
    "approve accept sign",
    "average mean typical rate",
    "sum total altogether",
    "count number many",
    "rank most least top highest lowest bottom best worst longest largest biggest fewest",
    "compare versus than comparison difference",
    "trend develop development evolve month",
    "holiday calendar away",
    "history past previous",
    "aggregate bulk statistic summary",
)


def _grouping() -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for number, group in enumerate(_GROUPS):
        for word in group.split():
            found.setdefault(word, set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}


_GROUP_OF: Final = _grouping()


def is_common(word: str) -> bool:
    """Return whether a word has a meaning of its own here, so that its capital at the beginning makes it no name."""
    return word.lower() in STOP or stem(word) in _GROUP_OF


def stem(word: str) -> str:
    """Return the form under which a word is compared."""
    word = word.lower().removesuffix("'s").replace("'", "")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for suffix, replacement, least in (
        ("ies", "y", 5), ("ied", "y", 5), ("sses", "ss", 6), ("ches", "ch", 6), ("ing", "", 7), ("ed", "", 6),
        ("s", "", 4),
    ):  # fmt: skip
        if word.endswith(suffix) and len(word) >= least and not word.endswith("ss"):
            return word[: -len(suffix)] + replacement
    return word


def words(text: str) -> list[str]:
    """Return every word of a text, stemmed; names such as leave_days and leaveDays are cut."""
    return [stem(match) for match in _WORD.findall(_CAMEL.sub(" ", text.replace("_", " ").replace(".", " ")))]


def content_words(text: str) -> list[str]:
    """Return the words that carry meaning, each once, in order."""
    raw = _WORD.findall(_CAMEL.sub(" ", text.replace("_", " ").replace(".", " ")))
    kept = [stem(word) for word in raw if word.lower() not in STOP]
    return list(dict.fromkeys(kept))


def likeness(left: str, right: str) -> float:
    """Return 1 for the same word, 0.6 for synonyms, 0.5 for a shared beginning, 0 else."""
    if left == right:
        return 1.0
    if _GROUP_OF.get(left, frozenset()) & _GROUP_OF.get(right, frozenset()):
        return 0.6
    shorter = min(len(left), len(right))
    if shorter >= 5 and left[:shorter] == right[:shorter]:
        return 0.5
    return 0.0


def best_likeness(word: str, others: Iterable[str]) -> float:
    """Return how well a word goes with the best of others."""
    return max((likeness(word, other) for other in others), default=0.0)


def overlap(label: str, text_words: Iterable[str]) -> float:
    """Return which share of a label's words a text has, 0 to 1."""
    own = words(label)
    known = set(text_words)
    if not own:
        return 0.0
    return sum(best_likeness(word, known) for word in own) / len(own)
