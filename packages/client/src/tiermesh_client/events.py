"""Turns gateway events into plain values: the stable JSON of `tiermesh ask --json` and the console, one event a line.

Enums become their words without prefix ("aggregate", "tier2"), durations become milliseconds, times become RFC 3339,
a table's cells become JSON values. Fields that are not set are left out, but for booleans and numbers of a message
that is there.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from tiermesh.common.v1 import table_pb2
from tiermesh.gateway.v1 import gateway_service_pb2


def event_values(response: gateway_service_pb2.AskResponse) -> dict[str, Any]:
    """Return one event as a JSON object with `event`, `sequence` and the event's own fields."""
    kind = response.WhichOneof("event") or "unknown"
    values: dict[str, Any] = {"event": kind, "sequence": response.sequence}
    if kind == "unknown":
        return values
    fields = message_values(getattr(response, kind))
    if kind == "decision":
        # What most readers want of a decision stands at the top.
        fields = {**fields.pop("decision", {}), **fields}
    return values | fields


def message_values(message: Message) -> dict[str, Any]:
    """Return the set fields of a message as plain values."""
    if isinstance(message, table_pb2.Table):
        return _table_values(message)
    values: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            if value:
                values[field.name] = _repeated(field, value)
        elif field.message_type is not None:
            if message.HasField(field.name):
                values[field.name] = _single_message(value)
        elif field.has_presence and not message.HasField(field.name):
            continue
        elif value or not isinstance(value, str | bytes):
            values[field.name] = _scalar(field, value)
    return values


def _repeated(field: Any, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(value)
    if field.message_type is not None:
        return [_single_message(item) for item in value]
    return [_scalar(field, item) for item in value]


def _single_message(message: Message) -> Any:
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Duration":
        return round(message.ToTimedelta().total_seconds() * 1000, 3)  # type: ignore[attr-defined] # known by its name
    if name == "google.protobuf.Timestamp":
        return message.ToJsonString()  # type: ignore[attr-defined] # known by its name
    return message_values(message)


def _scalar(field: Any, value: Any) -> Any:
    if field.enum_type is None:
        return value
    names = field.enum_type.values_by_number
    if value not in names:
        return str(value)
    zero = names[0].name.removesuffix("UNSPECIFIED")
    return names[value].name.removeprefix(zero).lower()


def _table_values(table: table_pb2.Table) -> dict[str, Any]:
    columns = [message_values(column) for column in table.columns]
    rows = [[_cell(value) for value in row.values] for row in table.rows]
    values: dict[str, Any] = {"columns": columns, "rows": rows, "truncated": table.truncated}
    if table.HasField("as_of"):
        values["as_of"] = table.as_of.ToJsonString()
    values["notes"] = list(table.notes)
    values["statement_fingerprint"] = table.statement_fingerprint
    values["statements"] = table.statements
    values["caption"] = table.caption
    return values


def _cell(value: table_pb2.Value) -> str | int | float | bool | None:
    kind = value.WhichOneof("kind")
    return None if kind is None else getattr(value, kind)
