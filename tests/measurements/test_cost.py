"""The arithmetic of `bench.cost`: which questions are drawn, when an answer is exact, what is booked and broken."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bench.cost.asking import Asked
from bench.cost.beyond import beyond_labels, ideal
from bench.cost.checked import Checked, contradicts, exact
from bench.cost.ledger import Entry, unbooked
from bench.cost.summary import broken, by_route, costs, escalated, loops, of_side, unsupported
from bench.cost.workload import Talk, Turn, blocks, quotas, read_examples, sample

EXAMPLES = Path(__file__).parents[2] / "packs/hr/examples"


def asked(label: str = "tier1", *, decided: str = "", **more: Any) -> Asked:
    """A question that went where its label says, unless `route` says otherwise."""
    turn = Turn(
        more.pop("id", "q1"), more.pop("text", "who?"), label, "leave.balance", more.pop("cardinality", "one"), ""
    )
    route = more.pop("route", label)
    found = Asked(
        more.pop("side", "routed"), more.pop("block", 0), f"routed.{turn.id}", turn, decided or route, route=route
    )
    found.receipt = {"route": route, "cost": {"model_calls": 1}}
    for name, value in more.items():
        setattr(found, name, value)
    return found


def table(*rows: list[Any], measure: str = "leave_days") -> dict[str, Any]:
    columns = [{"name": "employee", "label": "Employee"}, {"name": measure, "label": "Days", "measure": True}]
    return {"columns": columns[-len(rows[0]) :] if rows else columns, "rows": list(rows)}


def test_a_sample_has_the_labelled_mix_and_no_question_twice() -> None:
    conversations, openings, others = read_examples(EXAMPLES)
    drawn = [turn for talk in sample(conversations, openings, others, 1000) for turn in talk.turns]
    assert len(drawn) == 1000
    assert len({turn.id for turn in drawn}) == 1000
    labelled = Counter(turn.route for talk in [*conversations, *openings] for turn in talk.turns)
    for route, count in Counter(turn.route for turn in drawn).items():
        assert count / 1000 == pytest.approx(labelled[route] / labelled.total(), abs=0.03)
    assert set(labelled) == {"aggregate", "tier1", "tier2"}


def test_conversations_are_drawn_and_cut_whole() -> None:
    conversations, openings, others = read_examples(EXAMPLES)
    drawn = sample(conversations, openings, others, 60)
    assert any(len(talk.turns) > 1 for talk in drawn)
    assert all(talk in conversations for talk in drawn if len(talk.turns) > 1)
    cut = blocks(drawn, 3)
    assert sorted(talk.turns[0].id for block in cut for talk in block) == sorted(talk.turns[0].id for talk in drawn)
    sizes = [sum(len(talk.turns) for talk in block) for block in cut]
    assert max(sizes) - min(sizes) <= 7


def test_quotas_add_up_and_keep_proportions() -> None:
    assert quotas({("a", ""): 2, ("b", ""): 1, ("c", ""): 1}, 10) == {("a", ""): 5, ("b", ""): 3, ("c", ""): 2}


def test_who_may_see_it_asks() -> None:
    assert (
        Talk((Turn("1", "", "aggregate", "", "org", ""), Turn("2", "", "tier1", "", "one", ""))).persona
        == "people_admin"
    )
    assert Talk((Turn("1", "", "tier1", "", "one", ""),)).persona == "manager"


@pytest.mark.parametrize(
    ("tables", "text", "is_exact"),
    [
        ([table(["Ann", "12.5"], ["Bob", "3"], ["Cy", "1"])], "", True),
        ([table(["Ann", "12.5"], ["Bob", "4"])], "", False),
        ([table(["Bob", "3"], ["Ann", "12.5"])], "", False),
        ([table(["Ann", "3"], ["Bob", "12.5"])], "", False),
        ([], "Ann took 12.5 days and Bob 3.", True),
        ([], "Ann took 12.5 days.", False),
        # The table is the answer: prose does not mend it.
        ([table(["Ann", "1"], ["Bob", "3"])], "Ann 12.5, Bob 3", False),
    ],
)
def test_exact_is_every_figure_beside_its_name_in_order(tables: list[Any], text: str, is_exact: bool) -> None:
    checked = Checked("who?", "leave_days", (("Ann", Decimal("12.50")), ("Bob", Decimal(3))))
    assert exact(checked, tables, text) is is_exact


def test_a_single_figure_is_one_row() -> None:
    checked = Checked("how many?", "leave_days", (("", Decimal(1234)),))
    assert exact(checked, [table(["1234"])], "")
    assert exact(checked, [], "There were 1,234 of them.")
    assert not exact(checked, [table(["1234"], ["9"])], "")


def test_another_measure_is_a_misread_question_and_other_figures_are_a_contradiction() -> None:
    checked = Checked("how many?", "leave_days", (("", Decimal(5)),))
    assert not contradicts(checked, [table(["9"], measure="late_arrivals")], "")
    assert contradicts(checked, [table(["9"])], "")
    assert not contradicts(checked, [table(["5"])], "")


def test_figures_of_prose_must_be_cells_or_derived_from_them() -> None:
    rows = [table(["Ann", "12.5"], ["Bob", "4"])]
    supported = "Ann took 12.5 days, Bob 4: together 16.5, 8.5 apart, Bob 24 % of all; two people."
    assert unsupported(supported, "who?", rows) == []
    assert unsupported("Ann took 14 days in 2026.", "who in 2026?", rows) == [Decimal(14)]


def test_a_loop_over_a_question_of_high_scope_is_found() -> None:
    looped = Counter({"leave_balance": 4})
    wide = asked(cardinality="team", tools=looped)
    assert len(loops([wide], ["leave_balance"])) == 1
    assert not loops([wide], ["handbook_search"])
    assert not loops([asked(cardinality="team", tools=Counter({"leave_balance": 3}))], ["leave_balance"])
    assert not loops([asked(tools=looped)], ["leave_balance"])


def test_a_question_without_receipt_and_a_strange_figure_are_broken_promises() -> None:
    good = asked("aggregate", text="Ann took 3 days.", tables=[table(["Ann", "3"])])
    good.text = "Ann took 3 days."
    assert broken([good]) == []
    strange = asked("aggregate", tables=[table(["Ann", "3"])])
    strange.text = "Ann took 700 days."
    assert len(broken([strange])) == 1
    assert len(broken([asked(receipt={})])) == 1
    assert len(broken([asked(error="UNAVAILABLE")])) == 1


def test_every_call_of_a_receipt_must_be_booked() -> None:
    entries = [Entry("a", "narrate", "m", "served", 5, 10, 0), Entry("a", "suggest", "m", "served", 100, 10, 0)]
    assert unbooked(Counter({"a": 2}), entries) == []
    assert unbooked(Counter({"a": 3, "b": 1}), entries) == [
        "a: 3 model calls, 2 booked",
        "b: 1 model calls, 0 booked",
    ]
    assert costs(entries) == {"a": 5}


def test_a_side_costs_what_its_own_calls_cost() -> None:
    entries = [
        Entry("routed.q1", "answer-simple", "m", "served", 30, 100, 50),
        Entry("routed.q2", "answer-complex", "m", "superseded", 70, 100, 0),
        Entry("other", "answer-complex", "m", "served", 999, 100, 0),
    ]
    rows = of_side([asked(id="q1", first=0.1), asked(id="q2", block=1, first=0.3)], costs(entries), entries)
    assert rows["cost_micros"] == 50
    assert rows["cost_micros_blocks"] == [30, 70]
    assert rows["cached_share"] == 0.25
    assert rows["routes"] == {"tier1": 1.0}


def test_escalated_questions_are_held_against_the_same_ones_asked_directly() -> None:
    routed = [
        asked("tier2", id="a", first=0.6, decided="tier1"),
        asked("tier2", id="b", first=0.2),
        asked("tier1", id="c", first=9.0),
    ]
    direct = [asked("tier2", id="a", first=0.3), asked("tier2", id="b", first=0.2), asked("tier2", id="c", first=0.2)]
    found = escalated(routed, direct)
    assert (found["questions"], found["bounced"]) == (2, 1)
    assert found["ratio"] == pytest.approx(2.0)
    again = [asked("tier2", id="b", block=1, first=0.9)]
    both = escalated([*routed, *again], [*direct, asked("tier2", id="b", block=1, first=0.3)])
    assert both["ratios"] == [pytest.approx(2.0), pytest.approx(3.0)]


def test_costs_by_route_are_weighed_by_the_mix_of_the_target() -> None:
    rows = [asked(id="a"), asked(id="b"), asked("aggregate", id="c"), asked("tier2", id="d")]
    found = by_route(rows, {"routed.a": 10, "routed.b": 30, "routed.c": 100, "routed.d": 1000})
    assert found["cost_micros"] == {"tier1": 20, "aggregate": 100, "tier2": 1000}
    assert found["at_target_mix_micros"] == pytest.approx(0.6 * 20 + 0.3 * 100 + 0.1 * 1000)


def test_what_is_beyond_the_labels_is_told_by_its_cause() -> None:
    bounced = {"decided": "tier1", "changes": ["bounce: the model was 0.31 sure"]}
    rows = [
        asked("tier2", id="a", route="tier2"),
        asked("tier1", id="b", route="tier2", decided="tier2", rule="doubt_escalates", rule_saw="0.4 below 0.6"),
        asked("tier1", id="c", route="tier2", **bounced),
        asked("tier1", id="d", route="tier2", **{**bounced, "changes": ["bounce: the model was 0.52 sure"]}),
        asked("tier1", id="e"),
    ]
    found = beyond_labels(rows)
    assert [(row["cause"], row["questions"]) for row in found] == [
        ("handed over by tier1: bounce: the model was … sure", 2),
        ("decided: doubt_escalates", 1),
    ]
    assert found[1]["examples"] == [{"text": "who?", "saw": "0.4 below 0.6"}]


def test_ideal_routes_cost_what_each_label_s_route_costs() -> None:
    routed = [
        asked("tier2", id="a"),
        asked("tier1", id="b"),
        # Decided for tier 1 and handed over: it counts as a question of tier 1, at the mean of those that stayed.
        asked("tier1", id="c", route="tier2", decided="tier1"),
    ]
    direct = [asked("tier2", id=name, side="all-tier-2") for name in "abc"]
    for each in direct:
        each.request_id = f"all-tier-2.{each.turn.id}"
    booked = {"routed.a": 900, "routed.b": 30, "routed.c": 1000, "all-tier-2.a": 600, "all-tier-2.c": 700}
    found = ideal(routed, direct, booked)
    assert found["cost_micros"] == pytest.approx((600 + 30 + 30) / 3)
    assert found["routes"] == {"tier2": pytest.approx(0.333), "tier1": pytest.approx(0.667)}
