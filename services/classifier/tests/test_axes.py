"""Axes on plain questions, through the trained artefact of the session."""

from collections.abc import Callable

import pytest
from tiermesh_classifier.history import History, PastTurn
from tiermesh_classifier.scores import AXES, Scores, Stage

Score = Callable[..., Scores]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (
            "Who applied for the most leave this year?",
            {"intent": "leave.history", "cardinality": "team", "temporal": "window", "aggregation": "rank"},
        ),
        (
            "How many leave days do I have left?",
            {"intent": "leave.balance", "cardinality": "one", "temporal": "now", "aggregation": "none"},
        ),
        (
            "average overtime by department last quarter",
            {"intent": "attendance.summary", "cardinality": "org", "temporal": "window", "aggregation": "average"},
        ),
        (
            "How has attrition in the company developed since 2020?",
            {"intent": "people.lifecycle", "cardinality": "org", "temporal": "multi_year", "aggregation": "trend"},
        ),
        ("Approve Anna's leave for Friday", {"intent": "leave.approve", "cardinality": "one"}),
        ("What's the weather in Berlin?", {"intent": "out_of_scope", "aggregation": "none"}),
        ("hello", {"intent": "chat.greeting"}),
    ],
)
def test_a_plain_question_gets_its_labels(score: Score, text: str, labels: dict[str, str]) -> None:
    scores = score(text)

    assert {axis: scores.axes[axis].label for axis in labels} == labels


@pytest.mark.parametrize(
    ("text", "axis", "label"),
    [
        ("How do I split parental leave with my partner and what does that do to my bonus?", "multi_step", "yes"),
        ("Why did overtime in my team go up last quarter and what should I do?", "multi_step", "yes"),
        ("Who applied for the most leave this year?", "ambiguous", "no"),
        ("leave status", "ambiguous", "yes"),
        ("My manager harasses me and touches me every day", "stakes", "high"),
        ("How many leave days do I have left?", "stakes", "low"),
    ],
)
def test_difficulty_is_scored_apart_from_scope(score: Score, text: str, axis: str, label: str) -> None:
    assert score(text).axes[axis].label == label


def test_every_axis_is_a_distribution_with_stage_version_and_evidence(score: Score) -> None:
    scores = score("total overtime of my team last month")

    assert set(scores.axes) == {*AXES, "surround"}
    for name, axis in scores.axes.items():
        assert sum(axis.distribution.values()) == pytest.approx(1.0), name
        assert "no_signal" in axis.distribution, name
        assert axis.version, name
        assert axis.evidence, name


def test_an_opening_is_an_opening_by_its_place_and_needs_no_context(score: Score) -> None:
    scores = score("and what about last month?")

    assert scores.axes["position"].distribution["opening"] == 1.0
    assert scores.axes["needs_context"].label == "no"
    assert scores.inherited_intent == ""


def test_a_follow_up_inherits_the_intent_and_the_scope(score: Score) -> None:
    first = score("Who applied for the most leave this year?")
    history = History((PastTurn("leave.history", "team", "window", "rank", "aggregate"),), first.slots, 1)

    scores = score("what about last month?", history)

    assert scores.axes["position"].label == "follow_up"
    assert scores.inherited_intent == "leave.history"
    assert {axis: scores.axes[axis].label for axis in ("intent", "cardinality", "needs_context")} == {
        "intent": "leave.history",
        "cardinality": "team",
        "needs_context": "yes",
    }


def test_a_what_if_after_a_balance_is_a_simulation_and_not_simple(score: Score) -> None:
    history = History((PastTurn("leave.balance", "one", "now", "none", "tier1"),), total_turns=1)

    scores = score("what if I took five days next month instead?", history)

    assert scores.axes["intent"].label == "leave.simulate"
    assert scores.axes["temporal"].label == "window"
    assert scores.axes["multi_step"].label == "yes"
    assert scores.axes["needs_context"].label == "yes"
    assert scores.confidence.value < 0.5


def test_a_topic_shift_lets_go_of_what_was_inherited(score: Score) -> None:
    first = score("Who applied for the most leave this year?")
    history = History((PastTurn("leave.history", "team", "window", "rank", "aggregate"),), first.slots, 1)

    scores = score("By the way, what is the dress code on Fridays?", history)

    assert scores.axes["position"].label == "topic_shift"
    assert scores.axes["intent"].label == "policy.general"
    assert scores.slots.measures == ()


def test_thanks_closes_a_conversation(score: Score) -> None:
    history = History((PastTurn("leave.balance", "one", "now", "none", "tier1"),), total_turns=1)

    assert score("thanks, bye", history).axes["position"].label == "closing"


def test_turns_of_another_vocabulary_are_counted_but_not_read(score: Score) -> None:
    history = History((PastTurn("insurance.claim", "one", "now", "none", "tier1"),), same_vocabulary=False)

    scores = score("what about last month?", history)

    assert scores.axes["position"].label != "opening"
    assert scores.inherited_intent == ""


def test_confidence_is_high_for_a_look_up_and_low_for_a_company_wide_ranking(score: Score) -> None:
    assert score("How many leave days do I have left?").confidence.value > 0.6
    assert score("Which department had the most sick days last year?").confidence.value < 0.2


def test_a_write_is_surrounded_by_actions_and_a_ranking_by_drill_downs(score: Score) -> None:
    assert score("Approve Anna's leave for Friday").axes["surround"].label == "act"
    assert score("Who applied for the most leave this year?").axes["surround"].label == "drill_down"


def test_a_known_question_is_answered_by_the_rule_stage(score: Score, pack: object) -> None:
    known = next(
        e
        for e in pack.vocabulary.examples  # type: ignore[attr-defined]
        if e.position == "opening" and not e.conversation and len(e.text.split()) > 4
    )

    scores = score(f"Hello, could you please tell me {known.text}")

    assert scores.axes["intent"].stage is Stage.RULE
    assert scores.axes["intent"].label == known.intent
