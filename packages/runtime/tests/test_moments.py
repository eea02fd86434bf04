"""Timestamps and durations that cannot be converted are found wherever they stand, and real ones are not."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import context_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_runtime.moments import broken_moments


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(2**63 - 1, 0), (-(2**63), 0), (253_402_300_799, 0), (-62_135_596_800, 0), (1, -1), (1, 10**9)],
)
def test_a_timestamp_outside_of_any_calendar_is_found_by_its_path(seconds: int, nanos: int) -> None:
    context = context_pb2.RequestContext(asked_at=Timestamp(seconds=seconds, nanos=nanos))
    assert [each.field for each in broken_moments(context)] == ["asked_at"]


@pytest.mark.parametrize("seconds", [0, 1_795_000_000, -2_000_000_000, 4_102_444_800])
def test_a_timestamp_of_people_is_not(seconds: int) -> None:
    context = context_pb2.RequestContext(asked_at=Timestamp(seconds=seconds, nanos=999_999_999))
    assert list(broken_moments(context)) == []
    context.asked_at.ToDatetime()


def test_they_are_found_in_lists_and_messages_within_messages() -> None:
    bad = Timestamp(seconds=2**62)
    request = pb.RecordDecisionsRequest(
        decisions=[
            pb.DecisionRecord(),
            pb.DecisionRecord(decided_at=bad, context=context_pb2.RequestContext(asked_at=bad)),
        ]
    )
    assert {each.field for each in broken_moments(request)} == {
        "decisions[1].decided_at",
        "decisions[1].context.asked_at",
    }


@pytest.mark.parametrize(("seconds", "nanos"), [(2**63 - 1, 0), (1, -1), (0, 10**9)])
def test_a_duration_that_is_none_is_found(seconds: int, nanos: int) -> None:
    entry = usage_pb2.LedgerEntry(duration=Duration(seconds=seconds, nanos=nanos))
    assert [each.field for each in broken_moments(entry)] == ["duration"]


def test_a_message_that_sets_none_has_none() -> None:
    assert list(broken_moments(context_pb2.RequestContext(tenant="acme"))) == []
