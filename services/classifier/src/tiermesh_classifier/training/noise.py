"""Writes questions the way people put them: mistyped, spoken, wrapped in courtesies. Labels never change."""

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tiermesh_classifier.training.turns import Turn

# What a copy counts against its turn.
WEIGHT = 0.4
# Lists of the pack's pattern files with wordings before and after a question.
WRAPPERS = (("polite_before", "polite_after"), ("spoken_before", "spoken_after"))
_SHORTHAND = {
    "you": "u",
    "your": "ur",
    "are": "r",
    "please": "pls",
    "what": "wat",
    "how": "hw",
    "many": "mny",
    "much": "mch",
    "and": "n",
    "tomorrow": "tmrw",
    "yesterday": "yestrday",
    "month": "mnth",
    "year": "yr",
    "week": "wk",
    "about": "abt",
    "because": "coz",
    "people": "ppl",
    "thanks": "thx",
    "last": "lst",
    "was": "ws",
    "have": "hav",
    "leave": "leav",
    "when": "wen",
    "would": "wud",
    "today": "tday",
    "before": "b4",
    "department": "dept",
    "meant": "ment",
    "sorry": "sry",
}


def noisy(turns: Sequence[Turn], every: int = 3) -> list[Turn]:
    """A mistyped copy of every n-th turn; the copy stays in its turn's group."""
    copies = []
    for turn in turns:
        seed = zlib.crc32(turn.id.encode())
        if seed % every:
            continue
        text = _mistype(turn.text, random.Random(seed))  # noqa: S311 - repeatable, no secret
        if text != turn.text:
            copies.append(replace(turn, id=f"{turn.id}~", text=text, weight=turn.weight * WEIGHT))
    return copies


def wrapped(turns: Sequence[Turn], lists: Mapping[str, Sequence[str]], every: int = 4) -> list[Turn]:
    """A copy of every n-th question inside courtesies or fillers; short answers to a question of ours stay bare."""
    copies = []
    for turn in turns:
        seed = zlib.crc32(b"wrapped" + turn.id.encode())
        if seed % every or len(turn.text.split()) < 4 or turn.labels["intent"].startswith("chat."):
            continue
        chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
        before, after = chance.choice(WRAPPERS)
        if before not in lists or after not in lists:
            continue
        side = chance.randrange(3)
        text = f"{chance.choice(lists[before])} {turn.text}" if side != 1 else turn.text
        text = f"{text} {chance.choice(lists[after])}" if side != 0 else text
        copies.append(replace(turn, id=f"{turn.id}+", text=text, weight=turn.weight * WEIGHT))
    return copies


def _mistype(text: str, chance: random.Random) -> str:
    style = chance.randrange(4)
    if style == 0:
        return text.rstrip("?.!").lower()
    if style == 1:
        return " ".join(_SHORTHAND.get(word, word) for word in text.rstrip("?.!").lower().split())
    words = text.lower().split() if style == 2 else text.split()
    for _ in range(1 + len(words) // 7):
        at = chance.randrange(len(words)) if words else 0
        if words and len(words[at]) > 4 and words[at].isalpha():
            words[at] = _slip(words[at], chance)
    return " ".join(words)


def _slip(word: str, chance: random.Random) -> str:
    at = 1 + chance.randrange(len(word) - 2)
    kind = chance.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
