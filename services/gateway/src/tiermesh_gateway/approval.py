"""Recognises "yes, do that": a turn that only says yes to the one before. What follows from it is the decision's."""

from __future__ import annotations

import re
from typing import Final

_MOST_WORDS: Final = 6
# First words of a yes, and words that make it something else; of the languages that packs come in.
_YES: Final = frozenset(
    {"yes", "yeah", "yep", "yup", "ok", "okay", "sure", "please", "go", "do", "correct", "exactly", "right", "agreed"}
    | {"confirmed", "confirm", "ja", "jawohl", "genau", "mach", "bitte", "gerne", "oui", "si", "sí", "dale", "vale"}
)
_ELSE: Final = frozenset(
    {"but", "not", "no", "what", "how", "why", "when", "who", "which", "where", "if", "instead", "than", "thanks"}
    | {"thank", "good", "great", "fine", "nice", "aber", "nicht", "nein", "was", "wie", "warum", "wenn", "danke"}
    | {"gut", "mais", "non", "pas", "merci", "bien", "pero", "gracias", "bueno"}
)
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def approves(text: str) -> bool:
    """True for a short turn that agrees and asks nothing of its own."""
    if "?" in text or any(character.isdigit() for character in text):
        return False
    words = _WORD.findall(text.casefold())
    return 0 < len(words) <= _MOST_WORDS and words[0] in _YES and not _ELSE.intersection(words)
