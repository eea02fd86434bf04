"""Timestamps and durations that are none: their types hold more than any calendar does, and converting one raises.

Rules in the protos do not cover this; it holds for every message of every service.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf import message
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tiermesh_runtime.errors import FieldViolation

EARLIEST_SECONDS = -2_208_988_800
"""1900-01-01: what lies before is a mistake, and date arithmetic near the year 1 overflows."""
LATEST_SECONDS = 32_503_680_000
"""3000-01-01, exclusive: likewise near the year 9999."""
LONGEST_SECONDS = 315_576_000_000
"""Ten thousand years, what protobuf allows for a duration."""

_TIMESTAMP, _DURATION = "google.protobuf.Timestamp", "google.protobuf.Duration"
_NANOS = 1_000_000_000


def broken_moments(request: message.Message) -> Iterator[FieldViolation]:
    """Yield each timestamp and duration of a message that is none, by its path from the root."""
    yield from _broken(request, "")


def _broken(holder: Any, path: str) -> Iterator[FieldViolation]:
    for field in _fields_with_moments(holder.DESCRIPTOR):
        if field.is_repeated:
            for place, each in enumerate(getattr(holder, field.name)):
                yield from _of(each, f"{path}{field.name}[{place}]")
        elif holder.HasField(field.name):
            yield from _of(getattr(holder, field.name), f"{path}{field.name}")


def _of(value: Any, path: str) -> Iterator[FieldViolation]:
    name = value.DESCRIPTOR.full_name
    if name == _TIMESTAMP:
        if not (EARLIEST_SECONDS <= value.seconds < LATEST_SECONDS and 0 <= value.nanos < _NANOS):
            yield FieldViolation(path, "must be a moment between the years 1900 and 2999")
    elif name == _DURATION:
        same_sign = value.seconds * value.nanos >= 0
        if not (abs(value.seconds) <= LONGEST_SECONDS and abs(value.nanos) < _NANOS and same_sign):
            yield FieldViolation(path, "must be a duration of at most ten thousand years")
    else:
        yield from _broken(value, f"{path}.")


@cache
def _fields_with_moments(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    """Return the fields behind which there may be one, so that a message without any costs nothing."""
    return tuple(
        field for field in descriptor.fields if field.message_type is not None and _reaches(field.message_type)
    )


def _reaches(descriptor: Descriptor) -> bool:
    seen: set[str] = set()
    todo = [descriptor]
    while todo:
        each = todo.pop()
        if each.full_name in (_TIMESTAMP, _DURATION):
            return True
        # Maps of messages are in no contract; their entries would need to be looked into by key.
        if each.full_name not in seen and not each.GetOptions().map_entry:
            seen.add(each.full_name)
            todo += [field.message_type for field in each.fields if field.message_type is not None]
    return False
