"""The checker finds each way in which a history can be broken, and nothing in one that is whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.suite.acting import Row
from tests.faults.suite.checker import (
    Booking,
    Decision,
    Ending,
    Evidence,
    Excuse,
    ModelCall,
    Receipt,
    Root,
    check,
)
from tests.faults.suite.history import Question, assemble
from tests.faults.suite.running import Outcome

ANSWER = "You have 12 days left. Use them before April."


def question(number: int = 1, **changes: Any) -> Question:
    request_id, decision_id = f"r{number}", f"d{number}"
    events: list[Mapping[str, Any]] = [
        {"event": "decision", "sequence": 1, "decision_id": decision_id, "trace_id": f"t{number}"},
        {"event": "text", "sequence": 2, "text": ANSWER},
        {"event": "answer_done", "sequence": 3, "complete": True},
        {"event": "receipt", "sequence": 4, "complete": True},
    ]
    whole = Question(
        request_id, "How many days?", 10.0 * number, "E00014", events, [{"how": "ok", "at": 10.0 * number + 1}]
    )
    return replace(whole, **changes)


def evidence(*numbers: int) -> Evidence:
    return Evidence(
        receipts={f"r{n}": Receipt(f"r{n}", f"d{n}", True, 5) for n in numbers},
        decisions=[Decision(f"d{n}", f"r{n}") for n in numbers],
        endings=[Ending(f"d{n}", True) for n in numbers],
        bookings=[Booking(f"e{n}", f"r{n}", f"p{n}", "haiku", 5, True) for n in numbers],
        calls=[ModelCall(f"p{n}", "haiku") for n in numbers],
        roots=[Root(f"t{n}", f"s{n}", "tiermesh-gateway") for n in numbers],
    )


def kinds(history: list[Question], known: Evidence, *excuses: Excuse) -> list[str]:
    return [found.kind for found in check(history, known, excuses) if not found.excused]


def test_a_whole_history_has_no_findings() -> None:
    assert check([question(1), question(2)], evidence(1, 2)) == []


EVENTS = question().events
BROKEN: Mapping[str, tuple[Question, str]] = {
    "no end": (question(ends=()), "lost"),
    "two ends": (question(ends=[{"how": "ok", "at": 11.0}, {"how": "ok", "at": 12.0}]), "twice"),
    "hung": (question(ends=[{"how": "hung", "at": 60.0}], events=EVENTS[:2]), "hung"),
    "unknown code": (
        question(ends=[{"how": "error", "at": 11.0, "code": "UNKNOWN", "reason": ""}], events=EVENTS[:2]),
        "unclear",
    ),
    "no receipt event": (question(events=EVENTS[:3]), "truncated"),
    "a gap": (question(events=[EVENTS[0], *EVENTS[2:]]), "truncated"),
    "empty": (
        question(events=[EVENTS[0], *({**e, "sequence": e["sequence"] - 1} for e in EVENTS[2:])]),
        "truncated",
    ),
    "cut text": (question(events=[EVENTS[0], {**EVENTS[1], "text": ANSWER[:22]}, *EVENTS[2:]]), "truncated"),
    "two answer ends": (
        question(events=[*EVENTS[:3], {**EVENTS[2], "sequence": 4}, {**EVENTS[3], "sequence": 5}]),
        "twice",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_question_is_found(broken: str) -> None:
    history, kind = BROKEN[broken]
    assert kind in kinds([history, question(2)], evidence(1, 2))


CHANGES: Mapping[str, tuple[Callable[[Evidence], Evidence], str]] = {
    "dropped receipt": (lambda e: replace(e, receipts={}), "lost"),
    "receipt of another decision": (
        lambda e: replace(e, receipts={"r1": Receipt("r1", "d9", True, 5)}),
        "mismatch",
    ),
    "receipt that says incomplete": (
        lambda e: replace(e, receipts={"r1": Receipt("r1", "d1", False, 5)}),
        "mismatch",
    ),
    "receipt dearer than the ledger": (
        lambda e: replace(e, receipts={"r1": Receipt("r1", "d1", True, 6)}),
        "unbooked",
    ),
    "decision not in the log": (lambda e: replace(e, decisions=[]), "lost"),
    "decision twice": (lambda e: replace(e, decisions=[*e.decisions, *e.decisions]), "twice"),
    "no ending": (lambda e: replace(e, endings=[]), "lost"),
    "two endings": (lambda e: replace(e, endings=[*e.endings, *e.endings]), "twice"),
    "ending that says incomplete": (lambda e: replace(e, endings=[Ending("d1", False)]), "mismatch"),
    "call without booking": (lambda e: replace(e, calls=[*e.calls, ModelCall("p7", "haiku")]), "unbooked"),
    "double booking of one call": (
        lambda e: replace(e, bookings=[*e.bookings, replace(e.bookings[0], entry_id="e9")]),
        "booked twice",
    ),
    "one entry twice": (lambda e: replace(e, bookings=[*e.bookings, *e.bookings]), "booked twice"),
    "booking of no call": (
        lambda e: replace(e, bookings=[*e.bookings, Booking("e9", "r1", "p9", "haiku", 5, True)]),
        "invented",
    ),
    "no trace": (lambda e: replace(e, roots=[]), "untraced"),
    "two roots": (lambda e: replace(e, roots=[*e.roots, Root("t1", "s9", "tiermesh-gateway")]), "twice"),
    "records that never left": (lambda e: replace(e, undelivered=3), "undelivered"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_broken_evidence_is_found(change: str) -> None:
    broken, kind = CHANGES[change]
    assert kind in kinds([question()], broken(evidence(1)))


def test_an_intent_without_the_provider_s_id_stands_for_one_call_and_no_more() -> None:
    known = evidence(1)
    intent = Booking("e5", "r1", "", "haiku", 0, False)
    one = replace(known, bookings=[*known.bookings, intent], calls=[*known.calls, ModelCall("p5", "haiku")])
    assert check([question()], one) == []
    two = replace(one, calls=[*one.calls, ModelCall("p6", "haiku")])
    assert kinds([question()], two) == ["unbooked"]
    other_model = replace(known, bookings=[*known.bookings, intent], calls=[*known.calls, ModelCall("p5", "opus")])
    assert kinds([question()], other_model) == ["unbooked"]


def test_superseded_text_is_not_part_of_the_answer() -> None:
    events = [
        EVENTS[0],
        {"event": "text", "sequence": 2, "text": "You have"},
        {"event": "superseded", "sequence": 3},
        {**EVENTS[1], "sequence": 4},
        {**EVENTS[2], "sequence": 5},
        {**EVENTS[3], "sequence": 6},
    ]
    replaced = question(events=events)
    assert replaced.answer == ANSWER
    assert check([replaced], evidence(1)) == []


def test_an_excuse_covers_its_own_kind_and_time_alone() -> None:
    known = replace(evidence(1, 2), roots=[])
    excuse = Excuse("trace", 9.0, 12.0, "the collector is away")
    found = check([question(1), question(2)], known, [excuse])
    assert [(each.kind, each.subject, each.excused) for each in found] == [
        ("untraced", "r1", "the collector is away"),
        ("untraced", "r2", ""),
    ]
    dropped = replace(evidence(1), receipts={})
    assert kinds([question(1)], dropped, excuse) == ["lost"]


def test_nothing_excuses_a_lost_decision_or_a_call_without_a_booking() -> None:
    ever = [Excuse(of, 0.0, 100.0, "whatever") for of in ("trace", "ending", "receipt", "decision", "booking")]
    assert kinds([question()], replace(evidence(1), decisions=[]), *ever) == ["lost"]
    assert kinds([question()], replace(evidence(1), calls=[ModelCall("p5", "haiku", 50.0)]), *ever) == [
        "invented",
        "unbooked",
    ]


def test_what_is_excused_is_told_in_the_row_and_breaks_nothing() -> None:
    row = Row("1", "kill -9 gateway", "", "1 × UNAVAILABLE NOT_READY", requests={"r1", "r2"})
    known = replace(evidence(1, 2), roots=[])
    excuse = Excuse("trace", 9.0, 12.0, "the gateway was killed with it in memory")
    outcome = Outcome([row], check([question(1), question(2)], known, [excuse]), 2)
    (told,) = outcome.rows
    assert (
        told.outcome == "1 × UNAVAILABLE NOT_READY; 1 × its trace has no root: the gateway was killed with it in memory"
    )
    assert told.problems == ["untraced: r2: its trace has no root (t2)"]
    assert not outcome.good
    assert Outcome([], check([question(1)], replace(evidence(1), roots=[]), [excuse]), 1).good


def test_an_error_after_the_decision_needs_no_ending_but_its_decision_in_the_log() -> None:
    failed = question(
        events=EVENTS[:2], ends=[{"how": "error", "at": 11.0, "code": "UNAVAILABLE", "reason": "UNAVAILABLE"}]
    )
    assert check([failed], replace(evidence(1), endings=[])) == []
    assert kinds([failed], replace(evidence(1), endings=[], decisions=[])) == ["lost"]


def test_lines_of_several_questions_are_told_apart() -> None:
    lines = [
        {"line": "asked", "request_id": "a", "at": 1.0, "text": "?"},
        {"line": "asked", "request_id": "b", "at": 2.0, "text": "!"},
        {"line": "event", "request_id": "b", "at": 2.1, "event": {"event": "decision", "sequence": 1}},
        {"line": "ended", "request_id": "b", "at": 3.0, "how": "error", "code": "UNAVAILABLE", "reason": "NOT_READY"},
        {"line": "ended", "request_id": "a", "at": 3.0, "how": "error", "code": "UNAVAILABLE", "reason": "NOT_READY"},
    ]
    first, second = assemble(lines)
    assert (first.accepted, first.ended, second.accepted, second.ended) == (False, "refused", True, "failed")
