"""Intents, axes, rules and examples as a pack hands them over."""

import json

import pytest
from tiermesh_pack import conversations, load_pack


def test_the_intent_axis_has_the_intents_as_labels(folder):
    axes = load_pack(folder.path).vocabulary.axes

    assert axes["intent"].labels["sales.enter"] == "To enter a sale."


def test_only_writing_intents_write(folder):
    intents = load_pack(folder.path).vocabulary.intents

    assert [name for name, intent in intents.items() if intent.write] == ["sales.enter"]


@pytest.mark.parametrize(
    ("rule", "text", "words"),
    [
        ("most", "and WHO sold the most?", "WHO sold the most"),
        ("most", "who sold something?", None),
        ("everybody", "for the whole  company please", "whole  company"),
        ("everybody", "all shopsteads", None),
    ],
)
def test_a_rule_fires_on_its_patterns_and_phrases_only(folder, rule, text, words):
    rules = {found.name: found for found in load_pack(folder.path).vocabulary.rules}

    assert rules[rule].match(text) == words


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("axis: aggregation", "axis: agregation", 'vocabulary/rules.yaml:5: "agregation" is no axis'),
        ("population: company", "population: shops", 'vocabulary/rules.yaml:13: "shops" is no population'),
        ("name: everybody", "name: most", 'vocabulary/rules.yaml:9: rule "most" is defined twice'),
        ("strength: 0.9", "strength: 9", "vocabulary/rules.yaml:7: rules.0.strength: 9 is greater than"),
        ("most\\b'", "most\\b('", "vocabulary/rules.yaml:8: not a regular expression"),
    ],
)
def test_a_rule_that_cannot_work_is_told_at_its_line(folder, problems_of, old, new, told):
    folder.change("vocabulary/rules.yaml", old, new)

    assert any(problem.startswith(told) for problem in problems_of(folder)), problems_of(folder)


def test_a_neighbour_that_does_not_exist_is_told(folder, problems_of):
    folder.change("vocabulary/intents.yaml", "sales.policy: The rules", "sales.rules: The rules")

    assert 'vocabulary/intents.yaml:10: neighbour "sales.rules" is no intent' in problems_of(folder)


@pytest.mark.parametrize("text", ["x" * 61, "See <b>this</b>", "[link](there)"])
def test_a_suggestion_that_no_pill_could_show_is_told(folder, problems_of, text):
    folder.change(
        "vocabulary/intents.yaml", "    neighbours:", f"    suggestions: [{json.dumps(text)}]\n    neighbours:"
    )

    assert any(problem.startswith("vocabulary/intents.yaml:") for problem in problems_of(folder))


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"intent": "sales.historie"}, '"sales.historie" is no label of the axis "intent"'),
        ({"ambiguous": "no"}, '"ambiguous" is missing or not true or false'),
        ({"text": "  "}, '"text" is missing or no text'),
        ({"route": "tier9"}, '"tier9" is no route'),
        ({"topic": "x"}, 'unknown field "topic"'),
        ({"stakes": "medium"}, '"medium" is no label of the axis "stakes"'),
    ],
)
def test_an_example_with_a_wrong_label_is_told_at_its_line(folder, problems_of, record, told):
    folder.examples({"id": "a-0"}, record)

    assert problems_of(folder) == [f"examples/all.jsonl:2: {told}"]


def test_a_line_that_is_no_json_is_told(folder, problems_of):
    folder.write("examples/all.jsonl", "\n{'id': 1}\n[1]\n")

    assert [problem.split(": ")[0] for problem in problems_of(folder)] == [
        "examples/all.jsonl:2",
        "examples/all.jsonl:3",
    ]


def test_turns_of_a_conversation_keep_their_order(folder):
    folder.examples(
        {"id": "c-1", "conversation": "c"},
        {"id": "s"},
        {"id": "c-2", "conversation": "c", "position": "follow_up", "needs_context": True, "reply": "Ada."},
    )

    turns = conversations(load_pack(folder.path).vocabulary.examples)

    assert {name: [turn.id for turn in found] for name, found in turns.items()} == {"c": ["c-1", "c-2"]}
    assert turns["c"][1].label("needs_context") == "yes"
