"""Finds what speaks to the router or to a model instead of asking something, and takes it out of what is read.

Such sentences are data whose claims are ignored: the rest is scored as if they were not there, and a language model
never sees a text that holds one. The wordings are data (`lexicon/steering.yaml`).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml

from tiermesh_classifier.reading.text import read_text

_BETWEEN_SENTENCES = re.compile(r"(?<=[.?!;])(?=\s)|(?<=[\n\r])")
# So many words before the first sign of a sentence may be a question of their own.
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
def _signs() -> tuple[tuple[str, re.Pattern[str]], ...]:
    source = resources.files("tiermesh_classifier.lexicon").joinpath("steering.yaml").read_text(encoding="utf-8")
    return tuple((name, re.compile(pattern)) for name, pattern in yaml.safe_load(source)["signs"].items())


def steering_sign(text: str) -> str | None:
    """The name of the first sign in a text, as far as it is read; None when it holds none."""
    folded = read_text(text).folded
    return next((name for name, pattern in _signs() if pattern.search(folded)), None)


def steered(text: str) -> Steered:
    """Takes such sentences out; a text that holds nothing else stays as it is."""
    if steering_sign(text) is None:
        return Steered(text, cleaned=False, tangled=False)
    parts = _BETWEEN_SENTENCES.split(text)
    before = [_words_before_a_sign(part) for part in parts]
    rest = "".join(" " * len(part) if at is not None else part for part, at in zip(parts, before, strict=True))
    if not any(map(str.isalpha, rest)):
        return Steered(text, cleaned=False, tangled=len(parts) > 1)
    led = any(at is not None and at >= _LED for at in before)
    return Steered(rest, cleaned=rest != text, tangled=led or rest == text or len(" ".join(rest.split())) > _PLAIN)


def _words_before_a_sign(sentence: str) -> int | None:
    """How many words stand before the first sign of a sentence; None when it holds none."""
    folded = read_text(sentence).folded
    found = [match.start() for _, pattern in _signs() if (match := pattern.search(folded))]
    return len(folded[: min(found)].split()) if found else None
