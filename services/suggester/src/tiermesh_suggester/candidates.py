"""Candidates on their way to pills: reading the model's JSON, and the checks that need nobody else. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["drill_down", "compare", "act", "explain"]
KINDS: tuple[Kind, ...] = ("drill_down", "compare", "act", "explain")

MAX_CHARACTERS = 60
# A model that returns more than this is not read to the end.
MAX_CANDIDATES = 12
# Shared share of words from which two candidates say the same.
DUPLICATE_OVERLAP = 0.75

_MARKUP = re.compile(r"[<>{}\[\]`|*_#]|https?:|www\.|\]\(")
_WORD = re.compile(r"\w+")
# Words that carry no difference between two questions.
_FILLER_WORDS = """
a an and are by can could did do does for from give how i in is it me my of on or please show tell that the their this
to was were what which who with you
"""
_FILLERS = frozenset(_FILLER_WORDS.split())


@dataclass(frozen=True)
class Candidate:
    """A follow-up question before it has proved itself."""

    text: str
    kind: Kind


@dataclass
class Dropped:
    """How many candidates fell out, per reason."""

    counts: dict[str, int] = field(default_factory=dict)

    def note(self, reason: str, count: int = 1) -> None:
        """Count dropped candidates; none leaves no trace."""
        if count:
            self.counts[reason] = self.counts.get(reason, 0) + count


def parse_candidates(text: str, dropped: Dropped) -> list[Candidate]:
    """Read the model's `{"pills": [{"text", "kind"}]}`; what does not fit is dropped, never raised."""
    try:
        document: Any = json.loads(text)
    except ValueError:
        dropped.note("not_json")
        return []
    entries: Any = document.get("pills") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        dropped.note("not_json")
        return []
    dropped.note("too_many", max(0, len(entries) - MAX_CANDIDATES))
    found = []
    for entry in entries[:MAX_CANDIDATES]:
        if isinstance(entry, dict) and isinstance(entry.get("text"), str) and entry.get("kind") in KINDS:
            found.append(Candidate(" ".join(entry["text"].split()), entry["kind"]))
        else:
            dropped.note("not_json")
    return found


def presentable(candidates: Iterable[Candidate], dropped: Dropped) -> list[Candidate]:
    """Keep candidates that may be shown at all: short, plain text, no markup, no links, no control characters."""
    kept = []
    for candidate in candidates:
        unprintable = any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in candidate.text)
        if not candidate.text or unprintable or _MARKUP.search(candidate.text):
            dropped.note("markup")
        elif len(candidate.text) > MAX_CHARACTERS:
            dropped.note("too_long")
        else:
            kept.append(candidate)
    return kept


def fresh(candidates: Iterable[Candidate], asked: str, shown: Sequence[str], dropped: Dropped) -> list[Candidate]:
    """Keep candidates that were not asked or shown before and do not say the same as one kept already."""
    before = [content_words(asked), *(content_words(text) for text in shown)]
    kept: list[Candidate] = []
    kept_words: list[frozenset[str]] = []
    for candidate in candidates:
        words = content_words(candidate.text)
        if any(overlap(words, other) >= DUPLICATE_OVERLAP for other in before):
            dropped.note("repeated")
        elif any(overlap(words, other) >= DUPLICATE_OVERLAP for other in kept_words):
            dropped.note("duplicate")
        else:
            kept.append(candidate)
            kept_words.append(words)
    return kept


def mixed(candidates: Sequence[Candidate], mix: Mapping[str, float], count: int) -> list[Candidate]:
    """Choose `count` candidates in the mix of kinds that suits the answer; order within a kind is kept.

    `mix` weighs the kinds. The next pill is of the kind that is furthest behind its share.
    """
    weights = {kind: max(mix.get(kind, 0.0), 0.01) for kind in KINDS}
    waiting: dict[Kind, list[Candidate]] = {kind: [c for c in candidates if c.kind == kind] for kind in KINDS}
    chosen: list[Candidate] = []
    taken = dict.fromkeys(KINDS, 0)
    while len(chosen) < count and any(waiting.values()):
        kind = max((k for k in KINDS if waiting[k]), key=lambda k: weights[k] / (taken[k] + 1))
        chosen.append(waiting[kind].pop(0))
        taken[kind] += 1
    return chosen


def content_words(text: str) -> frozenset[str]:
    """Return the words that make a question what it is."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return frozenset(word for word in words if word not in _FILLERS) or frozenset(words)


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the shared share of two sets of words, 0 to 1."""
    return len(one & other) / len(one | other) if one and other else 0.0
