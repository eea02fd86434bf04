"""Puts questions that stand alone behind other questions: a new topic, or another question on the same one.

Without these, a model learns that whatever comes second leans on the first. Labels stay as they were, but for the place
in the conversation.
"""

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tiermesh_classifier.history import History
from tiermesh_classifier.training.turns import Turn, past_turn

WEIGHT = 0.4
SHIFTS = "shift_before"


def woven(turns: Sequence[Turn], lists: Mapping[str, Sequence[str]], every: int = 3) -> list[Turn]:
    """A copy of every n-th opening as a later turn of a conversation that another opening began."""
    openings = [turn for turn in turns if not turn.history.running]
    shifts = lists.get(SHIFTS, ())
    found = []
    for turn in openings:
        seed = zlib.crc32(b"woven" + turn.id.encode())
        if seed % every or turn.labels["intent"].startswith("chat.") or turn.labels["ambiguous"] == "yes":
            continue
        chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
        before = chance.choice(openings)
        same = _family(before) == _family(turn)
        text = turn.text
        if shifts and not same and chance.random() < 0.6:
            text = f"{chance.choice(shifts)} {text}"
        labels = {**turn.labels, "position": "follow_up" if same else "topic_shift", "needs_context": "no"}
        history = History(turns=(past_turn(before.labels, before.route),), total_turns=1 + chance.randrange(3))
        weight = turn.weight * WEIGHT
        found.append(replace(turn, id=f"{turn.id}>", text=text, history=history, labels=labels, weight=weight))
    return found


def _family(turn: Turn) -> str:
    return turn.labels["intent"].partition(".")[0]
