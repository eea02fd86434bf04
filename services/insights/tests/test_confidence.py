"""Bands, intervals and calibration against figures worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiermesh_insights.confidence import Judged, confidence_report
from tiermesh_insights.statistics import wilson

JUDGED = st.builds(
    Judged,
    confidence=st.floats(0, 1),
    success=st.none() | st.floats(0, 1),
    weight=st.just(1.0),
)


def test_bands_count_every_decision_and_rate_those_with_an_outcome() -> None:
    report = confidence_report(
        [Judged(0.1, 0.0, 1), Judged(0.95, 1.0, 1), Judged(0.95, None, 0), Judged(1.0, 0.0, 1)], 2
    )
    low, high = report.bands
    assert (low.decisions, high.decisions) == (1, 3)
    assert low.success is not None
    assert low.success.value == 0.0
    assert high.success is not None
    assert (high.success.value, high.success.count) == (0.5, 2)
    assert (report.decisions, report.with_outcome) == (4, 3)


def test_a_perfectly_honest_confidence_has_no_calibration_error() -> None:
    report = confidence_report([Judged(0.75, success, 1) for success in (1.0, 1.0, 1.0, 0.0)], 10)
    assert report.expected_calibration_error == pytest.approx(0.0)
    assert report.brier == pytest.approx(0.1875)


def test_overconfidence_shows_as_its_gap() -> None:
    report = confidence_report([Judged(0.9, 0.0, 1), Judged(0.9, 1.0, 1)], 10)
    assert report.expected_calibration_error == pytest.approx(0.4)


def test_without_outcomes_nothing_is_claimed() -> None:
    report = confidence_report([Judged(0.9, None, 0)], 10)
    assert report.expected_calibration_error is None
    assert report.brier is None
    assert all(band.success is None for band in report.bands)


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    rate = wilson(81, 263)
    assert (rate.low, rate.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


@settings(deadline=None, max_examples=40)
@given(st.lists(JUDGED), st.integers(1, 100))
def test_no_decision_is_lost_between_the_bands(judged: list[Judged], bands: int) -> None:
    report = confidence_report(judged, bands)
    assert sum(band.decisions for band in report.bands) == len(judged)
    assert sum(band.success.count for band in report.bands if band.success) == report.with_outcome
