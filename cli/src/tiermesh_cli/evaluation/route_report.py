"""What routing got right on labelled conversations, and which of the unequal errors it made, per place of the turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiermesh_cli.evaluation.speculation_report import Spent, speculation_values

AGGREGATE, TIER1, TIER2 = "aggregate", "tier1", "tier2"
RIGHT = "right"
# Gold and chosen route → the error that it is. What is not listed is "other".
_ERRORS = {
    (AGGREGATE, TIER1): "trap",
    (TIER2, TIER1): "quality_loss",
    (TIER2, AGGREGATE): "quality_loss",
    (TIER1, TIER2): "cost_inflation",
    (AGGREGATE, TIER2): "cost_inflation",
    (TIER1, AGGREGATE): "detour",
}
KINDS = ("trap", "quality_loss", "cost_inflation", "detour", "other", "refused")


@dataclass(frozen=True)
class RoutedTurn:
    """One labelled turn, as a suite took it."""

    id: str
    # From 1, as it was asked.
    place: int
    gold: str
    # As decided; empty when the question was refused.
    chosen: str
    # Where it was answered in the end.
    ended: str
    complete: bool
    rules: tuple[str, ...] = ()
    refusal: str = ""
    spent: Spent = field(default_factory=Spent)

    @property
    def verdict(self) -> str:
        """RIGHT, or which error it is."""
        if not self.chosen:
            return "refused"
        return RIGHT if self.chosen == self.gold else _ERRORS.get((self.gold, self.chosen), "other")


@dataclass(frozen=True)
class Tally:
    """Counts over some turns."""

    turns: int
    right: int
    # Right where the turn ended, after bounces.
    ended_right: int
    incomplete: int
    errors: dict[str, int]

    @property
    def accuracy(self) -> float:
        """Share of turns that were decided right."""
        return self.right / self.turns if self.turns else 0.0

    def values(self) -> dict[str, Any]:
        """For machines."""
        return {
            "turns": self.turns,
            "route_accuracy": round(self.accuracy, 4),
            "route_accuracy_in_the_end": round(self.ended_right / self.turns, 4) if self.turns else 0.0,
            "incomplete": self.incomplete,
            **self.errors,
        }


def tally(turns: Iterable[RoutedTurn]) -> Tally:
    """Count."""
    listed = list(turns)
    verdicts = Counter(turn.verdict for turn in listed)
    return Tally(
        turns=len(listed),
        right=verdicts[RIGHT],
        ended_right=sum(turn.ended == turn.gold for turn in listed),
        incomplete=sum(bool(turn.chosen) and not turn.complete for turn in listed),
        errors={kind: verdicts[kind] for kind in KINDS},
    )


def values(turns: Sequence[RoutedTurn], *, simulated: bool | None) -> dict[str, Any]:
    """The report for machines: all turns, each place, and every turn that went wrong."""
    places = sorted({turn.place for turn in turns})
    return {
        "simulated_models": simulated,
        "all": tally(turns).values(),
        "by_position": {str(place): tally(turn for turn in turns if turn.place == place).values() for place in places},
        "speculation": speculation_values([turn.spent for turn in turns]),
        "wrong": [
            {
                "id": turn.id,
                "position": turn.place,
                "error": turn.verdict,
                "gold": turn.gold,
                "chosen": turn.chosen,
                "rules": list(turn.rules),
                "refusal": turn.refusal,
            }
            for turn in turns
            if turn.verdict != RIGHT
        ],
    }
