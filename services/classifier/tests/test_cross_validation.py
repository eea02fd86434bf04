"""What is measured by leaving out is really left out."""

from dataclasses import replace

from tiermesh_classifier.training.cross_validation import without
from tiermesh_classifier.training.turns import Turn, read_turns
from tiermesh_pack import Pack

EXAMPLES = "examples"


def labelled(pack: Pack, name: str) -> list[Turn]:
    return read_turns(pack.path / EXAMPLES / name)


def test_an_opening_that_is_measured_is_no_example_any_more(pack: Pack) -> None:
    measured = labelled(pack, "labelled-openings.jsonl")[:3]

    left = {example.id for example in without(pack, measured).vocabulary.examples}

    assert not left & {turn.id for turn in measured}
    assert len(left) == len(pack.vocabulary.examples) - 3


def test_a_copy_under_another_id_is_left_out_too(pack: Pack) -> None:
    original = labelled(pack, "labelled-openings.jsonl")[0]
    copy = replace(original, id="mine-1", group="mine-1")

    assert original.id not in {example.id for example in without(pack, [copy]).vocabulary.examples}


def test_a_conversation_is_left_out_whole(pack: Pack) -> None:
    turns = labelled(pack, "labelled-conversations.jsonl")
    measured = turns[1]

    left = {example.conversation for example in without(pack, [measured]).vocabulary.examples}

    assert measured.group not in left
