"""What every results file says of its machine: which code, and whether somebody else had the cores."""

from __future__ import annotations

import psutil
import pytest

from bench.machine import facts, told


@pytest.mark.parametrize(("percent", "quiet"), [(2.0, True), (9.9, True), (10.0, False), (97.0, False)])
def test_a_machine_is_quiet_where_nobody_else_takes_its_cores(
    monkeypatch: pytest.MonkeyPatch, percent: float, quiet: bool
) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: percent)
    found = facts("make bench-cost", ("psutil", "nothing-such"))
    assert found["quiet"] is quiet
    assert found["busy_before"] == pytest.approx(percent / 100, abs=0.01)
    assert found["load_before"] >= 0
    assert found["versions"] == {"psutil": psutil.__version__, "nothing-such": "not installed"}
    assert ("quiet" in told(found)) is quiet
    assert ("busy before" in told(found)) is not quiet


def test_the_line_for_a_plot_names_the_code_that_was_measured() -> None:
    known = {"machine": "M", "quiet": True, "busy_before": 0.0, "load_before": 0.1, "date": "2026-11-27T20:00:00+00:00"}
    assert told({**known, "commit": "abc123, changed"}) == "M; quiet; 2026-11-27, commit abc123, changed"
