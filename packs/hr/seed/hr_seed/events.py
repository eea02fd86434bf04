"""What happened in employments: hired, probation ended, promoted, transferred, left."""

from collections.abc import Iterator

import numpy as np

from .columns import Chunk, Columns, Ints, dates, numbered, split, texts
from .draws import stream, weighted
from .options import Options
from .pay import PayHistory, promotions
from .people import People
from .places import DEPARTMENTS

_KINDS = ("hired", "left", "promoted", "transferred", "probation_ended")
_HIRED, _LEFT, _PROMOTED, _TRANSFERRED, _PROBATION = range(5)
_PROBATION_DAYS = 182
_REASONS = ("Resigned", "End of contract", "Retired", "Dismissed", "Mutual agreement")
_REASON_WEIGHTS = (0.62, 0.14, 0.06, 0.09, 0.09)


def event_table(options: Options, people: People, pay: PayHistory) -> Iterator[Chunk]:
    """The table `lifecycle_events`, oldest first."""
    names = [department.name for department in DEPARTMENTS]
    joined = [f"Joined {name}" for name in names]
    grades = [f"G{grade} → G{grade + 1}" for grade in range(1, 10)]
    moves = [f"Moved from {old} to {new}" for old in names for new in names]
    details = [*joined, *_REASONS, "Probation passed", *grades, *moves]
    reasons_at = len(joined)
    probation_at = reasons_at + len(_REASONS)
    grades_at = probation_at + 1
    moves_at = grades_at + len(grades)
    everybody = np.arange(len(people))
    leavers = np.flatnonzero(~people.active)
    reason = weighted(stream(options.seed, "reasons"), _REASON_WEIGHTS, len(people))[leavers]
    passed = np.flatnonzero(people.hired + _PROBATION_DAYS <= people.last_day)
    promoted, promoted_on, grade = promotions(pay)
    moved, moved_on, old = _transfers(options, people)
    parts = [
        (everybody, people.hired, _HIRED, people.department),
        (leavers, people.left[leavers], _LEFT, reasons_at + reason),
        (passed, people.hired[passed] + _PROBATION_DAYS, _PROBATION, np.full(len(passed), probation_at)),
        (promoted, promoted_on, _PROMOTED, grades_at + grade - 2),
        (moved, moved_on, _TRANSFERRED, moves_at + old * len(names) + people.department[moved]),
    ]
    person = np.concatenate([part[0] for part in parts])
    day = np.concatenate([part[1] for part in parts])
    kind = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    detail = np.concatenate([part[3] for part in parts])
    order = np.lexsort((kind, person, day))
    columns: Columns = {
        "event_id": numbered("EV", 1, len(order)),
        "employee_id": people.ids[person[order]],
        "kind": texts(_KINDS, kind[order]),
        "happened_on": dates(day[order]),
        "detail": texts(details, detail[order]),
    }
    yield from split("lifecycle_events", columns)


def _transfers(options: Options, people: People) -> tuple[Ints, Ints, Ints]:
    """Who came from another department after at least a year, when, and from which; team leads stay where they grew."""
    draws = stream(options.seed, "transfers")
    count = len(people)
    span = people.last_day - people.hired - 365
    chance = draws.random(count) < np.clip(0.025 * span / 365, 0, 0.2)
    moved = np.flatnonzero(chance & (span > 30) & (people.grade <= 6) & ~people.leads)
    day = people.hired[moved] + 365 + (draws.random(count)[moved] * span[moved]).astype(np.int64)
    other = draws.integers(1, len(DEPARTMENTS), count)[moved]
    return moved, day, (people.department[moved] + other) % len(DEPARTMENTS)
