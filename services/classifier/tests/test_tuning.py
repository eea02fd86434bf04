"""Tuning of the sentence encoder: what it learns from, what it changes and what it leaves."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiermesh_classifier.history import History
from tiermesh_classifier.sentence.encoder import GRAPH, MOST_PIECES, encoder_of
from tiermesh_classifier.sentence.pieces import Pieces
from tiermesh_classifier.training.bert import Bert
from tiermesh_classifier.training.lessons import lessons_of
from tiermesh_classifier.training.prepared import read_all
from tiermesh_classifier.training.sentence_graph import HEADS, Weights, read_weights, sentence_files
from tiermesh_classifier.training.train import Options, labelled_turns, train
from tiermesh_classifier.training.tuning import Lessons, Tuning, tuned
from tiermesh_classifier.training.turns import past_turn
from tiermesh_classifier.vocabulary import words_of
from tiermesh_pack import Pack

from .plain_bert import PlainBert

PACK = Path(__file__).resolve().parents[3] / "packs" / "hr"
PATTERNS = "patterns-doubtful.yaml"
ONE = ("who is off today", "who is off", "is i off today", "who is left today")
OTHER = ("is who off today", "off who is", "today off is i", "today left is who")
LESSONS = Lessons(
    texts=[*ONE, *OTHER],
    beside=[["opening"]] * 8,
    labels=np.array([[0]] * 4 + [[1]] * 4, dtype=np.int32),
    sizes=[2],
    weights=np.ones(8, dtype=np.float32),
)
HOW = Tuning(epochs=60, layers=1, rate=3e-3, batch=8)


@pytest.fixture(scope="module")
def published(sentence_weights: Path) -> Weights:
    return read_weights(sentence_weights)


@pytest.fixture(scope="module")
def after(published: Weights) -> Weights:
    return tuned(published, LESSONS, HOW, tell=lambda words: None)


def test_tuning_sees_what_the_served_graph_will_say(published: Weights) -> None:
    pieces, plain, bert = Pieces(published.pieces), PlainBert(published.arrays), Bert(published.arrays, HEADS)

    for text in ("leave", "how much leave do i have", "who who is unleavable, today?"):
        numbers = pieces.numbers(text, MOST_PIECES)
        filled = np.array([[*numbers, 0, 0]])
        found = bert.means(filled, np.arange(filled.shape[1])[None] < len(numbers))[0]
        assert np.allclose(found, plain.vector(numbers), atol=1e-4)


def test_the_served_vectors_tell_apart_what_the_lessons_tell_apart(published: Weights, after: Weights) -> None:
    assert separation(after) > 3 * separation(published)


def separation(weights: Weights) -> float:
    """How far the means of the two kinds of lesson are apart, against how far a text is from its kind's."""
    encoder = encoder_of(sentence_files(weights))
    kinds = [encoder.vectors(texts) for texts in (ONE, OTHER)]
    spread = np.mean([np.linalg.norm(kind - kind.mean(axis=0), axis=1).mean() for kind in kinds])
    return float(np.linalg.norm(kinds[0].mean(axis=0) - kinds[1].mean(axis=0)) / spread)


def test_lower_layers_and_the_table_of_pieces_stay_as_they_were_published(published: Weights, after: Weights) -> None:
    changed = {name for name, array in after.arrays.items() if not np.array_equal(array, published.arrays[name])}

    assert changed
    assert {name.rpartition("encoder.layer.")[2][:1] for name in changed} == {"1"}
    assert after.pieces == published.pieces


def test_the_same_lessons_give_the_same_weights(published: Weights, after: Weights) -> None:
    again = tuned(published, LESSONS, HOW, tell=lambda words: None)

    assert all(np.array_equal(array, again.arrays[name]) for name, array in after.arrays.items())


def test_lessons_are_what_patterns_made_and_never_what_was_written_by_hand(pack: Pack) -> None:
    words = words_of(pack)
    turns = labelled_turns(pack, words, [], Options(pattern_samples=1, noise=False))
    written = {example.id for example in pack.vocabulary.examples}
    some = [*turns[::50], *(turn for turn in turns if turn.id in written)]

    read = read_all(words, some)

    lessons = lessons_of(words, read)

    made = {text for turn, text in zip(some, read.texts, strict=True) if turn.made}
    by_hand = {text for turn, text in zip(some, read.texts, strict=True) if turn.id in written}
    assert made & by_hand, "some patterns say what was written by hand, too"
    assert set(lessons.texts) <= made - by_hand
    assert len(lessons.texts) > 0.9 * len(made)


def test_a_lesson_knows_the_topic_of_its_conversation(pack: Pack) -> None:
    words = words_of(pack)
    opening = next(turn for turn in labelled_turns(pack, words, [], Options(pattern_samples=1)) if turn.made)
    later = History(turns=(past_turn(opening.labels, opening.route),), total_turns=1)

    lessons = lessons_of(words, read_all(words, [opening, replace(opening, history=later)]))

    assert lessons.beside[0] == ["opening"]
    assert f"intent={opening.labels['intent']}" in lessons.beside[1]


@pytest.mark.parametrize(("fewest", "changed"), [(1, True), (100_000, False)])
def test_an_encoder_is_tuned_where_patterns_make_enough_to_learn_from(
    tiny_pack: Pack, sentence_weights: Path, tmp_path: Path, fewest: int, changed: bool
) -> None:
    (tmp_path / "pack" / "examples").mkdir(parents=True)
    (tmp_path / "pack" / "examples" / PATTERNS).symlink_to(PACK / "examples" / PATTERNS)
    patterned = replace(tiny_pack, path=tmp_path / "pack")
    options = Options(folds=2, most_steps=4, pattern_samples=1, weights=sentence_weights, fewest_lessons=fewest)

    train(patterned, [], tmp_path / "out", options, tell=lambda words: None)

    published = sentence_files(read_weights(sentence_weights)).files[GRAPH]
    assert ((tmp_path / "out" / GRAPH).read_bytes() != published) is changed


def test_nothing_is_calibrated_on_what_the_encoder_may_have_learnt_from(tiny_pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / PATTERNS).symlink_to(PACK / "examples" / PATTERNS)
    patterned = replace(tiny_pack, path=tmp_path)
    options = Options(folds=2, most_steps=4, pattern_samples=1, noise=False, sentence_encoder=False)
    turns = labelled_turns(patterned, words_of(patterned), [], options)

    train(patterned, [], tmp_path / "out", options, tell=lambda words: None)

    counted = json.loads((tmp_path / "out" / "manifest.json").read_text())["held_out"]["cardinality"]["turns"]
    assert any(turn.made and turn.weight >= 1.0 for turn in turns)
    assert counted == len([turn for turn in turns if turn.weight >= 1.0 and not turn.made])
