"""What pills may cost a tenant in a day."""

from __future__ import annotations

from datetime import date

from tiermesh_suggester.spend import FIRST_ESTIMATE_MICROS, TenantSpend

ROOM = FIRST_ESTIMATE_MICROS


class Days:
    def __init__(self) -> None:
        self.day = date(2026, 11, 20)

    def __call__(self) -> date:
        return self.day


def test_calls_at_the_same_time_do_not_all_see_room() -> None:
    spend = TenantSpend(Days())
    first = spend.reserve("acme", most_per_call=0, most_per_day=ROOM)
    assert first is not None
    assert spend.reserve("acme", most_per_call=0, most_per_day=ROOM) is None
    assert spend.reserve("globex", most_per_call=0, most_per_day=ROOM) is not None
    spend.settle(first, 0)
    assert spend.reserve("acme", most_per_call=0, most_per_day=ROOM) is not None


def test_a_day_s_spend_is_capped_and_the_next_day_begins_anew() -> None:
    days = Days()
    spend = TenantSpend(days)
    for _ in range(100):
        reservation = spend.reserve("acme", most_per_call=1_000, most_per_day=10_000)
        if reservation is None:
            break
        spend.settle(reservation, 1_000)
    assert spend.spent("acme") == 10_000
    days.day = date(2026, 11, 21)
    assert spend.reserve("acme", most_per_call=1_000, most_per_day=10_000) is not None


def test_a_call_whose_cost_nobody_told_stays_booked_as_it_was_set_aside() -> None:
    spend = TenantSpend(Days())
    reservation = spend.reserve("acme", most_per_call=2_000, most_per_day=0)
    assert reservation is not None
    spend.settle(reservation, None)
    assert spend.spent("acme") == 2_000


def test_what_is_settled_after_midnight_is_not_taken_from_the_new_day() -> None:
    days = Days()
    spend = TenantSpend(days)
    late = spend.reserve("acme", most_per_call=2_000, most_per_day=0)
    days.day = date(2026, 11, 21)
    spend.reserve("acme", most_per_call=500, most_per_day=0)
    assert late is not None
    spend.settle(late, 0)
    assert spend.spent("acme") == 500


def test_no_limit_is_no_limit() -> None:
    spend = TenantSpend(Days())
    assert all(spend.reserve("acme", most_per_call=0, most_per_day=0) is not None for _ in range(50))
