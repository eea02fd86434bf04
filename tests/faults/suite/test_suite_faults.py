"""A few faults of the suite for CI, under a minute of load; `make faults` acts out all of them."""

from __future__ import annotations

import pytest

from tests.faults.__main__ import CATALOGUES
from tests.faults.suite.running import Outcome, run, short_of

FAULTS = short_of(fault for source in CATALOGUES for fault in source())
NAMES = [fault.name for fault in FAULTS]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run(FAULTS, seconds=1.5)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_comes_out_as_it_must(name: str, outcome: Outcome) -> None:
    row = next(row for row in outcome.rows if row.fault == name)
    if row.skipped:
        pytest.skip(row.skipped)
    assert (row.hung, row.lost) == (0, 0)
    assert list(row.problems) == [], row
    assert row.tries > 0


def test_the_whole_history_holds(outcome: Outcome) -> None:
    assert outcome.others == []
    assert outcome.questions > len(NAMES)
