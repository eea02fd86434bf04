"""Alerts and dashboards: their rules are tested, they read what the code writes, and every alert has its page."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import MANIFESTS, PROJECT

FOLDER = MANIFESTS / "platform" / "monitoring"
TESTS = ["alerts_test.yaml", "alerts_slow_test.yaml"]
# What Prometheus and the recording rules add themselves.
SUFFIX = re.compile(r"_(total|bucket|count|sum)$")


def groups() -> list[dict[str, Any]]:
    return list(yaml.safe_load((FOLDER / "alerts.yaml").read_text())["spec"]["groups"])


def alerts() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"] if "alert" in rule]


def dashboards() -> Any:
    spec = importlib.util.spec_from_file_location("dashboards", FOLDER / "dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def queries() -> Iterator[str]:
    for group in groups():
        yield from (rule["expr"] for rule in group["rules"])
    for board in yaml.safe_load((FOLDER / "dashboards.yaml").read_text()).values():
        for panel in board["panels"]:
            yield from panel["queries"].values()


def written() -> set[str]:
    """Return the names of every instrument in our sources, as Prometheus has them."""
    sources = [path.read_text() for root in ("packages", "services") for path in (PROJECT / root).glob("*/src/**/*.py")]
    named = {name for text in sources for name in re.findall(r'"((?:tiermesh|rpc|db|gen_ai)\.[a-z_.]+)"', text)}
    return {name.replace(".", "_") for name in named}


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    return found


def test_every_alert_is_raised_by_what_it_is_for_and_by_nothing_less(promtool: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    for name in TESTS:
        shutil.copy(FOLDER / name, tmp_path)
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", *TESTS]):
        done = subprocess.run(
            [promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test() -> None:
    tested = {
        case["alertname"]
        for name in TESTS
        for test in yaml.safe_load((FOLDER / name).read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tested == {alert["alert"] for alert in alerts()}


def test_every_query_of_a_dashboard_parses(promtool: str, tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", "--lint=none", "queries.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_and_dashboards_read_only_what_our_code_writes() -> None:
    metrics = set()
    for query in queries():
        # Without label matchers and groupings only the names of series are left.
        bare = re.sub(r"\{[^}]*\}|(?:by|ignoring) \([^)]*\)", "", query)
        series = re.findall(r"\b(?:tiermesh|rpc|db)_[a-z_]+", bare)
        metrics |= {SUFFIX.sub("", name).removesuffix("_seconds") for name in series}
    known = written()
    assert metrics
    assert {name for name in metrics if name not in known} == set()


def test_a_question_moves_the_metrics_that_pages_are_built_on(suite: Any, collector: Any) -> None:
    suite.ask("Who applied for the most leave this year?")
    collector.wait_for_metrics(
        {
            "tiermesh.answers",
            "tiermesh.answer.first_event",
            "tiermesh.pills.delay",
            "tiermesh.decisions",
            "tiermesh.server.in_flight",
            "tiermesh.spool.stored_bytes",
            "tiermesh.executor.model.attempts",
            "tiermesh.executor.cost",
        }
    )


def test_every_alert_has_a_page_that_says_what_to_do() -> None:
    for alert in alerts():
        page = PROJECT / alert["annotations"]["runbook"]
        text = page.read_text()
        for heading in ("## What it means", "## How to look", "## What to do"):
            assert heading in text, f"{page.name} lacks {heading!r}"


def test_the_dashboards_are_those_of_their_source() -> None:
    for name, text in dashboards().rendered().items():
        assert (FOLDER / "dashboards" / name).read_text() == text, "run make dashboards"
