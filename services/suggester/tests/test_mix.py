"""The mix of kinds that suits the answer, decided while candidates come one by one."""

from __future__ import annotations

from tiermesh_suggester.candidates import KINDS
from tiermesh_suggester.mix import Mix

WEIGHTS = {"drill_down": 0.6, "compare": 0.3, "act": 0.05, "explain": 0.05}


def test_the_wanted_kinds_are_in_the_order_that_suits_the_answer() -> None:
    assert Mix[str](WEIGHTS, 3).wanted == ["drill_down", "drill_down", "compare"]


def test_without_a_mix_every_kind_gets_its_turn() -> None:
    assert set(Mix[str]({}, 4).wanted) == set(KINDS)


def test_what_the_mix_lacks_is_taken_at_once_and_the_rest_waits() -> None:
    mix: Mix[str] = Mix(WEIGHTS, 3)
    assert mix.take("drill_down", "a")
    assert not mix.take("explain", "b")
    assert mix.take("drill_down", "c")
    assert not mix.take("drill_down", "d")
    assert mix.missing == 1
    # No comparison came: the weightiest of those that wait takes its place.
    assert mix.rest() == ["d"]
    assert mix.missing == 0


def test_too_few_candidates_leave_room_for_the_pack_s() -> None:
    mix: Mix[str] = Mix(WEIGHTS, 3)
    assert mix.take("compare", "a")
    assert mix.rest() == []
    mix.wait("act", "b")
    mix.wait("drill_down", "c")
    assert mix.rest() == ["c", "b"]


def test_nothing_is_taken_beyond_the_count() -> None:
    mix: Mix[str] = Mix(WEIGHTS, 1)
    assert mix.take("drill_down", "a")
    assert not mix.take("drill_down", "b")
    assert mix.rest() == []
