"""Deadlines as budgets."""

from __future__ import annotations

import contextvars
from typing import Any

import grpc
import pytest
from tiermesh_runtime import call_context, deadlines
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


@pytest.mark.parametrize(
    ("limit", "left", "spent"),
    [(2, 0, True), (2, 0.08, True), (2, 1, False), (100, 0.9, True), (100, 3, False)],
)
def test_a_call_given_up_at_its_own_deadline_ran_out_of_time(limit: float, left: float, spent: bool) -> None:
    # The client's clock runs out first: its request was on its way, and its timeout was rounded up for the wire.
    def cancelled() -> bool:
        deadlines.start(limit)
        known = call_context.current()
        assert known is not None
        assert known.expires_at is not None
        known.expires_at -= limit - left
        return deadlines.spent()

    assert contextvars.Context().run(cancelled) is spent


def test_what_nothing_bounds_never_runs_out_of_time() -> None:
    assert deadlines.spent() is False
