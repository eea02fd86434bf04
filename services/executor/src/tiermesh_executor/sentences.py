"""Cuts a growing text into sentences without ever cutting through a figure or a name.

Whether a sentence may go out is decided in `prose`.
"""

import re

MAX_SENTENCE = 2_000
# After these a full stop does not end a sentence.
_ABBREVIATIONS = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|approx|ca|vs|mr|mrs|ms|dr|prof|st|incl|excl|dept|max|min|avg|z\.b|bzw|"
    r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)|\b[A-Z]|^\s*\d{1,3}|(?<=\n)\s*\d{1,3})\.$",
    re.IGNORECASE,
)
_NUMBER_SIGN = re.compile(r"\b(?:no|nr)\.$", re.IGNORECASE)
_END = re.compile(r"[.!?…][\"'”’)\]*_]*(?=\s)|\n+")


def take_sentences(text: str) -> tuple[list[str], str]:
    """The whole sentences of `text` and the rest. A sentence is whole when something follows it.

    Joined again they are `text`: white space stays with the sentence before it.
    """
    sentences: list[str] = []
    start = 0
    for match in _END.finditer(text):
        if match.end() <= start or _goes_on(text, start, match):
            continue
        end = match.end()
        while end < len(text) and text[end].isspace():
            end += 1
        if end == len(text) and "\n" not in match.group():
            # More white space or a lower-case word may follow: then it is no end.
            break
        sentences.append(text[start:end])
        start = end
    rest = text[start:]
    while len(rest) > MAX_SENTENCE:
        cut = rest.rfind(" ", 1, MAX_SENTENCE) + 1 or MAX_SENTENCE
        sentences.append(rest[:cut])
        rest = rest[cut:]
    return sentences, rest


def _goes_on(text: str, start: int, match: re.Match[str]) -> bool:
    if "\n" in match.group():
        return False
    if match.group() != ".":
        return False
    before, following = text[start : match.end()], text[match.end() : match.end() + 8].lstrip()
    if _NUMBER_SIGN.search(before):
        return following[:1].isdigit()
    return _ABBREVIATIONS.search(before) is not None or following[:1].islower()
