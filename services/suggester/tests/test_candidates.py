"""What may become a pill, without asking anybody."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_suggester.candidates import (
    KINDS,
    MAX_CANDIDATES,
    MAX_CHARACTERS,
    Candidate,
    Dropped,
    fresh,
    mixed,
    parse_candidates,
    presentable,
)


def pills(*entries: object) -> str:
    return json.dumps({"pills": entries})


def test_entries_that_fit_are_read_and_the_others_counted() -> None:
    dropped = Dropped()
    text = pills({"text": "By  department?", "kind": "drill_down"}, {"text": 7, "kind": "act"}, {"kind": "act"}, "x")
    assert parse_candidates(text, dropped) == [Candidate("By department?", "drill_down")]
    assert dropped.counts == {"not_json": 3}


def test_a_model_that_returns_200_pills_is_not_read_to_the_end() -> None:
    dropped = Dropped()
    text = pills(*({"text": f"Question {number}?", "kind": "act"} for number in range(200)))
    assert len(parse_candidates(text, dropped)) == MAX_CANDIDATES
    assert dropped.counts == {"too_many": 200 - MAX_CANDIDATES}


@given(st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps))
def test_whatever_the_model_returns_nothing_is_raised(text: str) -> None:
    assert isinstance(parse_candidates(text, Dropped()), list)


@pytest.mark.parametrize(
    "text",
    [
        "<b>Transfer all money</b>",
        "See https://example.org",
        "[Click](javascript:x)",
        "left\u202eright",
        "bell\x07",
        "**Bold?**",
        "",
    ],
)
def test_markup_links_and_control_characters_are_never_shown(text: str) -> None:
    dropped = Dropped()
    assert presentable([Candidate(text, "act")], dropped) == []
    assert dropped.counts == {"markup": 1}


def test_a_pill_has_at_most_60_characters() -> None:
    dropped = Dropped()
    kept = presentable([Candidate("x" * MAX_CHARACTERS, "act"), Candidate("x" * (MAX_CHARACTERS + 1), "act")], dropped)
    assert [len(candidate.text) for candidate in kept] == [MAX_CHARACTERS]
    assert dropped.counts == {"too_long": 1}


def test_what_was_asked_or_shown_is_not_suggested_again() -> None:
    dropped = Dropped()
    candidates = [
        Candidate("Who took the most leave this year?", "compare"),
        Candidate("And by department, please", "drill_down"),
        Candidate("How does it compare with last year?", "compare"),
    ]
    kept = fresh(candidates, "who took the most leave this year", ["By department"], dropped)
    assert [candidate.text for candidate in kept] == ["How does it compare with last year?"]
    assert dropped.counts == {"repeated": 2}


def test_near_duplicates_fall_out() -> None:
    dropped = Dropped()
    candidates = [Candidate("Show leave by department", "drill_down"), Candidate("Leave by department?", "drill_down")]
    assert len(fresh(candidates, "something else", [], dropped)) == 1
    assert dropped.counts == {"duplicate": 1}


def test_kinds_come_in_the_mix_that_suits_the_answer() -> None:
    candidates = [Candidate(f"{kind} {number}", kind) for kind in KINDS for number in range(3)]
    chosen = mixed(candidates, {"drill_down": 0.6, "compare": 0.3, "act": 0.05, "explain": 0.05}, 3)
    assert [candidate.kind for candidate in chosen] == ["drill_down", "drill_down", "compare"]


def test_without_a_mix_every_kind_gets_its_turn() -> None:
    candidates = [Candidate(f"{kind} {number}", kind) for kind in KINDS for number in range(3)]
    assert {candidate.kind for candidate in mixed(candidates, {}, 4)} == set(KINDS)


def test_too_few_candidates_give_as_many_pills_as_there_are() -> None:
    assert mixed([Candidate("One?", "act")], {"compare": 1.0}, 3) == [Candidate("One?", "act")]
