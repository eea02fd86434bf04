"""Which questions are asked: the pack's labelled ones, with the mix of routes and intents of its hand-labelled sets.

All conversations and openings of `labelled-*.jsonl` come first; what is wanted beyond them is drawn from the pack's
other written openings, so many of each route and intent as the labelled openings have.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

_ASKS = {"org": "people_admin", "team": "head"}


@dataclass(frozen=True)
class Turn:
    """One labelled question."""

    id: str
    text: str
    route: str
    intent: str
    cardinality: str
    aggregation: str

    @property
    def high_scope(self) -> bool:
        """Several people's data or a figure over many records: what must never become a loop."""
        return self.cardinality in ("team", "org") or self.route == "aggregate"

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Turn:
        """Read one line of an example file."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Talk:
    """A conversation, or an opening question alone; and the persona that asks."""

    turns: tuple[Turn, ...]

    @property
    def persona(self) -> str:
        """Whoever may see what the widest of the questions is about."""
        widest = {turn.cardinality for turn in self.turns}
        return next((who for cardinality, who in _ASKS.items() if cardinality in widest), "manager")


def read_examples(folder: Path) -> tuple[list[Talk], list[Talk], list[Talk]]:
    """Return the labelled conversations, the labelled openings and the other openings of a pack."""
    conversations = [
        Talk(tuple(Turn.of(row) for row in rows))
        for _, rows in groupby(_rows(folder / "labelled-conversations.jsonl"), key=lambda row: row["conversation"])
    ]
    openings = [Talk((Turn.of(row),)) for row in _rows(folder / "labelled-openings.jsonl")]
    others = [
        Talk((Turn.of(row),))
        for path in sorted(folder.glob("*.jsonl"))
        if not path.name.startswith("labelled-")
        for row in _rows(path)
        if row["conversation"] is None and row["position"] == "opening"
    ]
    return conversations, openings, others


def sample(
    conversations: Sequence[Talk], openings: Sequence[Talk], others: Sequence[Talk], questions: int, seed: int = 7
) -> list[Talk]:
    """About so many questions (whole conversations, so up to six more), in random order.

    Conversations keep the share of turns that they have among the labelled ones, until there are no more of them.
    """
    chance = random.Random(seed)
    turns = sum(len(talk.turns) for talk in conversations)
    wanted = questions * turns / (turns + len(openings))
    chosen: list[Talk] = []
    for talk in _shuffled(conversations, chance):
        if sum(len(each.turns) for each in chosen) >= wanted:
            break
        chosen.append(talk)
    rest = max(0, questions - sum(len(talk.turns) for talk in chosen))
    chosen += _openings(openings, others, rest, chance)
    return _shuffled(chosen, chance)


def _openings(openings: Sequence[Talk], others: Sequence[Talk], count: int, chance: random.Random) -> list[Talk]:
    supply: dict[tuple[str, str], list[Talk]] = {}
    for talk in [*_shuffled(openings, chance), *_shuffled(others, chance)]:
        supply.setdefault(_stratum(talk), []).append(talk)
    chosen: list[Talk] = []
    for stratum, share in quotas(Counter(map(_stratum, openings)), count).items():
        chosen += supply[stratum][:share]
    # Strata that the pack has too few of are filled from the others, in their mix.
    taken = {talk.turns[0].id for talk in chosen}
    left = [talk for talks in supply.values() for talk in talks if talk.turns[0].id not in taken]
    return chosen + chance.sample(left, min(len(left), count - len(chosen)))


def quotas(counts: Mapping[tuple[str, str], int], total: int) -> dict[tuple[str, str], int]:
    """Split `total` in proportion to the counts; largest remainders get what is left."""
    whole = sum(counts.values())
    exact = {name: total * count / whole for name, count in counts.items()}
    found = {name: int(share) for name, share in exact.items()}
    for name in sorted(exact, key=lambda each: (found[each] - exact[each], each))[: total - sum(found.values())]:
        found[name] += 1
    return found


def blocks(talks: Sequence[Talk], count: int) -> list[list[Talk]]:
    """Cut into so many blocks of about equally many questions, conversations whole."""
    found: list[list[Talk]] = [[] for _ in range(count)]
    sizes = [0] * count
    for talk in sorted(talks, key=lambda each: -len(each.turns)):
        place = sizes.index(min(sizes))
        found[place].append(talk)
        sizes[place] += len(talk.turns)
    return [block for block in found if block]


def _stratum(talk: Talk) -> tuple[str, str]:
    return talk.turns[0].route, talk.turns[0].intent


def _shuffled(talks: Iterable[Talk], chance: random.Random) -> list[Talk]:
    found = list(talks)
    chance.shuffle(found)
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
