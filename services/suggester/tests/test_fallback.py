"""The pack's own pills: there for every intent, fit to be shown, and good to read."""

from __future__ import annotations

from datetime import date

import pytest
from tiermesh_pack import Pack
from tiermesh_suggester.candidates import fault_of
from tiermesh_suggester.fallback import Asked, fallback_candidates

TODAY = date(2026, 11, 20)
THIS_YEAR = (date(2026, 1, 1), date(2027, 1, 1))


def texts(pack: Pack, asked: Asked) -> list[str]:
    return [candidate.text for candidate in fallback_candidates(pack, asked)]


@pytest.mark.parametrize("many", [False, True])
def test_every_intent_has_pills_without_a_model(pack: Pack, many: bool) -> None:
    for name in pack.vocabulary.intents:
        candidates = fallback_candidates(pack, Asked(name, "sum", many=many))
        assert len(candidates) >= 3, name
        assert [candidate.text for candidate in candidates if fault_of(candidate.text)] == []
        assert len({candidate.text for candidate in candidates}) == len(candidates)


def test_no_training_example_is_a_pill(pack: Pack) -> None:
    """Examples teach a classifier: many are terse, misspelt, or about troubles that nobody is nudged into."""
    own = {text for intent in pack.vocabulary.intents.values() for text in intent.suggestions}
    examples = {example.text for example in pack.vocabulary.examples} - own
    for name in pack.vocabulary.intents:
        assert not examples & set(texts(pack, Asked(name)))


def test_suggestions_of_the_pack_are_whole_and_plain(pack: Pack) -> None:
    for intent in pack.vocabulary.intents.values():
        for text in intent.suggestions:
            assert fault_of(text) == ""
            assert text[0].isupper()
            questions = ("How", "Who", "What", "When", "Which", "Where", "Has", "By when")
            assert text.endswith("?") == text.startswith(questions)


@pytest.mark.parametrize("group_by", [(), ("department",)])
def test_a_ranking_leads_to_other_dimensions_the_year_before_and_the_total(
    pack: Pack, group_by: tuple[str, ...]
) -> None:
    asked = Asked("leave.history", "rank", "leave_days", group_by, many=True, period=THIS_YEAR, today=TODAY)
    found = texts(pack, asked)
    assert "Compare leave days taken with last year" in found
    assert "Show total leave days taken in my team" in found
    assert "Show leave days taken by month" in found
    assert ("Show leave days taken by department" in found) == (not group_by)


def test_a_total_leads_to_a_ranking(pack: Pack) -> None:
    assert "Which department has the most expenses?" in texts(pack, Asked("expenses.history", "sum", many=True))
    average = Asked("performance.rating", "average", "rating", many=True)
    assert "Which department has the highest average rating?" in texts(pack, average)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (date(2026, 11, 1), date(2026, 12, 1), "last month"),
        (date(2026, 10, 1), date(2026, 11, 1), "the month before"),
        (date(2026, 10, 1), date(2027, 1, 1), "last quarter"),
        (date(2025, 1, 1), date(2026, 1, 1), "the year before"),
        (date(2026, 11, 16), date(2026, 11, 23), "last week"),
    ],
)
def test_a_comparison_is_with_the_period_before(pack: Pack, start: date, end: date, words: str) -> None:
    found = texts(pack, Asked("expenses.history", "sum", "amount", period=(start, end), today=TODAY))
    assert f"Compare expenses with {words}" in found
    assert ("Show expenses by month" in found) == ((end - start).days > 31)


def test_one_person_s_figure_is_not_split_by_departments_nor_averaged(pack: Pack) -> None:
    found = texts(pack, Asked("leave.history", "sum", "leave_days"))
    assert "Show leave days taken by leave type" in found
    assert not [text for text in found if "department" in text or "location" in text]
    assert not [text for text in texts(pack, Asked("performance.rating", "none")) if "average rating by" in text]


def test_small_talk_and_what_is_out_of_scope_lead_to_where_one_can_begin(pack: Pack) -> None:
    for name in ("chat.greeting", "out_of_scope"):
        candidates = fallback_candidates(pack, Asked(name))
        families = {pack.vocabulary.intents[candidate.intent].family for candidate in candidates}
        assert len(families) >= 5


def test_an_intent_that_the_pack_lacks_gives_no_pills(pack: Pack) -> None:
    assert fallback_candidates(pack, Asked("no_signal")) == []
