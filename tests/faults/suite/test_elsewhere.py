"""The tests that the table of faults names are there: a renamed one would be a fault that nobody acts out."""

from __future__ import annotations

import pytest

from tests.faults.suite.deployment import PROJECT
from tests.faults.suite.elsewhere import CASES


@pytest.mark.parametrize("name", [name for case in CASES for name in case.tests])
def test_every_test_that_is_named_exists(name: str) -> None:
    file, _, function = name.partition("::")
    text = (PROJECT / file).read_text("utf-8")
    assert f"def {function.partition('[')[0]}(" in text if function else text
