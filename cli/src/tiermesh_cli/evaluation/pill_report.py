"""What a trial's pills amount to, per tier that answered, and whether two tiers differ beyond noise. Pure."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

from tiermesh_cli.evaluation.pill_trial import AskedTurn

KINDS = ("drill_down", "compare", "act", "explain")
SIMULATOR_NOTE = (
    "These pills were worded by the simulator: the figures show that the mechanism works, not a model's taste."
)
# Letters in common from which two texts count as one: measured otherwise than the suggester does it.
SAME = 0.92
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval (Wilson)."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.count / self.total if self.total else None

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Lower and upper bound; everything when nothing was seen."""
        if not self.total:
            return (0.0, 1.0)
        share, n = self.count / self.total, self.total
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        return (max(0.0, middle - half), min(1.0, middle + half))

    def values(self) -> dict[str, Any]:
        """The share for machines."""
        low, high = self.interval()
        return {"share": self.value, "low": low, "high": high, "count": self.count, "of": self.total}


@dataclass(frozen=True)
class PillRow:
    """The pills of the questions that one tier answered."""

    tier: str
    questions: int
    pills: int
    dead_ends: Share
    invisible: Share
    duplicates: Share
    fallback: Share
    kinds: dict[str, Share]
    # Median seconds; negative is before. None without pills.
    after_first: float | None
    after_end: float | None
    by_token: Share
    why_dead: dict[str, int]
    why_missing: dict[str, int]
    # Pills that led nowhere or to nothing, after which question and why.
    examples: list[dict[str, str]]

    def shares(self) -> dict[str, Share]:
        """Every share that must not depend on the tier."""
        of_all = {"dead_ends": self.dead_ends, "invisible": self.invisible, "duplicates": self.duplicates}
        return {**of_all, "fallback": self.fallback, **self.kinds}

    def values(self) -> dict[str, Any]:
        """The row for machines."""
        plain = {
            key: value for key, value in asdict(self).items() if not isinstance(getattr(self, key), Share | dict | list)
        }
        shares = {name: share.values() for name, share in self.shares().items() if name not in KINDS}
        return {
            **plain,
            **shares,
            "clicked_by_token": self.by_token.values(),
            "kinds": {kind: share.values() for kind, share in self.kinds.items()},
            "why_dead": self.why_dead,
            "why_missing": self.why_missing,
            "examples": self.examples,
        }


@dataclass(frozen=True)
class Difference:
    """One share at two tiers, on the same questions."""

    name: str
    tier1: Share
    tier2: Share
    beyond_noise: bool


@dataclass(frozen=True)
class PillReport:
    """Everything that was measured."""

    rows: list[PillRow]
    # None when nothing was asked at both tiers.
    differences: list[Difference] | None
    pairs: int
    # None when it is not known.
    simulated: bool | None
    errors: dict[str, int]

    @property
    def equal(self) -> bool | None:
        """Whether the tiers' pills are the same within noise; None when that was not measured."""
        return None if self.differences is None else not any(each.beyond_noise for each in self.differences)

    def values(self) -> dict[str, Any]:
        """The report for machines."""
        compared = [
            {
                "name": each.name,
                "tier1": each.tier1.values(),
                "tier2": each.tier2.values(),
                "differs": each.beyond_noise,
            }
            for each in self.differences or ()
        ]
        return {
            "simulated": self.simulated,
            "note": SIMULATOR_NOTE if self.simulated else "",
            "tiers": [row.values() for row in self.rows],
            "same_questions_at_both_tiers": {"pairs": self.pairs, "equal_within_noise": self.equal, "shares": compared},
            "errors": self.errors,
        }


def report_of(turns: Sequence[AskedTurn], *, simulated: bool | None) -> PillReport:
    """Sum up a trial."""
    answered = [turn for turn in turns if not turn.error]
    tiers = sorted({turn.tier for turn in answered})
    rows = [_row(tier, [turn for turn in answered if turn.tier == tier]) for tier in tiers]
    ones, twos = _pairs(answered)
    differences = _differences(_row("1", ones), _row("2", twos)) if ones else None
    errors = _counts(turn.error for turn in turns if turn.error)
    return PillReport(rows, differences, len(ones), simulated, errors)


def _pairs(turns: Sequence[AskedTurn]) -> tuple[list[AskedTurn], list[AskedTurn]]:
    """Questions that tier 1 answered when they were routed, and tier 2 when it was asked to."""
    second = {(turn.conversation, turn.turn): turn for turn in turns if turn.mode == "tier2" and turn.tier == "2"}
    first = [turn for turn in turns if turn.mode == "routed" and turn.tier == "1"]
    ones = [turn for turn in first if (turn.conversation, turn.turn) in second]
    return ones, [second[turn.conversation, turn.turn] for turn in ones]


def _row(tier: str, turns: Sequence[AskedTurn]) -> PillRow:
    pills = [pill for turn in turns for pill in turn.pills]
    clicks = [click for turn in turns for click in turn.clicks]
    return PillRow(
        tier=tier,
        questions=len(turns),
        pills=len(pills),
        dead_ends=_share(clicks, lambda click: bool(click.dead_end)),
        invisible=_share(clicks, lambda click: click.invisible),
        duplicates=Share(sum(_repeated(turn) for turn in turns), len(pills)),
        fallback=_share(pills, lambda pill: pill.fallback),
        kinds={kind: Share(sum(pill.kind == kind for pill in pills), len(pills)) for kind in KINDS},
        after_first=_median(pill.after_first for pill in pills),
        after_end=_median(pill.after_end for pill in pills),
        by_token=_share(clicks, lambda click: click.by_token),
        why_dead=_counts(click.dead_end for click in clicks if click.dead_end),
        why_missing=_counts(turn.pills_missing_cause for turn in turns if turn.pills_missing_cause),
        examples=[
            {"question": turn.text, "pill": click.text, "kind": click.kind, "why": click.dead_end or "no_row"}
            for turn in turns
            for click in turn.clicks
            if click.dead_end or click.invisible
        ],
    )


def _share(things: Sequence[Any], which: Callable[[Any], bool]) -> Share:
    return Share(sum(map(which, things)), len(things))


def _repeated(turn: AskedTurn) -> int:
    """How many of a turn's pills say what was asked or shown before them."""
    said, repeated = [_plain(text) for text in turn.before], 0
    for pill in turn.pills:
        plain = _plain(pill.text)
        repeated += any(SequenceMatcher(None, plain, other).ratio() >= SAME for other in said)
        said.append(plain)
    return repeated


def _plain(text: str) -> str:
    return " ".join(_WORDS.findall(text.casefold()))


def _differences(one: PillRow, two: PillRow) -> list[Difference]:
    """Compare each share at 95 % over all of them together: their intervals are widened for their number."""
    names = list(one.shares())
    z = statistics.NormalDist().inv_cdf(1 - 0.05 / 2 / len(names))
    return [Difference(name, one.shares()[name], two.shares()[name], _differs(one, two, name, z)) for name in names]


def _differs(one: PillRow, two: PillRow, name: str, z: float) -> bool:
    """Whether the difference's interval (Newcombe's, of two Wilson intervals) leaves zero out."""
    first, second = one.shares()[name], two.shares()[name]
    if first.value is None or second.value is None:
        return False
    (low1, high1), (low2, high2) = first.interval(z), second.interval(z)
    difference = first.value - second.value
    low = difference - math.hypot(first.value - low1, high2 - second.value)
    high = difference + math.hypot(high1 - first.value, second.value - low2)
    return not low <= 0 <= high


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _counts(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found
