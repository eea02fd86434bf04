"""Reports of `tiermesh eval` as tables for people."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tiermesh_cli.evaluation.pill_report import KINDS, SIMULATOR_NOTE, PillReport, PillRow, Share
from tiermesh_cli.evaluation.route_report import KINDS as ROUTE_ERRORS
from tiermesh_cli.evaluation.route_report import RIGHT, RoutedTurn, tally
from tiermesh_cli.evaluation.speculation_report import speculation_values

_LINES = (
    "questions",
    "pills",
    "dead ends, of clicked",
    "invisible data (no row, or refused), of clicked",
    "duplicates",
    "from the pack alone",
    *(kind.replace("_", " ") for kind in KINDS),
    "after the first answer event (median)",
    "after the answer's end (median)",
)


def show_pills(report: PillReport, console: Console) -> None:
    """Print a report on pills."""
    if report.simulated:
        console.print(Text(SIMULATOR_NOTE, style="bold yellow"), soft_wrap=True)
    table = Table(title="pills, by tier that answered", title_justify="left")
    table.add_column("")
    for row in report.rows:
        table.add_column(f"tier {row.tier}", justify="right")
    for name, *cells in zip(_LINES, *map(_cells, report.rows), strict=True):
        table.add_row(name, *cells)
    console.print(table)
    for row in report.rows:
        for title, counts in (("dead ends", row.why_dead), ("no pills because", row.why_missing)):
            if counts:
                told = ", ".join(f"{word} {count}" for word, count in sorted(counts.items()))
                console.print(Text(f"tier {row.tier}: {title}: {told}"))
        if row.by_token.total:
            console.print(
                Text(f"tier {row.tier}: {row.by_token.count} of {row.by_token.total} clicks went by their token")
            )
    _show_comparison(report, console)
    if report.errors:
        console.print(Text(f"questions that failed: {report.errors}", style="red"))


def _show_comparison(report: PillReport, console: Console) -> None:
    if report.differences is None:
        return
    words = "equal within noise" if report.equal else "NOT equal"
    style = "bold green" if report.equal else "bold red"
    console.print(Text(f"the same {report.pairs} questions by tier 1 and by tier 2: {words}", style=style))
    for each in report.differences:
        if each.beyond_noise:
            console.print(Text(f"  {each.name}: {_percent(each.tier1)} against {_percent(each.tier2)}", style="red"))


def _cells(row: PillRow) -> list[str]:
    shares = (row.dead_ends, row.invisible, row.duplicates, row.fallback, *(row.kinds[kind] for kind in KINDS))
    times = (row.after_first, row.after_end)
    return [
        str(row.questions),
        str(row.pills),
        *map(_percent, shares),
        *("–" if seconds is None else f"{seconds * 1000:+.0f} ms" for seconds in times),
    ]


def _percent(share: Share) -> str:
    return "–" if share.value is None else f"{share.value:.1%} ({share.count}/{share.total})"


def show_routes(turns: Sequence[RoutedTurn], console: Console) -> None:
    """Print how labelled conversations were routed, per place of the turn, and every turn that went wrong."""
    table = Table(title="routes, by position of the turn", title_justify="left")
    for heading in ("position", "turns", "accuracy", "in the end", *(kind.replace("_", " ") for kind in ROUTE_ERRORS)):
        table.add_column(heading, justify="right")
    places = sorted({turn.place for turn in turns})
    for name, chosen in (
        *((str(place), [turn for turn in turns if turn.place == place]) for place in places),
        ("all", list(turns)),
    ):
        counted = tally(chosen)
        ended = counted.ended_right / counted.turns if counted.turns else 0.0
        errors = (str(counted.errors[kind]) for kind in ROUTE_ERRORS)
        table.add_row(name, str(counted.turns), f"{counted.accuracy:.1%}", f"{ended:.1%}", *errors)
    console.print(table)
    speculation = speculation_values([turn.spent for turn in turns])
    if speculation["two_tiers_started"]:
        console.print(Text(f"two tiers at once: {json.dumps(speculation)}"))
    for turn in turns:
        if turn.verdict != RIGHT:
            why = turn.refusal or ", ".join(turn.rules)
            console.print(
                Text(f"{turn.id}: {turn.verdict.replace('_', ' ')}: {turn.gold} → {turn.chosen or '–'} ({why})")
            )
