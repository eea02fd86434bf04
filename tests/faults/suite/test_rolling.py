"""A rolling restart over network namespaces under load: nobody notices. `make rolling` restarts every service; here
the two that hold streams."""

from __future__ import annotations

import pytest

from tests.faults.suite import namespaces
from tests.faults.suite.replicated import replicated_stage, rolling
from tests.faults.suite.running import Outcome, run

_WHY_NOT = namespaces.impossible()
pytestmark = pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "possible")


FAULTS = [fault for fault in rolling() if fault.name.endswith(("gateway", "executor-tier1"))]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run(FAULTS, setting=replicated_stage)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_a_rolling_restart_under_load_fails_no_question(name: str, outcome: Outcome) -> None:
    row = next(row for row in outcome.rows if row.fault == name)
    assert list(row.problems) == [], row
    assert row.complete == row.tries > 0


def test_every_question_is_whole_booked_and_traced(outcome: Outcome) -> None:
    assert outcome.others == []
