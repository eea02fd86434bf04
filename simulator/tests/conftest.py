"""A simulator on a free port, the real SDK on it, and its admin client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from tiermesh_simulator.settings import SimulatorSettings
from tiermesh_simulator.testing import SimulatorAdmin, administering, running

from .listed_tools import listed_tools

TODAY = "You are an HR assistant. Today is 2026-11-22."


@pytest.fixture
def settings() -> SimulatorSettings:
    return SimulatorSettings(port=0, time_scale=0)


@pytest.fixture
async def base_url(settings: SimulatorSettings) -> AsyncIterator[str]:
    async with running(settings) as url:
        yield url


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[AsyncAnthropic]:
    # Without its tracing: whether a test of another part has set a provider must not show in the headers.
    async with AsyncAnthropic(
        base_url=base_url, api_key="any-key", max_retries=0, timeout=10, open_telemetry=False
    ) as sdk:
        yield sdk


@pytest.fixture
async def admin(base_url: str) -> AsyncIterator[SimulatorAdmin]:
    async with administering(base_url) as found:
        yield found


def _dated(*names: str) -> dict[str, Any]:
    return {name: {"type": "string", "format": "date"} for name in names}


@pytest.fixture
def tools() -> list[dict[str, Any]]:
    """A tool set such as an HR assistant has."""
    return [
        {
            "name": "leave_team_aggregate",
            "description": "Aggregates leave over a team or department: days taken and requests, by employee or month.",
            "input_schema": {
                "type": "object",
                "properties": {
                    "measure": {"type": "string", "enum": ["leave_days", "leave_requests", "sick_days"]},
                    "group_by": {
                        "type": "array",
                        "items": {"type": "string", "enum": ["employee", "department", "month", "leave_type"]},
                    },
                    **_dated("from", "to"),
                    "order": {"type": "string", "enum": ["asc", "desc"]},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                    "department": {"type": "string"},
                },
                "required": ["measure", "from", "to"],
            },
        },
        {
            "name": "attendance_team_aggregate",
            "description": "Aggregates attendance over a team: late minutes, hours worked, remote days, overtime.",
            "input_schema": {
                "type": "object",
                "properties": {
                    "measure": {"type": "string", "enum": ["late_minutes", "hours_worked", "overtime_hours"]},
                    "group_by": {
                        "type": "array",
                        "items": {"type": "string", "enum": ["employee", "department", "month"]},
                    },
                    **_dated("from", "to"),
                    "limit": {"type": "integer"},
                },
                "required": ["measure"],
            },
        },
        {
            "name": "leave_balance",
            "description": "Leave balance of one employee: days remaining by leave type.",
            "input_schema": {
                "type": "object",
                "properties": {"employee": {"type": "string"}, "year": {"type": "integer"}},
                "required": ["employee"],
            },
        },
        {
            "name": "handbook_search",
            "description": "Searches the policy handbook.",
            "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        },
        {
            "name": "leave_simulate",
            "description": "What would happen to a leave balance if days were taken.",
            "input_schema": {
                "type": "object",
                "properties": {"days": {"type": "number"}, **_dated("from")},
                "required": ["days"],
            },
        },
        {
            "name": "leave_apply",
            "description": "Proposes a leave request.",
            "input_schema": {
                "type": "object",
                "properties": {
                    "leave_type": {"type": "string", "enum": ["annual", "sick", "unpaid"]},
                    **_dated("start_date", "end_date"),
                },
                "required": ["leave_type", "start_date", "end_date"],
            },
        },
        {
            "name": "escalate",
            "description": "Hands over to a stronger model.",
            "input_schema": {"type": "object", "properties": {"reason": {"type": "string"}}, "required": ["reason"]},
        },
    ]


@pytest.fixture
def today() -> str:
    """A system prompt that says which day it is."""
    return TODAY


@pytest.fixture
def suite() -> list[dict[str, Any]]:
    """The tools that the suite itself lists."""
    return listed_tools()
