"""Finds what speaks to the router or to a model instead of asking something, and takes it out of what is read.

Such sentences are data whose claims are ignored: the rest is scored as if they were not there, and a language model
never sees a text that holds one. The wordings are data (`lexicon/steering.yaml`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from tiermesh_classifier.reading.sentences import asks
from tiermesh_classifier.reading.text import read_text

_BETWEEN_SENTENCES = re.compile(r"(?<=[.?!;])(?=\s)|(?<=[\n\r])")
_WORD = re.compile(r"[^\W_]+")
# Twice the longest question that was ever labelled. A list of names in one sentence may be longer.
_BURIED = 600
_MORE_THAN_ONE = re.compile(r"[.?!;:\n\r][\"')\]\s]*\w")
# So many words before the first sign of a sentence, or so many behind it that no claim is made of, may be a question
# of their own.
_LED = 3
# What is left of a text is a question that can stand for itself when it is no longer than this.
_PLAIN = 300


@dataclass(frozen=True, slots=True)
class Steered:
    """A text without such sentences, every other character in its place."""

    rest: str
    # Whether anything was taken out.
    cleaned: bool
    # Whether a question and such words are mixed so that nobody can tell where the question ends.
    tangled: bool


@lru_cache(maxsize=1)
def _lexicon() -> Mapping[str, Any]:
    source = resources.files("tiermesh_classifier.lexicon").joinpath("steering.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(source))


@lru_cache(maxsize=1)
def _signs() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, re.compile(pattern)) for name, pattern in _lexicon()["signs"].items())


@lru_cache(maxsize=1)
def _claim_words() -> frozenset[str]:
    return frozenset(_lexicon()["claim_words"].split())


def steering_sign(text: str) -> str | None:
    """The name of the first sign in a text, as far as it is read; None when it holds none."""
    folded = read_text(text).folded
    return next((name for name, pattern in _signs() if pattern.search(folded)), None)


def steered(text: str) -> Steered:
    """Takes such sentences out; a text that holds nothing else stays as it is."""
    if steering_sign(text) is None:
        return Steered(text, cleaned=False, tangled=False)
    parts = _BETWEEN_SENTENCES.split(text)
    found = [_addressed(part) for part in parts]
    said = [part for part, beside in zip(parts, found, strict=True) if beside is None]
    # Beside a sentence of its own a word or two ("NOW!!!") are more of the same.
    fewest = min(_LED, max((len(_WORD.findall(part)) for part in said), default=0))
    rest = "".join(
        " " * len(part) if beside is not None or (len(_WORD.findall(part)) < fewest and not asks(part)) else part
        for part, beside in zip(parts, found, strict=True)
    )
    if not any(map(str.isalpha, rest)):
        return Steered(text, cleaned=False, tangled=len(parts) > 1)
    # Whatever else a sentence says that was taken out is lost: it may have been the question, so nobody may be sure.
    glued = any(beside is not None and beside >= _LED for beside in found)
    return Steered(rest, cleaned=rest != text, tangled=glued or rest == text or len(" ".join(rest.split())) > _PLAIN)


def buried(text: str) -> bool:
    """Whether a question, if there is one, is lost: many sentences or lines, far longer than questions are."""
    words = " ".join(text.split())
    return len(words) > _BURIED and _MORE_THAN_ONE.search(text.strip()) is not None


def _addressed(sentence: str) -> int | None:
    """How many words on one side of its signs are no part of a claim, the side that has more; None without a sign."""
    folded = read_text(sentence).folded
    matches = [match.span() for _, pattern in _signs() for match in pattern.finditer(folded)]
    if not matches:
        return None
    first = min(start for start, _ in matches)
    behind = [
        word
        for word in _WORD.finditer(folded, first)
        if not any(start < word.end() and word.start() < end for start, end in matches)
    ]
    return max(len(folded[:first].split()), sum(word.group() not in _claim_words() for word in behind))
