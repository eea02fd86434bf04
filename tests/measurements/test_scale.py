"""The arithmetic of `bench.scale`: when questions come, what became of them, and how growth is told."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from pathlib import Path

import grpc
import pytest
from tiermesh.gateway.v1 import gateway_service_pb2
from tiermesh_classifier.vocabulary import words_of
from tiermesh_pack import load_pack

from bench.scale.arrivals import DAY, draw, moments, question, scaled
from bench.scale.load import Asked, Ending, Stream, broken, ending, summary
from bench.scale.sweeps import growth
from bench.scale.vocabulary import enlarged
from bench.suite import PROJECT


def stream(*events: gateway_service_pb2.AskResponse) -> Stream:
    found = Stream()
    for event in events:
        found.take(event)
    return found


def event(sequence: int, **fields: object) -> gateway_service_pb2.AskResponse:
    return gateway_service_pb2.AskResponse(sequence=sequence, **fields)


WHOLE = (
    event(1, decision={}),
    event(2, text={"text": "Hello "}),
    event(3, text={"text": "there."}),
    event(4, answer_done={"complete": True}),
    event(5, receipt={}),
)


def test_questions_come_at_random_at_the_rate_that_is_asked_for() -> None:
    found = list(moments(50.0, 100.0, random.Random(3)))
    assert len(found) == pytest.approx(5000, rel=0.05)
    assert found == sorted(found)
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    # A Poisson process: the gaps' deviation is as large as their mean.
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.1)
    assert list(moments(0.0, 100.0, random.Random(3))) == []


def test_a_mix_is_drawn_as_often_as_it_says_and_no_question_is_asked_twice() -> None:
    chance = random.Random(1)
    counts = Counter(draw({"words": 3, "look-up": 1}, chance) for _ in range(4000))
    assert counts["words"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert question("words") != question("words")


def test_the_day_goes_beyond_capacity_and_drifts() -> None:
    assert max(phase.load for phase in DAY) > 1.0 > min(phase.load for phase in DAY)
    assert len({tuple(sorted(phase.mix.items())) for phase in DAY}) > 3
    assert sum(phase.seconds for phase in scaled(DAY, 0.5)) == sum(phase.seconds for phase in DAY) / 2


def test_a_whole_answer_is_complete() -> None:
    assert ending(stream(*WHOLE), None, "", ["Hello there."], late=False) is Ending.COMPLETE


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(WHOLE[:4], id="no receipt"),
        pytest.param((WHOLE[0], event(3, text={"text": "Hello there."}), *WHOLE[3:]), id="a gap in the sequence"),
        pytest.param(
            (WHOLE[0], WHOLE[1], event(3, answer_done={"complete": True}), event(4, receipt={})), id="text cut"
        ),
    ],
)
def test_less_than_the_whole_called_complete_is_truncated(events: tuple[gateway_service_pb2.AskResponse, ...]) -> None:
    assert ending(stream(*events), None, "", ["Hello there."], late=False) is Ending.TRUNCATED


def test_an_incomplete_answer_that_says_so_breaks_nothing() -> None:
    said = stream(WHOLE[0], event(2, answer_done={"complete": False}), event(3, receipt={}))
    assert ending(said, None, "", ["Hello there."], late=False) is Ending.INCOMPLETE


def test_what_was_superseded_does_not_count() -> None:
    said = stream(
        WHOLE[0], event(2, text={"text": "Wrong"}), event(3, superseded={}), event(4, text={"text": "Right"}),
        event(5, answer_done={"complete": True}), event(6, receipt={}),
    )  # fmt: skip
    assert ending(said, None, "", ["Right"], late=False) is Ending.COMPLETE


def test_overload_before_the_first_event_is_shed_and_after_it_breaks_the_promise() -> None:
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ending(Stream(), code, "OVERLOADED", [], late=False) is Ending.SHED
    assert ending(stream(WHOLE[0]), code, "OVERLOADED", [], late=False) is Ending.SHED_LATE
    assert ending(Stream(), code, "RATE_LIMITED", [], late=False) is Ending.REFUSED
    assert ending(stream(WHOLE[0]), grpc.StatusCode.UNAVAILABLE, "", [], late=True) is Ending.HUNG


def test_promises_are_counted_by_kind() -> None:
    asked = [
        Asked("words", each) for each in (Ending.COMPLETE, Ending.SHED, Ending.HUNG, Ending.HUNG, Ending.SHED_LATE)
    ]
    assert broken("level", asked) == ["level: 2 × hung", "level: 1 × shed after it began"]


def test_shares_of_what_is_shed_go_by_what_could_have_been() -> None:
    asked = [
        Asked("words", Ending.COMPLETE, seconds=1.0, speculated=True),
        Asked("words", Ending.COMPLETE, seconds=3.0, speculation_shed=True, pills_cause="load"),
        Asked("words", Ending.SHED),
        Asked("words", Ending.SHED),
    ]
    found = summary(asked, 2.0)
    assert (found["offered_per_second"], found["goodput_per_second"]) == (2.0, 1.0)
    assert (found["questions_shed"], found["pills_shed"], found["speculation_shed"]) == (0.5, 0.5, 0.5)
    assert found["p99_ms"] == 3000.0


def test_growth_leaves_the_warming_up_out() -> None:
    samples = [{"gateway": each} for each in (50.0, 90.0, 100.0, 101.0, 102.0, 103.0, 104.0)]
    found = growth(samples, 360.0)["gateway"]
    assert found == {"first_mb": 50.0, "last_mb": 104.0, "mb_per_minute": 1.0}


def test_a_larger_pack_says_each_intent_again_about_another_subject(tmp_path: Path) -> None:
    pack = load_pack(PROJECT / "packs/hr")
    larger = enlarged(pack, 100, tmp_path / "pack")
    intents = larger.vocabulary.intents
    assert len(intents) == 100
    assert set(pack.vocabulary.intents) < set(intents)
    assert set(words_of(larger).labels["intent"]) == set(intents)
    examples = Counter(each.intent for each in larger.vocabulary.examples)
    assert set(examples) == set(intents)
    assert len({each.text for each in larger.vocabulary.examples}) == pytest.approx(examples.total(), rel=0.02)
    with pytest.raises(ValueError, match="intents can be made"):
        enlarged(pack, 10_000, tmp_path / "too-large")


def test_no_number_of_a_question_can_be_read_as_a_year() -> None:
    numbers = [int(re.search(r"\d+", question("look-up"))[0]) for _ in range(5)]  # type: ignore[index]
    assert min(numbers) >= 10_000
