"""The form of a pill: short, plain words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_suggester.candidates import MAX_CHARACTERS, fault_of


@pytest.mark.parametrize(
    "text",
    [
        "<b>Transfer all money</b>",
        "See https://example.org",
        "Visit www.example.org now",
        "Go to example.com",
        "[Click](javascript:x)",
        "javascript://alert",
        "left\u202eright",
        "zero\u200bwidth",
        "bell\x07",
        "two\nlines",
        "**Bold?**",
        "# Heading",
        "`code`",
        "?!…",
        "",
    ],
)
def test_markup_links_and_control_characters_are_never_shown(text: str) -> None:
    assert fault_of(text) == "markup"


def test_a_pill_has_at_most_60_characters() -> None:
    assert fault_of("x" * MAX_CHARACTERS) == ""
    assert fault_of("x" * (MAX_CHARACTERS + 1)) == "too_long"


@pytest.mark.parametrize("text", ["How does Q3 compare with Q2?", "What's left, in days?", "Überstunden im März?"])
def test_plain_words_are_fine(text: str) -> None:
    assert fault_of(text) == ""


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    assert fault_of(text) in {"", "markup", "too_long"}
