"""The table of what came of faults, for people, as JSON and as a picture."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.faults.suite.acting import Row
from tests.faults.suite.checker import Finding

_HEAD = (
    "test",
    "fault",
    "tries",
    "whole",
    "clear error",
    "left",
    "hung",
    "lost",
    "recovered in",
    "what came of it",
    "",
)
_VERSIONS = ("grpcio", "protobuf", "anthropic", "asyncpg", "duckdb", "opentelemetry-sdk", "uvloop")


def line(row: Row) -> tuple[str, ...]:
    """Return a row's cells."""
    recovered = "" if row.recovered is None else f"{row.recovered:.1f} s"
    numbers = (row.tries, row.complete, row.clear, row.left, row.hung, row.lost)
    counts = ("-",) * len(numbers) if row.skipped else tuple(map(str, numbers))
    verdict = "NOT AS IT MUST: " + "; ".join(row.problems) if row.problems else "ok"
    verdict = f"skipped: {row.skipped}" if row.skipped else verdict
    return (row.number, row.fault, *counts, recovered, row.outcome, verdict)


def table(rows: Sequence[Row]) -> str:
    """Return the rows in columns."""
    lines = [_HEAD, *map(line, rows)]
    widths = [max(len(cells[column]) for cells in lines) for column in range(len(_HEAD) - 1)]
    padded = ([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)), cells[-1]] for cells in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def summary(rows: Sequence[Row], others: Sequence[Finding], questions: int, seconds: float) -> str:
    """Return the totals in a few lines."""
    acted = [row for row in rows if not row.skipped]
    wrong = [row for row in acted if row.problems]
    totals = {name: sum(getattr(row, name) for row in acted) for name in ("tries", "complete", "clear", "hung", "lost")}
    words = ", ".join(f"{name} {count}" for name, count in totals.items())
    found = "".join(f"\n  outside of any fault: {each}" for each in others[:20])
    return (
        f"{len(acted)} faults acted out, {len(acted) - len(wrong)} as they must, {len(wrong)} not, "
        f"{len(rows) - len(acted)} skipped, in {seconds / 60:.1f} minutes\n"
        f"{words}; {questions} questions went through the checker, {len(others)} findings outside of the faults{found}"
    )


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Linux {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _VERSIONS},
        "command": " ".join(["python -m tests.faults", *sys.argv[1:]]),
    }


def write(rows: Sequence[Row], others: Sequence[Finding], questions: int, folder: Path) -> None:
    """Write faults.json and, where matplotlib is there, faults.png with the times to recover."""
    folder.mkdir(parents=True, exist_ok=True)
    values = [{**asdict(row), "requests": len(row.requests)} for row in rows]
    report = {**machine(), "questions": questions, "rows": values, "others": list(map(str, others))}
    (folder / "faults.json").write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    _plot([row for row in rows if row.recovered is not None], folder / "faults.png")


def _plot(rows: Sequence[Row], path: Path) -> None:
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 1 + 0.22 * len(rows)))
    axes.barh([row.fault for row in rows], [row.recovered or 0.0 for row in rows], color="#4477aa")
    axes.invert_yaxis()
    axes.set_xlabel("seconds from the mend to the first of five whole answers in a row, one of each kind")
    axes.tick_params(axis="y", labelsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
