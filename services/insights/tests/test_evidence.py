"""Many words on one answer: which count, how much, and which are left out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tiermesh_insights.evidence import Case, Turn, case_of, cases, implied, turn_of
from tiermesh_insights.records import OutcomeRow
from tiermesh_insights.testing import NOW, decision, outcome

TIER1 = turn_of(decision(1))
TIER2 = turn_of(decision(1, route="tier2", tier=2))


def said(source: str, success: float, number: int = 1, **changes: object) -> OutcomeRow:
    return outcome(number, success, outcome_id=f"{source}{number}", decision_id="d1", source=source, **changes)


def test_contradicting_words_end_between_them() -> None:
    case = case_of(TIER1, [said("thumb", 1.0), said("judge", 0.0)])
    assert (case.success, case.labelled) == (0.5, True)


def test_of_one_source_the_last_word_counts_whatever_the_order_of_arrival() -> None:
    first, last = said("thumb", 0.0, 1), said("thumb", 1.0, 2, at=NOW + timedelta(minutes=5))
    assert case_of(TIER1, [last, first]).success == 1.0


def test_a_hint_alone_is_no_label_and_several_are() -> None:
    assert not case_of(TIER1, [said("completion", 1.0)]).labelled
    assert not case_of(TIER1, [said("abandoned", 0.0), said("pill_click", 1.0)]).labelled
    assert case_of(TIER1, [said("asked_again", 0.0)]).labelled
    assert case_of(TIER1, [said("completion", 1.0), said("asked_again", 0.0)]).success == pytest.approx(1 / 3.5)


def test_a_sender_cannot_give_a_source_more_weight_than_it_has() -> None:
    case = case_of(TIER1, [said("pill_click", 1.0, weight=1.0), said("thumb", 0.0)])
    assert case.success == pytest.approx(0.1 / 1.1)


def test_what_is_said_of_tier_2_says_nothing_of_tier_1_unless_it_ran_in_the_shadow() -> None:
    assert case_of(TIER2, [said("thumb", 1.0), said("completion", 1.0)]).success is None
    assert case_of(TIER2, [said("thumb", 1.0), said("shadow", 0.0)]).success == 0.0
    assert case_of(TIER2, [said("preference", 1.0)]).success == 1.0


def test_a_word_that_comes_weeks_later_is_about_something_else() -> None:
    late = said("thumb", 0.0, at=TIER1.at + timedelta(days=31))
    assert case_of(TIER1, [late]).success is None


def test_a_word_from_a_clock_that_is_behind_still_counts() -> None:
    assert case_of(TIER1, [said("thumb", 1.0, at=TIER1.at - timedelta(hours=3))]).success == 1.0


def test_a_foreign_word_and_one_on_an_unknown_turn_are_left_out() -> None:
    foreign = said("thumb", 0.0, tenant="other")
    unknown = outcome(9, 0.0)
    found = cases([TIER1], [foreign, unknown])
    assert found == [Case(TIER1, None, 0.0)]


def test_words_without_weight_are_none() -> None:
    assert case_of(TIER1, [said("thumb", 1.0, weight=0.0)]) == Case(TIER1, None, 0.0)
    assert case_of(TIER1, [said("something_new", 1.0)]) == Case(TIER1, None, 0.0)


def test_a_judge_that_is_not_believed_moves_nothing() -> None:
    own = said("judge", 0.0, judged_here=True)
    assert cases([TIER1], [own], believe_own_judge=False)[0].success is None
    assert cases([TIER1], [own])[0].success == 0.0


def talk(number: int, minutes: int = 1, **changes: object) -> Turn:
    at = NOW + timedelta(minutes=minutes)
    usual = {"conversation_id": "c7", "turn": number, "decided_at": at}
    return turn_of(decision(number, **{**usual, **changes}))


def implied_by(after: Turn) -> list[tuple[str, str]]:
    return [(said.decision_id, said.source) for said in implied([after, talk(1, 0)])]


def test_the_next_turn_says_something_of_the_answer_before_it() -> None:
    assert implied_by(talk(2, position="correction")) == [("d1", "asked_again")]
    assert implied_by(talk(2, route="tier2", tier=2)) == [("d1", "later_escalation")]
    override = talk(2, route="tier2", tier=2, settled_by="a_person_asked_for_more")
    assert implied_by(override) == [("d1", "human_override")]


def test_a_turn_that_is_late_or_elsewhere_or_on_something_else_says_nothing() -> None:
    assert implied_by(talk(2, position="follow_up")) == []
    assert implied_by(talk(2, minutes=20, position="correction")) == []
    assert implied_by(talk(2, minutes=-5, position="correction")) == []  # a clock that jumped back
    assert implied_by(talk(2, position="correction", conversation_id="c8")) == []
    assert implied_by(talk(2, position="correction", family="expenses")) == []


def test_a_correction_labels_the_answer_that_it_corrects_and_a_hint_alone_does_not() -> None:
    corrected, _ = cases([talk(1, 0), talk(2, position="correction")], [])
    assert (corrected.success, corrected.labelled) == (0.0, True)
    hinted, _ = cases([talk(1, 0), talk(2, route="tier2", tier=2)], [])
    assert (hinted.success, hinted.labelled) == (0.0, False)
