"""Shows an answer in the terminal as it streams: decision, progress, table, prose, pills, receipt."""

from __future__ import annotations

import unicodedata
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

# A table with more columns than this does not fit a terminal.
WIDE = 6
ROUTE_STYLES = {"aggregate": "green", "tier1": "cyan", "tier2": "yellow", "tier3": "red"}


class AnswerView:
    """Prints events as they come. One per question."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._in_prose = False
        self._pills: list[dict[str, Any]] = []

    def show(self, event: dict[str, Any]) -> None:
        """Print one event; kinds that people need not see are passed over."""
        shown = getattr(self, f"_show_{event['event']}", None)
        if shown is None:
            return
        if event["event"] != "text":
            self._end_prose()
        shown(event)

    def _show_decision(self, event: dict[str, Any]) -> None:
        route = event["route"]
        line = Text("→ ", style="dim")
        line.append(route, style=f"bold {ROUTE_STYLES.get(route, 'white')}")
        reasons = ", ".join(reason["rule"].replace("_", " ") for reason in event.get("reasons", []))
        line.append(f"  {clean(reasons)}", style="dim")
        self._console.print(line)

    def _show_route_changed(self, event: dict[str, Any]) -> None:
        words = clean(event.get("detail") or event.get("cause", ""))
        self._console.print(Text(f"→ {event['route']}  {words}", style="yellow"))

    def _show_tool(self, event: dict[str, Any]) -> None:
        mark = {"started": "…", "succeeded": "✓", "failed": "✗", "refused": "✗"}.get(event["state"], "·")
        self._console.print(Text(clean(f"  {mark} {event['tool']} {event.get('detail', '')}"), style="dim"))

    def _show_table(self, event: dict[str, Any]) -> None:
        table = Table(title=clean(event["caption"]), title_justify="left", title_style="bold", header_style="bold")
        shown = readable_columns(event["columns"], event["rows"])
        for index in shown:
            column = event["columns"][index]
            numeric = column.get("type") in {"integer", "decimal", "double"}
            table.add_column(heading(column), justify="right" if numeric else "left")
        for row in event["rows"]:
            table.add_row(*(cell(row[index]) for index in shown))
        self._console.print(table)
        hidden = len(event["columns"]) - len(shown)
        if hidden:
            more = "1 more column" if hidden == 1 else f"{hidden} more columns"
            self._console.print(Text(f"  {more} with --json", style="dim"))
        for note in event["notes"]:
            self._console.print(Text(f"  {clean(note)}", style="dim"))

    def _show_text(self, event: dict[str, Any]) -> None:
        self._console.print(Text(clean(event["text"], keep_lines=True)), end="", soft_wrap=True)
        self._in_prose = True

    def _show_superseded(self, event: dict[str, Any]) -> None:
        self._console.print(Text(f"(the answer above is withdrawn: {clean(event['cause'])})", style="yellow"))

    def _show_clarification(self, event: dict[str, Any]) -> None:
        self._console.print(Text(clean(event["question"]), style="bold"))
        for option in event.get("options", []):
            self._console.print(Text(f"  · {clean(option)}"))

    def _show_proposal(self, event: dict[str, Any]) -> None:
        self._console.print(Text(f"Proposed: {clean(event['summary'])}", style="bold"))
        self._console.print(
            Text(f"  nothing is done until: tiermesh confirm {event['token']}", style="dim"), soft_wrap=True
        )

    def _show_answer_done(self, event: dict[str, Any]) -> None:
        if not event["complete"]:
            words = clean(event.get("error_message") or event["stop_reason"])
            self._console.print(Text(f"The answer is not complete: {words}", style="bold red"))

    def _show_pill(self, event: dict[str, Any]) -> None:
        self._pills.append(event)

    def _show_receipt(self, event: dict[str, Any]) -> None:
        for pill in self._pills:
            self._console.print(Text.assemble(("  ⌁ ", "magenta"), clean(pill["text"]), (f"  {pill['kind']}", "dim")))
        cost = event.get("cost", {})
        timings = event.get("timings", {})
        parts = [
            f"{'≥ ' if cost.get('at_least') else ''}${cost.get('total_micros', 0) / 1_000_000:.5f}",
            f"{cost.get('model_calls', 0)} model calls",
            f"{event['statements']} SQL",
            f"{timings.get('answer_done', 0) / 1000:.2f} s",
            f"trace {event['trace_id']}" if event.get("trace_id") else "",
        ]
        self._console.print(Text("  " + " · ".join(part for part in parts if part), style="dim"), soft_wrap=True)

    def _end_prose(self) -> None:
        if self._in_prose:
            self._console.print()
            self._in_prose = False


def readable_columns(columns: list[dict[str, Any]], rows: list[list[Any]]) -> list[int]:
    """Return the places of the columns that a person needs: no ids, and in wide tables nothing that never changes."""
    wanted = [index for index, column in enumerate(columns) if not column["name"].endswith("_id")]
    if len(wanted) > WIDE and len(rows) > 1:
        changing = [index for index in wanted if len({str(row[index]) for row in rows}) > 1]
        wanted = changing or wanted
    return wanted or list(range(len(columns)))


def heading(column: dict[str, Any]) -> str:
    """Return a column's heading with its unit."""
    unit = column.get("currency") or column.get("unit") or ""
    label = clean(column.get("label") or column["name"])
    return f"{label} ({unit})" if unit and unit.lower() not in label.lower() else label


def cell(value: Any) -> str:
    """Return a cell's text; SQL NULL is a dash."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return clean(str(value))


def clean(text: str, *, keep_lines: bool = False) -> str:
    """Return text without control characters: an answer must not be able to drive the terminal."""
    return "".join(
        character
        for character in text
        if (keep_lines and character in "\n\t") or unicodedata.category(character) not in {"Cc", "Cf", "Cs"}
    )
