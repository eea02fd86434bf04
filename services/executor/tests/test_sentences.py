"""Sentences are cut where they end, and nowhere in a figure or a name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_executor.sentences import MAX_SENTENCE, take_sentences


@pytest.mark.parametrize(
    ("text", "sentences", "rest"),
    [
        ("One. Two", ["One. "], "Two"),
        ("It is 24.5 days. Yes", ["It is 24.5 days. "], "Yes"),
        ("It is 24.", [], "It is 24."),
        ("It is 24. ", [], "It is 24. "),
        ("E.g. this one. Next", ["E.g. this one. "], "Next"),
        ("Dr. Smith and J. Doe came! They", ["Dr. Smith and J. Doe came! "], "They"),
        ("1. Anna\n2. Ben\n", ["1. Anna\n", "2. Ben\n"], ""),
        ("He said “no.” Then", ["He said “no.” "], "Then"),
        ("Approx. 5 days. So", ["Approx. 5 days. "], "So"),
        ("no stop at all", [], "no stop at all"),
    ],
)
def test_a_sentence_is_whole_when_something_follows(text: str, sentences: list[str], rest: str) -> None:
    assert take_sentences(text) == (sentences, rest)


@given(st.text(alphabet="ab1. !?\n,A", max_size=200))
def test_nothing_is_lost_or_added(text: str) -> None:
    sentences, rest = take_sentences(text)
    assert "".join(sentences) + rest == text


def test_a_sentence_without_end_is_bounded() -> None:
    sentences, rest = take_sentences("word " * 2_000)
    assert max(map(len, [*sentences, rest])) <= MAX_SENTENCE
