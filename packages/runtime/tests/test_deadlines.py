"""Deadlines as budgets."""

from __future__ import annotations

import contextvars
from typing import Any

import grpc
import pytest
from tiermesh_runtime import deadlines
from tiermesh_runtime.errors import RpcError


def _within(seconds: float, act: Any) -> Any:
    def run() -> Any:
        deadlines.start(seconds)
        return act()

    return contextvars.Context().run(run)


def test_outside_of_a_call_nothing_bounds_the_budget() -> None:
    assert deadlines.remaining() is None
    assert deadlines.budget(3) == 3


def test_a_budget_is_what_is_left_less_the_reserve() -> None:
    assert _within(10, lambda: deadlines.budget(3)) == 3
    assert 7.5 < _within(10, lambda: deadlines.budget(60, reserve=2)) <= 8


def test_too_little_time_is_refused_with_the_hop() -> None:
    with pytest.raises(RpcError) as caught:
        _within(1, lambda: deadlines.budget(60, reserve=1, hop="classifier"))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_TOO_SHORT")
    assert caught.value.metadata == {"hop": "classifier"}


def test_work_that_outlives_its_call_has_a_budget_of_its_own() -> None:
    def outlive() -> Any:
        before = deadlines.remaining()
        deadlines.start(100)
        return before, deadlines.remaining()

    before, after = _within(1, outlive)
    assert before <= 1 < 99 < after <= 100
