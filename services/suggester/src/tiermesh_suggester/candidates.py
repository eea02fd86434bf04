"""What may become a pill, and the checks that need nobody else: form only. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["drill_down", "compare", "act", "explain"]
KINDS: tuple[Kind, ...] = ("drill_down", "compare", "act", "explain")

MAX_CHARACTERS = 60

_MARKUP = re.compile(r"[<>{}\[\]`|*_#\\~]|\w://|www\.|\w\.(?:com|org|net|io|de)\b", re.IGNORECASE)
# Control, format, surrogate and private characters, and line ends of every kind.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True)
class Candidate:
    """A follow-up question before it has proved itself."""

    text: str
    kind: Kind
    # Intent that it is meant to have; empty when its author did not say.
    intent: str = ""


@dataclass
class Dropped:
    """How many candidates fell out, per reason."""

    counts: dict[str, int] = field(default_factory=dict)

    def note(self, reason: str, count: int = 1) -> None:
        """Count dropped candidates; none leaves no trace."""
        if count:
            self.counts[reason] = self.counts.get(reason, 0) + count


def fault_of(text: str) -> str:
    """Return why a text may not be shown at all, as a reason's name; empty when it may."""
    if not any(character.isalnum() for character in text):
        return "markup"
    if any(unicodedata.category(character) in _UNSHOWN for character in text) or _MARKUP.search(text):
        return "markup"
    return "too_long" if len(text) > MAX_CHARACTERS else ""
