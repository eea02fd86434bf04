"""The HR pack, checked as the classifier and the aggregator will use it."""

import re
from collections import Counter
from pathlib import Path

import pytest
from tiermesh_pack import conversations, load_pack, route_of

HR = Path(__file__).parents[3] / "packs" / "hr"
FLAGS = ("needs_context", "ambiguous", "multi_step")


@pytest.fixture(scope="module")
def hr():
    return load_pack(HR)


def test_the_hr_pack_loads(hr):
    assert hr.identity.startswith("hr@")
    assert len(hr.vocabulary.intents) == 38
    assert len(hr.handbook) >= 35


def test_every_label_of_every_axis_has_examples(hr):
    few = {}
    for name, axis in hr.vocabulary.axes.items():
        found = Counter(example.label(name) for example in hr.vocabulary.examples)
        few |= {(name, label): found[label] for label in axis.labels if found[label] < 20}

    assert few == {}


def test_there_are_enough_examples_to_learn_from(hr):
    talks = conversations(hr.vocabulary.examples)
    turns = sum(map(len, talks.values()))

    assert len(hr.vocabulary.examples) - turns >= 1800
    assert len(talks) >= 220
    assert turns >= 900


def test_every_example_has_the_route_that_its_labels_demand(hr):
    wrong = [
        f"{example.source}: {example.text}"
        for example in hr.vocabulary.examples
        if route_of(example, hr.vocabulary.intents[example.intent]) != example.route
    ]

    assert wrong == []


def test_every_single_question_is_asked_once(hr):
    texts = Counter(
        re.sub(r"\W+", " ", example.text.lower()).strip()
        for example in hr.vocabulary.examples
        if not example.conversation
    )

    assert [text for text, count in texts.items() if count > 1] == []


def test_a_single_question_opens_and_needs_no_context(hr):
    singles = [example for example in hr.vocabulary.examples if not example.conversation]

    assert {(example.position, example.needs_context) for example in singles} == {("opening", False)}


def test_a_conversation_opens_once_and_answers_every_turn(hr):
    for name, turns in conversations(hr.vocabulary.examples).items():
        assert [turn.position == "opening" for turn in turns] == [True, *[False] * (len(turns) - 1)], name
        assert not turns[0].needs_context, name
        assert 3 <= len(turns) <= 7, name
        assert all(turn.reply for turn in turns), name


def test_policies_and_small_talk_compute_nothing(hr):
    odd = [
        example.source
        for example in hr.vocabulary.examples
        if hr.vocabulary.intents[example.intent].kind in ("policy", "chat") and example.aggregation != "none"
    ]

    assert odd == []


def test_a_rule_is_right_at_least_as_often_as_a_coin_on_the_examples(hr):
    """Rules are hints; one that misleads on the pack's own examples has no business in it."""
    misleading = {}
    for rule in hr.vocabulary.rules:
        fired = [example for example in hr.vocabulary.examples if example.label(rule.axis) and rule.match(example.text)]
        right = sum(example.label(rule.axis) == rule.label for example in fired)
        if fired and right < 0.3 * len(fired):
            misleading[rule.name] = f"{right} of {len(fired)}"

    assert misleading == {}


def test_the_limits_in_the_handbook_are_those_of_the_policy(hr):
    (limits,) = [section.text for section in hr.handbook if section.id == "expenses/limits-by-category"]

    for words in ("Hotel: 180", "Meals: 45", "Taxi: 60", "Flight: 600", "Train: 300", "Mileage: 150"):
        assert words in limits
