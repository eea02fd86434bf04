"""Which answers a judge reads, and what it is given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tiermesh.insights.v1 import insights_service_pb2 as insights_pb
from tiermesh_gateway.sampling import Sampler

ALL = "  sampling: {judged_share: 1.0}\n"


def test_each_intent_gives_its_share_exactly_also_a_rare_one() -> None:
    sampler = Sampler(seed=7)
    for intent, answers in (("leave.balance", 1000), ("people.letters", 5)):
        drawn = sum(sampler.draws("acme", intent, 0.2) for _ in range(answers))
        assert drawn == answers // 5


@pytest.mark.parametrize(("share", "drawn"), [(0.0, 0), (1.0, 50)])
def test_none_and_all_are_shares_too(share: float, drawn: int) -> None:
    sampler = Sampler()
    assert sum(sampler.draws("acme", "x", share) for _ in range(50)) == drawn


async def test_a_sampled_answer_goes_to_the_judge_with_what_it_leans_on(
    start_suite: Any, say: Any, script: Any
) -> None:
    suite = await start_suite(policy=ALL)
    suite.tier1.script = script(say.committed(), say.table(2), say.text("12 days."), say.done())
    first = await suite.ask("How many days have I left?")
    await suite.ask("And next month?", conversation_id=first.decision.conversation_id)
    await suite.insights.wait_for(lambda insights: len(insights.samples) == 2)
    one, two = suite.insights.samples
    assert (one.question, one.answer, one.kind) == (
        "How many days have I left?",
        "12 days.",
        insights_pb.Sample.KIND_SERVED,
    )
    assert one.decision_id == first.decision.decision.decision_id
    assert (one.tag, one.model, one.intent, one.drawn_with) == ("answer-simple", "model-1", "leave.balance", 1.0)
    assert json.loads(one.tables_json) == [{"columns": ["days"], "rows": [[0], [1]], "of": 2}]
    assert [turn.text for turn in two.context] == ["How many days have I left?", "12 days."]
    assert "E00001" not in str(one)


async def test_only_whole_answers_of_tier_1_are_sampled(start_suite: Any, say: Any, script: Any, scores: Any) -> None:
    suite = await start_suite(policy=ALL)
    suite.tier2.script = script(say.committed(2), say.text("Because."), say.done(tier=2))
    suite.classifier.scores = scores(multi_step="yes")
    await suite.ask()
    suite.classifier.scores = scores()
    suite.tier1.script = script(say.committed(), say.text("12 "), say.done("MAX_TOKENS", complete=False))
    await suite.ask()
    suite.tier1.script = script(say.committed(), say.text("12 days."), say.done())
    await suite.ask()
    await suite.insights.wait_for(lambda insights: insights.samples and len(insights.outcomes) == 3)
    assert [each.answer for each in suite.insights.samples] == ["12 days."]


async def test_a_tenant_that_wants_no_judge_keeps_its_words(start_suite: Any) -> None:
    suite = await start_suite(policy="  sampling: {judged_share: 0}\n")
    await suite.ask()
    await suite.insights.wait_for(lambda insights: insights.outcomes)
    assert not suite.insights.samples


async def test_the_log_learns_how_a_turn_ended(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(say.bounce("ungrounded"), say.done("FAILED"))
    suite.tier2.script = script(say.committed(2), say.text("Because."), say.done(tier=2))
    asked = await suite.ask()
    await suite.insights.wait_for(lambda insights: len(insights.outcomes) == 2 and insights.decisions)
    completion = insights_pb.Outcome.SOURCE_COMPLETION
    ending = next(each.ending for each in suite.insights.outcomes if each.source == completion)
    assert (ending.tier, ending.complete, ending.bounce_cause) == (2, True, "ungrounded")
    assert ending.total == asked.receipt.timings.total
    assert ending.pills == 1
    assert suite.insights.decisions[0].base_threshold == 0.6


DOUBTS = "  sampling: {judged_share: 0, shadowed_share: 1.0}\n"


async def test_tier_1_runs_in_the_shadow_of_a_turn_that_doubt_sent_up(
    start_suite: Any, say: Any, script: Any, scores: Any
) -> None:
    suite = await start_suite(policy=DOUBTS)
    suite.classifier.scores = scores(confidence=0.1)
    suite.tier2.script = script(say.committed(2), say.text("You have 12 days left."), say.done(tier=2))
    suite.tier1.script = script(say.committed(), say.text("12 days."), say.done())
    asked = await suite.ask("How many days have I left?")
    await suite.insights.wait_for(lambda insights: len(insights.samples) == 2)
    served, shadow = sorted(suite.insights.samples, key=lambda sample: sample.kind)
    assert (served.answer, served.tier) == ("You have 12 days left.", 2)
    assert (shadow.answer, shadow.tier, shadow.kind) == ("12 days.", 1, insights_pb.Sample.KIND_SHADOW)
    assert served.decision_id == shadow.decision_id == asked.decision.decision.decision_id
    (request,) = suite.tier1.requests
    assert request.speculative
    assert request.context.request_id == f"shadow-{shadow.decision_id}"


async def test_a_shadow_that_hands_over_says_that_tier_1_would_not_have_done(
    start_suite: Any, say: Any, script: Any, scores: Any
) -> None:
    suite = await start_suite(policy=DOUBTS)
    suite.classifier.scores = scores(confidence=0.1)
    suite.tier2.script = script(say.committed(2), say.text("Because."), say.done(tier=2))
    suite.tier1.script = script(say.bounce("cannot"), say.done("FAILED"))
    await suite.ask()
    shadow = insights_pb.Outcome.SOURCE_SHADOW
    await suite.insights.wait_for(lambda insights: any(each.source == shadow for each in insights.outcomes))
    (said,) = [each for each in suite.insights.outcomes if each.source == shadow]
    assert (said.success, said.weight) == (0.0, 1.0)
    assert not suite.insights.samples


async def test_what_another_rule_sent_up_has_no_shadow(start_suite: Any, say: Any, script: Any, scores: Any) -> None:
    suite = await start_suite(policy=DOUBTS)
    suite.classifier.scores = scores(multi_step="yes", confidence=0.1)
    suite.tier2.script = script(say.committed(2), say.text("Because."), say.done(tier=2))
    await suite.ask()
    await suite.insights.wait_for(lambda insights: insights.outcomes)
    assert suite.tier1.requests == []
