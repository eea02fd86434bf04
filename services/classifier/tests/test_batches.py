"""Candidates that were scored before are not scored again, and nobody finds what is not theirs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from tiermesh_classifier.artefact import Artefact
from tiermesh_classifier.assembly import assemble_with
from tiermesh_classifier.batches import Batches
from tiermesh_classifier.classifier import Classifier, Depth, Question
from tiermesh_classifier.history import NO_HISTORY, History, PastTurn
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.remembering import Remembered, digest
from tiermesh_classifier.scores import Scores
from tiermesh_classifier.translation import scores_to_wire
from tiermesh_pack import Pack

TODAY = Calendar(date(2026, 11, 22))
TEXTS = ["How many days did my team take this year?", "Compare with last month", "What is the carry-over rule?"]
AFTER_LEAVE = History(turns=(PastTurn("leave.history", "team", "window", "rank", "aggregate"),), total_turns=1)


class Counting:
    """A classifier that counts what it is asked."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.words, self.version, self.versions = classifier.words, classifier.version, classifier.versions
        self.asked: list[str] = []

    def score(self, question: Question, depth: Depth = Depth.FULL) -> Scores:
        self.asked.append(question.text)
        return self._classifier.score(question, depth)


@pytest.fixture
def scorer(classifier: Classifier) -> Counting:
    return Counting(classifier)


@pytest.fixture
def batches(executor: ThreadPoolExecutor) -> Batches:
    return Batches(executor, 100)


def candidates(texts: list[str] = TEXTS, history: History = NO_HISTORY, day: Calendar = TODAY) -> list[Question]:
    return [Question(text, history, day, candidate=True) for text in texts]


async def test_what_comes_again_is_answered_alike_and_scored_once(
    batches: Batches, scorer: Counting, classifier: Classifier
) -> None:
    first = await batches.scored(scorer, candidates(), Depth.LOCAL, "acme")
    again = await batches.scored(scorer, candidates([*reversed(TEXTS), "hello"]), Depth.LOCAL, "acme")

    assert scorer.asked == [*TEXTS, "hello"]
    assert again[:3] == first[::-1]
    assert first == [scores_to_wire(classifier.score(each, Depth.LOCAL)).SerializeToString() for each in candidates()]


@pytest.mark.parametrize(
    ("questions", "depth", "tenant"),
    [
        (candidates(), Depth.LOCAL, "other"),
        (candidates(history=AFTER_LEAVE), Depth.LOCAL, "acme"),
        (candidates(day=Calendar(date(2026, 12, 1))), Depth.LOCAL, "acme"),
        (candidates(day=Calendar(date(2026, 11, 22), 4)), Depth.LOCAL, "acme"),
        (candidates(), Depth.RULES, "acme"),
    ],
    ids=["tenant", "history", "day", "fiscal year", "depth"],
)
async def test_what_the_scores_depend_on_is_told_apart(
    batches: Batches, scorer: Counting, questions: list[Question], depth: Depth, tenant: str
) -> None:
    await batches.scored(scorer, candidates(), Depth.LOCAL, "acme")
    scorer.asked.clear()

    found = await batches.scored(scorer, questions, depth, tenant)

    assert scorer.asked == TEXTS
    assert found == [scores_to_wire(scorer.score(each, depth)).SerializeToString() for each in questions]


async def test_another_artefact_starts_with_nothing(batches: Batches, scorer: Counting, classifier: Classifier) -> None:
    await batches.scored(scorer, candidates(), Depth.LOCAL, "acme")
    swapped = Counting(classifier)

    await batches.scored(swapped, candidates(), Depth.LOCAL, "acme")

    assert swapped.asked == TEXTS


async def test_without_room_nothing_is_kept(executor: ThreadPoolExecutor, scorer: Counting) -> None:
    batches = Batches(executor, 0)
    await batches.scored(scorer, candidates(), Depth.LOCAL, "acme")
    await batches.scored(scorer, candidates(), Depth.LOCAL, "acme")

    assert scorer.asked == [*TEXTS, *TEXTS]


def test_the_longest_unused_makes_room() -> None:
    kept: Remembered[int] = Remembered(2)
    kept.put(b"a", 1)
    kept.put(b"b", 2)
    assert kept.get(b"a") == 1

    kept.put(b"c", 3)

    assert (kept.get(b"a"), kept.get(b"b"), kept.get(b"c"), len(kept)) == (1, None, 3, 2)


def test_parts_do_not_run_into_each_other() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab", "c") == digest("ab", "c")


class OneVector:
    """In the place of a sentence encoder: counts what it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def vector(self, text: str) -> np.ndarray:
        self.read.append(text)
        return np.ones(4, dtype=np.float32) / 2


@pytest.fixture
def encoder() -> OneVector:
    return OneVector()


@pytest.fixture
def with_sentences(pack: Pack, classifier: Classifier, encoder: OneVector) -> Classifier:
    dense = {
        name: replace(head, dense=np.ones((4, len(head.labels)), dtype=np.float32))
        for name, head in classifier.artefact.heads.items()
    }
    together = type(classifier.artefact.together)(list(dense.values()))
    made: Artefact = replace(classifier.artefact, heads=dense, together=together, sentence=encoder)  # type: ignore[arg-type]
    return assemble_with(pack, made, remembered=Remembered(10))


def test_a_candidate_is_encoded_once_whatever_its_history(with_sentences: Classifier, encoder: OneVector) -> None:
    text = TEXTS[1]
    alone = with_sentences.score(Question(text, AFTER_LEAVE, TODAY))
    for history in (NO_HISTORY, AFTER_LEAVE):
        found = with_sentences.score(Question(text, history, TODAY, candidate=True))

    assert encoder.read == ["compare with last month"] * 2
    assert found == alone


def test_a_persons_words_are_not_kept(with_sentences: Classifier, encoder: OneVector) -> None:
    for _ in range(2):
        with_sentences.score(Question("Is anybody about to be dismissed?", NO_HISTORY, TODAY))

    assert len(encoder.read) == 2
