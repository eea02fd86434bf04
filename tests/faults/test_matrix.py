"""Every fault of the matrix comes out as it is to. One run, a test for each row."""

import asyncio
from collections.abc import Mapping

import pytest

from tests.faults import executor_faults
from tests.faults.matrix import Row, run_all

CASES = list(executor_faults.cases())
TITLES = [str(case.title) for case in CASES]


@pytest.fixture(scope="module")
def rows() -> Mapping[str, Row]:
    return dict(zip(TITLES, asyncio.run(run_all(CASES, at_once=8)), strict=True))


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.timeout(900)
def test_a_fault_comes_out_as_it_is_to(title: str, rows: Mapping[str, Row]) -> None:
    assert list(rows[title].problems) == [], rows[title]
