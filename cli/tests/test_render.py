"""What a person sees in the terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from tiermesh_cli.render import AnswerView, cell, clean


def shown(*events: dict[str, Any]) -> str:
    output = io.StringIO()
    view = AnswerView(Console(file=output, width=100, color_system=None))
    for event in events:
        view.show(event)
    return output.getvalue()


TABLE = {
    "event": "table",
    "caption": "Leave days",
    "columns": [
        {"name": "employee", "label": "Employee"},
        {"name": "d", "label": "Days", "unit": "days", "measure": True},
    ],
    "rows": [["Asha", 1234.5], ["Ben", None]],
    "notes": ["2 people are tied"],
}


def test_a_table_shows_units_figures_nulls_and_notes() -> None:
    text = shown(TABLE)
    for expected in ("Leave days", "Employee", "Days", "1,234.5", "—", "2 people are tied"):
        assert expected in text


def test_ids_and_what_never_changes_in_a_wide_table_are_left_to_json() -> None:
    names = ["employee_id", "employee", "month", "gross", "net", "tax", "bonus", "currency"]
    rows = [["E1", "Asha", f"2026-0{month}", month, month, month, 0, "EUR"] for month in range(1, 4)]
    text = shown({**TABLE, "columns": [{"name": name} for name in names], "rows": rows})
    assert "2026-02" in text
    assert "Asha" not in text
    assert "E1" not in text
    assert "4 more columns" in text


def test_an_incomplete_answer_is_called_so() -> None:
    text = shown(
        {"event": "answer_done", "complete": False, "stop_reason": "failed", "error_message": "The model is down."}
    )
    assert "not complete" in text
    assert "The model is down." in text


def test_pills_wait_for_the_end_and_never_cut_into_the_prose() -> None:
    pill = {"event": "pill", "text": "By month?", "kind": "drill_down"}
    receipt = {"event": "receipt", "cost": {"total_micros": 1234, "model_calls": 2}, "statements": 1, "timings": {}}
    text = shown({"event": "text", "text": "Seven "}, pill, {"event": "text", "text": "days."}, receipt)
    assert "Seven days." in text.replace("\n", "")
    assert text.index("By month?") > text.index("days.")
    assert "$0.00123" in text


def test_an_answer_cannot_drive_the_terminal() -> None:
    text = shown({"event": "text", "text": "a\x1b[2Jb\x07c\u202e[red]d"})
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]d" in text
    assert clean("line\nbreak") == "linebreak"


def test_events_that_people_need_not_see_print_nothing() -> None:
    assert shown({"event": "heartbeat"}, {"event": "unknown"}) == ""


def test_figures_read_well() -> None:
    assert [cell(value) for value in (12.0, 12.5, 1234567.891, 7, True)] == ["12", "12.5", "1,234,567.89", "7", "True"]
