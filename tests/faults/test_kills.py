"""A handful of kills in the suite; `make kills` does a hundred and takes the database away for ten minutes."""

from __future__ import annotations

import pytest

from tests.faults.kills import run


@pytest.mark.timeout(300)
def test_every_accepted_decision_is_in_the_log_once_whatever_is_killed() -> None:
    tally = run(kills=3, seed=8, outage_seconds=1.0)
    assert tally.kills == {"sender": 1, "insights": 1, "database": 1}
    assert (tally.missing, tally.twice) == (0, 0)
    assert tally.accepted >= 3 * 25
    # What was accepted but whose line a kill cut is stored, too: more may be in the log, never less.
    assert tally.stored >= tally.accepted
