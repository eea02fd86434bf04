"""Ledger lines as the contract's entries."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import routing_pb2, usage_pb2

from tiermesh_executor.ledger import Line


def entry_of(line: Line) -> usage_pb2.LedgerEntry:
    """One call."""
    usage = line.usage
    started = Timestamp()
    started.FromDatetime(line.started_at)
    entry = usage_pb2.LedgerEntry(
        entry_id=line.entry_id,
        revision=line.revision,
        tag=line.tag,
        tenant=line.context.tenant,
        request_id=line.context.request_id,
        conversation_id=line.context.conversation_id,
        reservation_id=line.context.reservation_id,
        tier=routing_pb2.Tier.ValueType(line.tier),
        provider=line.provider,
        model=line.model,
        usage=usage_pb2.TokenUsage(
            input=usage.input,
            cache_write_5m=usage.cache_write_5m,
            cache_write_1h=usage.cache_write_1h,
            cache_read=usage.cache_read,
            output=usage.output,
        ),
        cost_micros=line.cost_micros,
        at_least=line.at_least,
        price_version=line.price_version,
        outcome=usage_pb2.CallOutcome.Value(f"CALL_OUTCOME_{line.outcome}"),
        prompt_version=line.prompt_version,
        started_at=started,
        duration=duration_of(line.duration),
        attempt=line.attempt,
        provider_request_id=line.provider_request_id,
        cache_hit_share=usage.cache_hit_share,
    )
    if line.time_to_first_token is not None:
        entry.time_to_first_token.CopyFrom(duration_of(line.time_to_first_token))
    return entry


def duration_of(seconds: float) -> Duration:
    """To the nanosecond."""
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
