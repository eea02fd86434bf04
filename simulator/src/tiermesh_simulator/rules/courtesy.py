"""What a letter says around its question: salutation, thanks, regards, the name below. No model takes it for data."""

from __future__ import annotations

import re
from typing import Final

from tiermesh_simulator.rules.lexicon import content_words

_OPENING: Final = re.compile(
    r"^\W*(?:(?:dear|hello|hi|hey|good (?:morning|afternoon|evening|day))\b[^,.!?:\n]{0,40}[,.!:\n]+\s*"
    r"|(?:i )?hope (?:you|your|this|all)\b[^.!?\n]*[.!\n]+\s*"
    r"|(?:hello |hi )?(?:and )?(?:many )?(?:thanks|thank you)\b[^.!?\n]*[.!,\n]+\s*"
    r"|(?:ok(?:ay)?|fine|right|great|perfect|well|sorry)\b[,.!]+\s*)",
    re.IGNORECASE,
)
_CLOSING: Final = re.compile(
    r"(?:(?<=[.!?,\n])|(?<=\s[-–—]))\s*(?:(?:with |and )?(?:(?:my |our )?(?:best|kind|warm|many|friendly)\s+)"
    r"(?:wishes|regards|thanks|greetings)|with (?:best|kind) (?:wishes|regards)|(?:many )?thanks|thank you|cheers"
    r"|regards|sincerely|yours\b[^,.\n]*|greetings|best,)(?![^.!?\n]*\?)[\s\S]{0,140}$",
    re.IGNORECASE,
)


def bare(question: str) -> str:
    """Return the question without what is said around it; as it is where nothing else is said."""
    text = question
    while (match := _OPENING.match(text)) and _says_something(text[match.end() :]):
        text = text[match.end() :]
    found = _CLOSING.search(text)
    if found and content_words(text[: found.start()]):
        text = text[: found.start()]
    return text.strip() or question


def _says_something(text: str) -> bool:
    return len(content_words(text)) >= 2
