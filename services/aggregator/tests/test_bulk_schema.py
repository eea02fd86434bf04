"""What a bulk tool's schema tells a model of its measures: nothing that their names say already."""

from tiermesh_aggregator.tools import bulk
from tiermesh_pack.pack import Pack


def test_a_label_stands_there_where_it_says_more_than_the_name(pack: Pack) -> None:
    schema = bulk.schema(pack.semantic.domains["leave"], pack.semantic)
    measures = schema["properties"]["measures"]
    told = measures["description"]
    assert "leave_days: Leave days taken;" in told
    assert "leave_approval_rate: Share of requests approved (%)" in told
    assert "leave_requests:" not in told
    assert {"leave_requests", "leave_days"} <= set(measures["items"]["enum"])
    assert "away: Who is away" in told
