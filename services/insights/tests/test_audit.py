"""Audits: drawn in the share in which intents are asked, weighed back, and told to people without harm."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tiermesh_insights.analysis import Analysis
from tiermesh_insights.audit.auditing import Auditing, NothingToJudgeError
from tiermesh_insights.audit.findings import Findings, MidModel
from tiermesh_insights.audit.markdown import markdown
from tiermesh_insights.audit.page import page
from tiermesh_insights.audit.sampling import draw, misroutes
from tiermesh_insights.costs import saving_against_tier2
from tiermesh_insights.evidence import Case, turn_of
from tiermesh_insights.judging.judge import ModelFailedError, Said
from tiermesh_insights.judging.work import JudgingWork
from tiermesh_insights.metrics import Metrics
from tiermesh_insights.records import CostLine, SampleRow, Selection, VerdictRow
from tiermesh_insights.settings import Tuning
from tiermesh_insights.store import Store
from tiermesh_insights.testing import NOW, decision, sample, usage


def rated(number: int, intent: str, score: float | None) -> tuple[SampleRow, VerdictRow]:
    row = sample(number, intent=intent)
    said = VerdictRow(
        row.sample_id, "audit", row.decision_id, "acme", NOW, row.tag, "1", "r", score, None, "because", "m", 1
    )
    return row, said


def test_every_intent_is_drawn_and_frequent_ones_more_often() -> None:
    samples = [sample(number, intent="leave.balance") for number in range(90)]
    samples += [sample(number, intent="payroll.tax") for number in range(100, 110)]
    asked = {"leave.balance": 900, "payroll.tax": 100}
    drawn = Counter(each.intent for each in draw(samples, asked, 20, seed=1))
    assert drawn == {"leave.balance": 18, "payroll.tax": 2}
    assert len(draw(samples, asked, 500, seed=1)) == 100
    assert draw(samples, asked, 20, seed=1) == draw(samples, asked, 20, seed=1)


def test_strata_are_weighed_by_how_often_they_are_asked() -> None:
    judged = [rated(number, "rare", 0.0) for number in range(10)]
    judged += [rated(number, "frequent", 1.0) for number in range(10, 20)]
    found = misroutes(judged, {"rare": 10, "frequent": 990})
    assert found.rate.value == pytest.approx(0.01)
    assert [each.intent for each in found.strata] == ["rare", "frequent"]
    assert len(found.losses) == 10


def test_a_verdict_that_cannot_be_read_is_no_misroute_and_is_told() -> None:
    found = misroutes([rated(1, "a", None), rated(2, "a", 1.0)], {"a": 5})
    assert (found.unreadable, found.rate.count, found.rate.value) == (1, 1, 0.0)


class OneVerdict:
    """A model that says the same of everything."""

    def __init__(self, text: str) -> None:
        self.text = text

    async def ask(self, **_: object) -> Said:
        if not self.text:
            raise ModelFailedError("models_unavailable")
        return Said(self.text, "claude-opus-5-5", 10)


BAD = '{"answers_the_question": "yes", "grounded": "no", "complete": "yes", "verdict": "bad", "reason": "made up"}'
GOOD = '{"answers_the_question": "yes", "grounded": "yes", "complete": "yes", "verdict": "good", "reason": "fine"}'


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path / 'insights.sqlite'}")
    now = datetime.now(UTC)
    rows = [decision(number, decided_at=now, confidence=number / 60) for number in range(50)]
    rows += [decision(number, decided_at=now, route="tier2", tier=2) for number in range(50, 60)]
    await opened.log.record_decisions(rows)
    await opened.log.record_samples([sample(number, at=now) for number in range(40)])
    await opened.log.record_usage(
        [
            usage(
                1,
                entry_id=f"e{number}",
                request_id=f"r{number}",
                cost_micros=600 if number < 50 else 35_000 + number,
                started_at=now,
            )
            for number in range(60)
        ]
    )
    yield opened
    await opened.close()


async def audit(store: Store, text: str, metrics: Metrics) -> Findings:
    analysis = Analysis(store, Tuning())
    work = JudgingWork(store, analysis, OneVerdict(text), metrics)
    return await Auditing(store, analysis, work, metrics).run(Selection("acme"), 30, 60.0)


async def test_an_audit_past_its_limit_fails_and_the_metric_says_so(store: Store) -> None:
    metrics = Metrics()
    found = await audit(store, BAD, metrics)
    assert found.judged == 30
    assert found.misroutes.rate.value == 1.0
    assert any("past 5.0%" in failure for failure in found.failures)
    assert metrics.value("tiermesh.insights.audit.failed", "acme") == 1.0
    assert metrics.value("tiermesh.insights.audit.misroute", "acme") == 1.0


async def test_an_audit_within_its_limit_passes_and_says_what_was_saved(store: Store) -> None:
    metrics = Metrics()
    found = await audit(store, GOOD, metrics)
    assert found.failures == []
    assert metrics.value("tiermesh.insights.audit.failed", "acme") == 0.0
    assert found.saving_tier2 is not None
    assert found.saving_tier2.value == pytest.approx(50 * 34_400, rel=0.05)
    assert found.saving_tier2.low < found.saving_tier2.value < found.saving_tier2.high
    text = markdown(found)
    assert "0.0% (0.0% to 11.4%)" in text
    assert "claude-sonnet-5-5" in text


async def test_an_audit_without_a_sample_or_without_a_judge_says_which(store: Store) -> None:
    with pytest.raises(NothingToJudgeError, match="judge gave no verdict"):
        await audit(store, "", Metrics())
    await store.upkeep.erase("acme", "abc", NOW)
    with pytest.raises(NothingToJudgeError, match="no sampled answer"):
        await audit(store, GOOD, Metrics())


async def test_text_of_samples_is_no_markup_in_either_form(store: Store) -> None:
    now = datetime.now(UTC)
    hostile = "<script>alert(1)</script> | `x` [link](http://evil)"
    await store.upkeep.erase("acme", "abc", NOW)
    await store.log.record_samples(
        [sample(1, at=now, subject_hash="else", question=hostile, answer=hostile, intent="a|b<i>")]
    )
    found = await audit(store, BAD.replace("made up", "<b>|made up"), Metrics())
    html, text = page(found), markdown(found)
    assert "<script>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<svg") == 3
    assert r"a\|b\<i\>" in text
    assert "`<script>alert(1)</script> | 'x' [link](http://evil)`" in text  # code: shown, not run


def test_the_mid_size_model_is_priced_on_the_tokens_that_were_used() -> None:
    line = CostLine("answer-simple", 1, "m", 2, 500, False, 1000, 400, 0, 2000, 100)
    assert MidModel("mid", 2.0, 10.0).cost_of([line], 2) == pytest.approx(((1000 + 500 + 200) * 2 + 1000) / 2)


def test_without_tier_2_answers_no_saving_is_claimed() -> None:
    turn = replace(turn_of(decision(1)), cost_micros=600)
    assert saving_against_tier2([Case(turn, None, 0.0)] * 50) is None
