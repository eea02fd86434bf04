"""Reading: folding, spelling, names; ranges are code points of what the user typed."""

from collections.abc import Callable

import pytest
from tiermesh_classifier.features import features_of
from tiermesh_classifier.history import NO_HISTORY
from tiermesh_classifier.lexicon import load_lexicon
from tiermesh_classifier.reading.reader import Reading
from tiermesh_classifier.reading.spelling import Speller
from tiermesh_classifier.reading.text import read_text
from tiermesh_classifier.slots.names import find_names

UNITS = frozenset({"sales", "finance"})


def names(reading: Reading) -> list[tuple[str, str]]:
    return [(name.kind, name.words) for name in find_names(reading, load_lexicon().not_names, UNITS)]


def test_invisible_characters_are_folded_away_and_ranges_still_fit_the_raw_text() -> None:
    raw = "Hol\u200biday \u202eMÜLLER\u202c \U0001f600 x"
    text = read_text(raw)

    assert text.words == ("holiday", "müller", "x")
    first = text.tokens[0]
    assert text.raw_text(first.start, first.end) == "Hol\u200biday"


def test_chat_spelling_is_read_as_the_words_meant(read: Callable[[str], Reading]) -> None:
    reading = read("hw mny ppl wer late yestrday n whos off tmrw")

    assert [token.text for token in reading.mended][:3] == ["how", "many", "people"]
    assert [str(period.start) for period in reading.periods] == ["2026-11-21", "2026-11-23"]


def test_one_slip_is_mended_only_when_one_word_fits() -> None:
    speller = Speller(["yesterday", "overtime", "total", "tonal"])

    assert speller.correct("yestrday") == "yesterday"
    assert speller.correct("overitme") == "overtime"
    assert speller.correct("toal") == "toal"
    assert speller.correct("toxal") == "toxal"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is Priya's leave balance?", [("person", "Priya")]),
        ("Has Ms. Okafor handed it in?", [("person", "Okafor")]),
        ("Anna's overtime", [("person", "Anna")]),
        ("Sick days of Sales and Marketing", [("department", "Sales"), ("department", "Marketing")]),
        ("overtime in the sales department", [("department", "sales")]),
        ("people in the Logistics team", [("department", "Logistics")]),
        ("Who took leave in March or on Monday?", []),
        ("WHO IS OFF TODAY", []),
    ],
)
def test_people_and_departments_are_named_by_the_words_around_them(
    read: Callable[[str], Reading], text: str, expected: list[tuple[str, str]]
) -> None:
    assert names(read(text)) == expected


def test_a_text_beyond_the_limit_is_cut_and_says_so() -> None:
    text = read_text("leave " * 1400)

    assert text.truncated
    assert len(text.folded) == 2000


def test_signals_come_in_one_order_whatever_order_sets_have_in_this_process(read: Callable[[str], Reading]) -> None:
    text = (
        "compare how many days my team and I took, why, and draft a policy: who took the most sick leave and expenses?"
    )
    signals = features_of(read(text), NO_HISTORY).signals

    cues = [signal for signal in signals if signal.startswith("cue:")]
    assert len(cues) > 3
    assert cues == sorted(cues)
