"""One question per route, over the whole suite, as a person's terminal sees them."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

AGGREGATE_QUESTION = "Who applied for the most leave this year?"


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def only(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    found = [event for event in events if event["event"] == kind]
    assert len(found) == 1, f"{len(found)} {kind} events"
    return found[0]


def assert_whole(events: list[dict[str, Any]]) -> None:
    """What every complete stream keeps to (DESIGN, promise 3)."""
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["event"] == "decision"
    assert events[-1]["event"] == "receipt"
    done = only(events, "answer_done")
    assert done["complete"]
    after_the_answer = kinds(events)[kinds(events).index("answer_done") + 1 :]
    assert set(after_the_answer) <= {"pill", "receipt", "heartbeat"}


@pytest.fixture(scope="module")
def aggregate_events(suite: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = suite.ask(AGGREGATE_QUESTION)
    return events


def test_a_manager_s_who_took_the_most_question_takes_the_aggregate_route(aggregate_events: Any) -> None:
    assert_whole(aggregate_events)
    decision = aggregate_events[0]
    assert decision["route"] == "aggregate"
    assert decision["reasons"]
    assert decision["otherwise"]["estimated_cost_micros"] > 0


def test_exactly_one_statement_ran_for_it(aggregate_events: Any) -> None:
    assert only(aggregate_events, "table")["statements"] == 1
    assert only(aggregate_events, "receipt")["statements"] == 1


def test_its_table_is_what_plain_sql_says(aggregate_events: Any, suite: Any) -> None:
    table = only(aggregate_events, "table")
    names = [column["name"] for column in table["columns"]]
    person = next(index for index, name in enumerate(names) if name == "employee")
    figure = next(index for index, column in enumerate(table["columns"]) if column.get("measure"))
    got = [(row[person], round(float(row[figure]), 2)) for row in table["rows"]]
    manager = next(line.split()[1] for line in suite.run("people").stdout.splitlines() if line.startswith("manager "))
    with duckdb.connect(str(suite.database), read_only=True) as database:
        expected = database.execute(
            """
            SELECT e.full_name, round(sum(r.days), 2) AS days
            FROM leave_requests r JOIN employees e USING (employee_id)
            WHERE r.status <> 'cancelled' AND year(r.applied_on) = year(current_date) AND r.applied_on <= current_date
              AND r.employee_id IN (SELECT employee_id FROM reporting_lines WHERE manager_id = $manager)
            GROUP BY e.employee_id, e.full_name ORDER BY days DESC
            """,
            {"manager": manager},
        ).fetchall()
    assert got, "the table is empty"
    figures = [float(days) for _, days in expected]
    assert [days for _, days in got] == figures[: len(got)]
    assert set(got) <= {(name, float(days)) for name, days in expected}


def test_the_prose_s_figures_are_the_table_s(aggregate_events: Any) -> None:
    prose = "".join(event["text"] for event in aggregate_events if event["event"] == "text")
    table = only(aggregate_events, "table")
    first = table["rows"][0]
    assert any(str(cell) in prose for cell in first if isinstance(cell, str))


def test_pills_come_with_it(aggregate_events: Any) -> None:
    pills = [event for event in aggregate_events if event["event"] == "pill"]
    assert 1 <= len(pills) <= 6
    assert all(0 < len(pill["text"]) <= 60 for pill in pills)
    assert len({pill["text"] for pill in pills}) == len(pills)


def test_every_model_call_is_booked_on_the_receipt(aggregate_events: Any) -> None:
    cost = only(aggregate_events, "receipt")["cost"]
    assert cost["total_micros"] > 0
    tags = {entry["tag"] for entry in cost["per_tag"]}
    assert {"narrate", "suggest"} <= tags
    assert sum(entry["cost_micros"] for entry in cost["per_tag"]) == cost["total_micros"]


def test_a_plain_question_about_oneself_takes_tier_1(suite: Any) -> None:
    events = suite.ask("How many leave days do I have left?")
    assert_whole(events)
    assert events[0]["route"] == "tier1"
    assert only(events, "receipt")["tier"] == "1"


def test_a_question_that_needs_judgement_takes_tier_2(suite: Any) -> None:
    events = suite.ask("How do I split parental leave with my partner, and what does that do to my bonus?")
    assert_whole(events)
    assert events[0]["route"] == "tier2"
    assert only(events, "receipt")["tier"] == "2"


def test_a_follow_up_is_understood_in_its_conversation_and_not_without_it(suite: Any) -> None:
    words = "What if I took five days next month instead?"
    opening = suite.ask("How many leave days do I have left?")
    conversation = opening[0]["conversation_id"]
    follow_up = suite.ask(words, "--conversation", conversation)
    assert_whole(follow_up)
    assert (follow_up[0]["conversation_id"], follow_up[0]["turn"]) == (conversation, 2)
    scores = follow_up[0]["scores"]
    assert scores["conversation"]["position"]["label"] == "follow_up"
    assert scores["intent"]["label"] == "leave.simulate"
    assert follow_up[0]["route"] == "tier2"
    alone = suite.ask(words)
    assert alone[0]["scores"]["conversation"]["position"]["label"] == "opening"


def test_an_employee_without_reports_gets_no_other_person_s_row(suite: Any) -> None:
    events = suite.ask(AGGREGATE_QUESTION, "--as", "employee")
    people = [line.split() for line in suite.run("people").stdout.splitlines()]
    employee = next(words[1] for words in people if words[0] == "employee")
    with duckdb.connect(str(suite.database), read_only=True) as database:
        (name,) = database.execute("SELECT full_name FROM employees WHERE employee_id = ?", [employee]).fetchone()
    for table in (event for event in events if event["event"] == "table"):
        person = next(index for index, column in enumerate(table["columns"]) if column["name"] == "employee")
        assert {row[person] for row in table["rows"]} <= {name}
