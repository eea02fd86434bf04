"""The runner of the fault matrix: cases in, one row each out.

A case is anything with a title and a `run` that gives what happened beside what was to
happen. Where cases come from is listed in `__main__`; add a module of your own there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

# A case that takes longer than this hangs.
HANG_SECONDS = 120.0


@dataclass(frozen=True)
class Outcome:
    """What is looked at: how it ended, and who was asked in which order."""

    ended: str
    attempts: Sequence[str]


@dataclass(frozen=True)
class Title:
    """The columns that say what was done."""

    part: str
    fault: str
    when: str
    possible: str

    def __str__(self) -> str:
        return ", ".join((self.part, self.fault, self.when, self.possible))


class Case(Protocol):
    """One fault in one situation."""

    @property
    def title(self) -> Title: ...

    async def run(self) -> Row:
        """Act it out."""
        ...


@dataclass(frozen=True)
class Row:
    """One line of the table; `problems` is empty when everything was as expected."""

    title: Title
    expected: Outcome
    got: Outcome
    problems: Sequence[str] = ()
    seconds: float = 0.0
    notes: Sequence[str] = field(default=())


async def run_all(cases: Iterable[Case], *, at_once: int) -> list[Row]:
    """Run the cases, so many at a time; in their order."""
    room = asyncio.Semaphore(at_once)

    async def run(case: Case) -> Row:
        async with room:
            started = time.perf_counter()
            try:
                async with asyncio.timeout(HANG_SECONDS):
                    row = await case.run()
            except TimeoutError:
                nothing = Outcome("hangs", ())
                return Row(case.title, nothing, nothing, [f"did not end within {HANG_SECONDS:g} s"])
            return Row(row.title, row.expected, row.got, row.problems, time.perf_counter() - started, row.notes)

    return list(await asyncio.gather(*(run(case) for case in cases)))


def table(rows: Sequence[Row]) -> str:
    """Return the matrix for people."""
    head = ("part", "fault", "when", "possible", "outcome", "asked in this order", "seconds", "")
    lines = [
        (
            row.title.part,
            row.title.fault,
            row.title.when,
            row.title.possible,
            row.got.ended,
            " ".join(row.got.attempts),
            f"{row.seconds:.1f}",
            "ok" if not row.problems else "NOT AS EXPECTED: " + "; ".join(row.problems),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in [head, *lines])
    return "\n".join("  ".join(cells).rstrip() for cells in padded)
