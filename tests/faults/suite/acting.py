"""Acts out one fault on a stage under load and says what came of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from tests.faults.suite.checker import Finding
from tests.faults.suite.history import CLEAR, Question
from tests.faults.suite.stage import Stage

Act = Callable[[Stage], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """One fault, what has to hold, and how it is acted out: entering the block breaks, leaving it mends."""

    # Tests of the list of 25 that it is about, such as "1" or "4, 6"; "+" for one beyond them.
    number: str
    name: str
    must: str
    act: Act
    # Seconds between breaking and mending.
    hold: float = 3.0
    # Every answer has to be whole; otherwise whole or a clear error.
    whole: bool = False
    recovered_within: float = 10.0
    # Why it cannot be acted out here, "" when it can.
    impossible: Callable[[Stage], str] = lambda _: ""
    # Part of the short run.
    short: bool = False


@dataclass(frozen=True)
class Row:
    """What came of one fault."""

    number: str
    fault: str
    must: str
    outcome: str = ""
    tries: int = 0
    complete: int = 0
    clear: int = 0
    left: int = 0
    hung: int = 0
    lost: int = 0
    recovered: float | None = None
    skipped: str = ""
    problems: Sequence[str] = ()
    requests: Collection[str] = field(default=frozenset(), repr=False)

    def with_findings(self, findings: Sequence[Finding]) -> Row:
        """Return the row with what the checker found about its questions."""
        mine = [each for each in findings if each.subject in self.requests]
        broken = [each for each in mine if not each.excused]
        excused = Counter((each.words.partition(" (")[0], each.excused) for each in mine if each.excused)
        words = [f"{count} × {words}: {why}" for (words, why), count in excused.items()]
        lost = sum(each.kind in ("lost", "truncated") for each in broken)
        outcome = "; ".join([self.outcome, *words])
        return replace(self, lost=lost, outcome=outcome, problems=[*self.problems, *map(str, broken)])


async def act_out(stage: Stage, fault: Fault, seconds: float | None = None) -> Row:
    """Break, hold (`seconds` or the fault's own), mend, wait until answers are whole again, and count."""
    row = Row(fault.number, fault.name, fault.must)
    why_not = fault.impossible(stage)
    if why_not:
        return replace(row, skipped=why_not)
    problems: list[str] = []
    began = mended = time.time()
    recovered: float | None = None
    try:
        async with fault.act(stage):
            await asyncio.sleep(fault.hold if seconds is None else seconds)
        mended = time.time()
        recovered = await stage.recovered(mended, fault.recovered_within)
        if recovered > fault.recovered_within:
            problems.append(f"recovered after {recovered:.1f} s, later than {fault.recovered_within:g} s")
    except Exception as error:  # whatever it is, it is this row's, and the next fault is acted out
        problems.append(f"{type(error).__name__}: {str(error)[:1500]}")
        mended = time.time()
        problems += await _started(stage)
    until = mended + (recovered or 0.0)
    await stage.ended(until)
    touched = [each for each in stage.questions(ended_since=began) if each.asked_at <= until]
    return replace(_counted(row, touched, whole=fault.whole, problems=problems), recovered=recovered)


async def _started(stage: Stage) -> list[str]:
    """Start what is not running; what will not start is this row's problem, and the table is still printed."""
    try:
        await stage.deployment.start()
    except Exception as error:
        return [f"not started again: {type(error).__name__}: {str(error)[:1500]}"]
    return []


def _counted(row: Row, touched: Sequence[Question], *, whole: bool, problems: list[str]) -> Row:
    ends = Counter(each.ended for each in touched)
    clear = sum(ends[how] for how in CLEAR)
    hung = ends["hung"] + ends["open"]
    if hung:
        problems.append(f"{hung} hung")
    if ends["unclear"]:
        problems.append(f"{ends['unclear']} errors were not clear")
    if whole and clear:
        reasons = Counter(_words(each) for each in touched if each.ended in CLEAR)
        problems.append(f"not all were whole: {dict(reasons)}")
    if not touched:
        problems.append("no question was under way")
    why = Counter(_words(each) for each in touched if each.ended in CLEAR)
    outcome = ", ".join(f"{count} × {words}" for words, count in why.most_common(3)) or "every answer was whole"
    return replace(
        row,
        outcome=outcome,
        tries=len(touched),
        complete=ends["complete"],
        clear=clear,
        left=ends["cancelled"],
        hung=hung,
        problems=problems,
        requests=frozenset(each.request_id for each in touched),
    )


def _words(question: Question) -> str:
    if question.ended == "incomplete":
        done = [event for event in question.events if event["event"] == "answer_done"]
        return f"incomplete {done[-1].get('error_reason') or done[-1].get('reason') or ''}".strip() if done else "?"
    return f"{question.ends[0]['code']} {question.ends[0]['reason']}"
