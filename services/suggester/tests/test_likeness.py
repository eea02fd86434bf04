"""What says the same falls out; what differs in one word that matters stays."""

from __future__ import annotations

import pytest
from tiermesh_suggester.likeness import Seen


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("Who took the most leave this year?", "who took most leave this year"),
        ("Who took the most leave this year?", "Show who took the most leave this year, please"),
        ("Show leave by department", "Leave by departments?"),
        ("Show leave by department", "Split leave by departmnet"),
        ("Compare leave with last year", "compare with last year leave"),
        ("How much overtime did I work?", "How much over-time did I work?"),
    ],
)
def test_the_same_in_other_words_is_said_again(before: str, text: str) -> None:
    assert Seen.before([before]).repeats(text) == "repeated"


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("Show leave by department", "Show leave by location"),
        ("Compare with last year", "Compare with last month"),
        ("Compare with last year", "Compare with last quarter"),
        ("Which requests are pending?", "Which requests are rejected?"),
        ("How many days do I have left?", "How many days did I take last year?"),
    ],
)
def test_one_word_that_matters_makes_another_question(before: str, text: str) -> None:
    assert Seen.before([before]).repeats(text) == ""


def test_pills_of_one_turn_are_told_apart_from_what_was_there_before() -> None:
    seen = Seen.before(["Show leave by month"], answered=("leave", "rank"))
    seen.add("Show leave by department", ("leave", "by department"))
    assert seen.repeats("Leave by department") == "duplicate"
    assert seen.means_again(("leave", "by department")) == "duplicate"
    assert seen.means_again(("leave", "rank")) == "answered"
    assert seen.means_again(None) == ""


def test_texts_without_words_are_compared_as_they_are() -> None:
    assert Seen.before(["?"]).repeats("Show it by month") == ""
