"""What is measured by leaving out is really left out."""

from dataclasses import replace
from datetime import date

from tiermesh_classifier.scores import AXES
from tiermesh_classifier.training.cross_validation import cross_validated, joined, without
from tiermesh_classifier.training.train import Options, labelled_turns, learn
from tiermesh_classifier.training.turns import Turn, read_turns, turns_of
from tiermesh_classifier.vocabulary import words_of
from tiermesh_pack import Pack
from tiermesh_policy import TenantPolicy

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


def test_a_copy_is_learnt_from_only_where_what_it_copies_is(pack: Pack) -> None:
    measured = labelled(pack, "labelled-openings.jsonl")[:2]
    copy = replace(measured[0], id="mine-1", group="mine-1")
    mistyped = replace(copy, id="mine-1~", text="something else")
    other = replace(measured[1], id="mine-2", group="mine-2", text="nobody measures this")

    groups = [turn.group for turn in joined([copy, mistyped, other], measured)]

    assert groups == [measured[0].group, measured[0].group, "mine-2"]


def test_no_fold_has_seen_a_word_that_only_it_holds(tiny_pack: Pack) -> None:
    words = words_of(tiny_pack)
    options = Options(folds=3, most_steps=3, sentence_encoder=False)
    turns = labelled_turns(tiny_pack, words, [], options)
    marked = turns[0].group
    turns = [replace(turn, text=turn.text + " zyx zyx") if turn.group == marked else turn for turn in turns]
    twice = [replace(turn, id=turn.id + "!") for turn in turns if turn.group == marked]

    learnt = learn(words, [*turns, *twice], options, lambda words: None)

    fold = learnt.cross.folds[0]
    knows = ["w zyx" in encoder.names for encoder in learnt.cross.encoders]
    assert knows == [at != fold for at in range(3)]


def test_a_pattern_that_says_what_is_measured_is_in_its_group_and_no_lesson(tiny_pack: Pack) -> None:
    turns = labelled_turns(tiny_pack, words_of(tiny_pack), [], Options(noise=False, sentence_encoder=False))
    measured = next(turn for turn in turns if not turn.history.running)
    copy = replace(measured, id="p-1", group="pattern", made=True)
    variant = replace(copy, id="p-2", text=measured.text + " please")
    other = replace(copy, id="p-3", text="something else", group="other")

    found = {turn.id: (turn.group, turn.made) for turn in joined([copy, variant, other], [measured])}

    assert found == {"p-1": (measured.group, False), "p-2": (measured.group, False), "p-3": ("other", True)}


def test_every_measured_turn_is_scored_once(tiny_pack: Pack) -> None:
    root = tiny_pack.vocabulary.examples
    turns = turns_of(
        {
            **{name: getattr(each, name) for name in ("id", "conversation", "text", "route", "stakes")},
            **{axis: getattr(each, axis) for axis in AXES if axis != "stakes"},
        }
        for each in root[:30]
    )
    options = Options(most_steps=3, pattern_samples=1, sentence_encoder=False)

    scored = cross_validated(tiny_pack, turns, TenantPolicy(), date(2026, 1, 5), folds=3, options=options)

    assert sorted(each.turn.id for each in scored) == sorted(turn.id for turn in turns)
    assert all(each.scores.confidence.version.startswith("confidence-") for each in scored), "none is a known question"
