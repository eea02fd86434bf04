"""Candidates are read while the model still writes, and whatever it writes, nothing is raised."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_suggester.candidates import Candidate, Dropped
from tiermesh_suggester.reading import MAX_CANDIDATES, MAX_OPEN_CHARACTERS, CandidateReader


def pills(*entries: object) -> str:
    return json.dumps({"pills": entries})


def read(text: str, dropped: Dropped | None = None, size: int = 10_000) -> list[Candidate]:
    """Read a text in pieces of `size`, to its end."""
    reader = CandidateReader(Dropped() if dropped is None else dropped)
    found = [candidate for at in range(0, len(text), size) for candidate in reader.feed(text[at : at + size])]
    reader.close()
    return found


def test_a_candidate_is_there_as_soon_as_its_text_is_whole() -> None:
    reader = CandidateReader(Dropped())
    assert reader.feed('{"pills": ["drill_down: By depart') == []
    assert reader.feed("ment?") == []
    assert reader.feed('"') == [Candidate("By department?", "drill_down")]
    assert reader.feed(', "compare: And }]\\" last year: why?"]}') == [Candidate('And }]" last year: why?', "compare")]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_pieces_of_any_size_give_the_same_candidates(size: int) -> None:
    text = pills("explain: Über die Abteilung?", 'act: a "b" {c}')
    assert [candidate.text for candidate in read(text, size=size)] == ["Über die Abteilung?", 'a "b" {c}']


def test_entries_that_fit_are_read_and_the_others_counted() -> None:
    dropped = Dropped()
    entries = (
        "drill_down: By  department?",
        "x",
        "other: What?",
        "Compare by department",
        {"text": "By month?", "kind": "act"},
        None,
        4,
    )
    assert read(pills(*entries), dropped) == [Candidate("By department?", "drill_down")]
    assert dropped.counts == {"not_json": 6}


def test_a_model_that_returns_200_pills_is_not_read_to_the_end() -> None:
    dropped = Dropped()
    text = pills(*(f"act: Question {number}?" for number in range(200)))
    assert len(read(text, dropped, size=50)) == MAX_CANDIDATES
    assert dropped.counts == {"too_many": 200 - MAX_CANDIDATES}


def test_a_model_that_returns_none_gives_none() -> None:
    dropped = Dropped()
    assert read('{"pills": []}', dropped) == []
    assert dropped.counts == {}


@pytest.mark.parametrize("text", ["Sure! Here are", "", "{}", '{"answer": [1]}', '{"pills": ["act: cut o'])
def test_what_is_no_list_of_pills_or_cut_is_counted(text: str) -> None:
    dropped = Dropped()
    assert read(text, dropped, size=5) == []
    assert dropped.counts == {"not_json": 1}


def test_an_endless_text_is_given_up() -> None:
    reader = CandidateReader(Dropped())
    reader.feed('{"pills": ["act: ')
    reader.feed("x" * (MAX_OPEN_CHARACTERS + 1))
    assert reader.feed('", "act: And?"]}') == []


@given(st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps), st.integers(1, 9))
def test_whatever_the_model_returns_nothing_is_raised(text: str, size: int) -> None:
    assert isinstance(read(text, size=size), list)


def test_deep_nesting_is_no_way_to_break_the_reader() -> None:
    assert read('{"pills": ' + "[" * 100_000, size=100_000) == []
