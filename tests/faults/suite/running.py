"""Runs faults one after the other on one stage, then lets the checker go over the whole history."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.faults.suite.acting import Fault, Row, act_out
from tests.faults.suite.checker import Finding, check
from tests.faults.suite.deployment import PROJECT
from tests.faults.suite.postgres import Postgres, postgres
from tests.faults.suite.stage import Stage, stage

_WARM_SECONDS = 15.0


class Outcome:
    """What came of a run: a row per fault, and what the checker found of questions that no row is about."""

    def __init__(self, rows: Sequence[Row], findings: Sequence[Finding], questions: int) -> None:
        claimed = {request for row in rows for request in row.requests}
        self.rows = [row.with_findings(findings) for row in rows]
        self.others = [each for each in findings if each.subject not in claimed and not each.excused]
        self.questions = questions

    @property
    def good(self) -> bool:
        """True when every promise held."""
        return not self.others and not any(row.problems for row in self.rows)


Setting = Callable[[Path, Postgres], AbstractAsyncContextManager[Stage]]


def run(
    faults: Iterable[Fault],
    *,
    setting: Setting = stage,
    seconds: float | None = None,
    tell: Callable[[Row], None] = lambda _: None,
) -> Outcome:
    """Act out the faults under load. `seconds` replaces each one's own time between breaking and mending."""
    folder = Path(tempfile.mkdtemp(prefix="tiermesh-faults-"))
    try:
        with postgres(PROJECT / "packs" / "hr") as database:
            return asyncio.run(_run(list(faults), setting(folder, database), seconds, tell))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(
    faults: Sequence[Fault],
    setting: AbstractAsyncContextManager[Stage],
    seconds: float | None,
    tell: Callable[[Row], None],
) -> Outcome:
    rows: list[Row] = []
    async with setting as at:
        async with at.asking("load"):
            await at.recovered(time.time(), _WARM_SECONDS)
            for fault in faults:
                row = await act_out(at, fault, seconds)
                tell(row)
                rows.append(row)
        questions = at.questions()
        return Outcome(rows, check(questions, await at.gather(), at.excuses), len(questions))


def short_of(faults: Iterable[Fault]) -> list[Fault]:
    """Return what fits into a minute."""
    return [fault for fault in faults if fault.short]
