"""In which language a text is, and what in it is about a person."""

from __future__ import annotations

import pytest
from tiermesh_pack import Pack
from tiermesh_suggester.words import PackWords


@pytest.fixture(scope="module")
def words(pack: Pack) -> PackWords:
    return PackWords(pack)


@pytest.mark.parametrize(
    "text",
    [
        "Wie viele Urlaubstage habe ich noch?",
        "Combien de jours de congé me reste-t-il ?",
        "¿Cuántos días de vacaciones me quedan?",
        "我今年还有多少天年假?",
        "मेरी कितनी छुट्टियाँ बची हैं?",
        "сколько дней отпуска осталось",
    ],
)
def test_other_languages_are_told_from_the_pack_s(words: PackWords, text: str) -> None:
    assert words.in_language(text) is False
    assert not words.speaks(text, "en-GB")


def test_every_suggestion_of_the_pack_is_in_its_language(words: PackWords, pack: Pack) -> None:
    texts = [text for intent in pack.vocabulary.intents.values() for text in intent.suggestions]
    assert [text for text in texts if words.in_language(text) is False] == []


def test_what_is_too_short_to_tell_goes_by_the_locale(words: PackWords) -> None:
    assert words.in_language("Urlaub?") is None
    assert words.speaks("Urlaub?", "en-GB")
    assert not words.speaks("Urlaub?", "de-DE")
    assert words.speaks("Urlaub?", "")
    # Whoever writes the pack's language is understood, whatever their locale.
    assert words.speaks("How many leave days do I have left?", "de-DE")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("How much leave did Priya take?", []),
        ("Priya's leave this year?", []),
        ("how much did priya claim?", ["priya"]),
        ("Write to priya@example.org", []),
        ("Why did I get 4,320.50 net?", []),
        ("Show the claims of E00123", []),
        ("Call +49 30 1234567", []),
    ],
)
def test_personal_data_that_was_not_shown_is_found(words: PackWords, text: str, named: list[str]) -> None:
    assert words.personal(text, named, "Who took the most leave?")
    shown = "Priya (priya@example.org, E00123, +49 30 1234567) got 4,320.50 net"
    assert not words.personal(text, named, shown)


@pytest.mark.parametrize(
    "text",
    [
        "How does 2025 compare with 2026?",
        "What changed in January?",
        "Show the OKRs of HR by Monday",
        "Which team has the most sick leave?",
        "What's the limit for 3 nights?",
        "Show my last 12 months",
    ],
)
def test_what_is_no_personal_data_is_left_alone(words: PackWords, text: str) -> None:
    assert not words.personal(text, [], "")
