"""No dead ends: known and sure, served, visible to this person; and what writes is an act."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tiermesh_pack import Pack
from tiermesh_suggester.candidates import Candidate
from tiermesh_suggester.leading import Classified, Labels, Leading

SURE = Labels(intent="leave.history", probability=0.9, cardinality="one", aggregation="none")
EMPLOYEE, MANAGER = ("employee",), ("employee", "manager")


@pytest.fixture
def leading(pack: Pack) -> Leading:
    return Leading(pack, frozenset({"leave.apply"}), min_probability=0.6)


def classified(kind: Any = "drill_down", meant: str = "", **labels: Any) -> Classified:
    return Classified(Candidate("Whatever?", kind, meant), replace(SURE, **labels))


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (classified(), ""),
        (classified(intent="out_of_scope"), "unknown_intent"),
        (classified(intent="no_signal"), "unknown_intent"),
        (classified(intent="chat.greeting"), "unknown_intent"),
        (classified(intent="leave.secret"), "unknown_intent"),
        (classified(meant="leave.policy"), "unknown_intent"),
        (classified(probability=0.59), "low_confidence"),
        (classified(ambiguous=True), "low_confidence"),
        (classified(high_stakes=True), "sensitive"),
        (classified(intent="leave.approve"), "not_served"),
        (classified("act", intent="leave.apply", specific=True), ""),
        # Nothing says when: it would be asked back.
        (classified("act", intent="leave.apply"), "no_proposal"),
        (classified("explain", intent="leave.apply", specific=True), "low_confidence"),
        (classified("act", intent="leave.history"), "no_proposal"),
        # Tickets have no figures behind them: nothing could count those of a team.
        (classified(intent="support.ticket"), ""),
        (classified(intent="support.ticket", cardinality="team"), "not_served"),
        (classified(intent="leave.policy", cardinality="org"), ""),
    ],
)
def test_each_dead_end_has_its_reason(leading: Leading, one: Classified, reason: str) -> None:
    assert leading.fault_of(one, MANAGER) == reason


@pytest.mark.parametrize(
    ("labels", "roles", "visible"),
    [
        ({"cardinality": "team"}, EMPLOYEE, False),
        ({"cardinality": "team"}, MANAGER, True),
        ({"cardinality": "org", "aggregation": "rank"}, EMPLOYEE, False),
        ({"cardinality": "org"}, ("hr_admin",), True),
        # Finance sees money, and no leave.
        ({"cardinality": "team"}, ("finance",), False),
        ({"intent": "expenses.history", "cardinality": "team", "aggregation": "sum"}, ("finance",), True),
        # A named person is somebody else.
        ({"people": ("Priya",)}, EMPLOYEE, False),
        ({"people": ("Priya",)}, MANAGER, True),
        # A manager sees the leave of their reports, and nobody's payslips.
        ({"intent": "payroll.payslip", "cardinality": "team", "aggregation": "sum"}, MANAGER, False),
        # Everybody sees the directory.
        ({"intent": "people.org", "cardinality": "org", "aggregation": "count"}, EMPLOYEE, True),
    ],
)
def test_data_is_suggested_to_those_who_see_it(
    leading: Leading, labels: dict[str, Any], roles: tuple[str, ...], visible: bool
) -> None:
    assert leading.fault_of(classified(**labels), roles) == ("" if visible else "not_visible")
