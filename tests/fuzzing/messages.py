"""Messages made from their descriptors: plausible values by a field's name and type, and hostile ones in their place.

The same seed makes the same message. Not here: sending them (`calling`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import protovalidate
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

MOST_DEPTH = 5
MOST_REPEATED = 3
_MOST_ROUNDS = 40
_LARGE = 200_000
_IDS = ("r-1", "c-1", "d-1", "p-1", "a" * 64, "0", "x.y_z-1")
_QUESTIONS = (
    "How many leave days do I have left?",
    "Who applied for the most leave this year?",
    "What if I took five days next month instead?",
    "How do I split parental leave with my partner?",
    "Compare sick days of Sales and Finance per quarter since 2024, top 10, without leavers",
)
_BY_NAME: Mapping[str, Sequence[Any]] = {
    "tenant": ("acme",),
    "pack_version": ("hr@1.0.0",),
    "time_zone": ("Europe/Berlin", "UTC", ""),
    "locale": ("en-GB", "de", ""),
    "text": _QUESTIONS,
    "question": _QUESTIONS,
    "document": (
        "{ leave { rows { employee days } } }",
        "{ __schema { types { name } } }",
        "query Q($n: Int) { leave(limit: $n) { rows { days } } }",
    ),
    "variables_json": ("", "{}", '{"n": 3}'),
    "arguments_json": ("{}", '{"limit": 3}', '{"employee": "E00014"}', '{"measure": "leave.days", "group_by": []}'),
    "tag": ("answer-simple", "answer-complex", "narrate", "suggest", "judge", "classify", "summarize"),
    "name": ("leave_balance", "leave_team_aggregate", "search_handbook", "leave_by_month"),
    "domain": ("leave", "attendance", "expenses"),
    "measure": ("days", "leave.days", "requests"),
    "intent": ("leave.balance", "leave.request", "policy.question"),
    "model": ("claude-haiku-5-5", "claude-sonnet-5-5"),
    "subject": ("E00014", "E00016"),
    "verdict": (1, 2, 3),
}
HOSTILE_TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\u202e\u200d\ufeff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 20,
    "e\u0301" * 200,
    "'; DROP TABLE employees; --",
    '") OR 1=1 --',
    "{{7*7}}${7*7}<script>alert(1)</script>",
    "../../../../etc/passwd",
    "%s%n%x" * 10,
    "[" * 5_000,
    "{" * 3_000 + "}" * 3_000,
    '{"a":' * 2_000 + "1" + "}" * 2_000,
    '{"limit": 1e999, "limit": NaN}',
    "9" * 400,
    "-0",
    "\r\nlevel: injected",
    "x" * 8_001,
    "word " * 4_000,
    "x" * _LARGE,
)
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e308, 5e-324)
_NOW = 1_795_000_000


def generate(descriptor: Descriptor, chance: random.Random, hostility: float, depth: int = 0) -> Message:
    """Return a message of the type. `hostility` is the share of fields that get a hostile value."""
    message: Message = message_factory.GetMessageClass(descriptor)()
    if descriptor.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        _set_time(message, descriptor, chance, hostility)
        return message
    for oneof in descriptor.oneofs:
        if len(oneof.fields) > 1 and chance.random() < 0.9:
            _set(message, chance.choice(list(oneof.fields)), chance, hostility, depth)
    for field in descriptor.fields:
        in_choice = field.containing_oneof is not None and len(field.containing_oneof.fields) > 1
        if not in_choice and chance.random() < (0.85 if depth < 2 else 0.5):
            _set(message, field, chance, hostility, depth)
    return message


def mutated(payload: bytes, chance: random.Random) -> bytes:
    """Return the bytes with some flipped, dropped, doubled or put in."""
    changed = bytearray(payload or b"\0")
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(changed)) if changed else 0
        match chance.randrange(4):
            case 0 if changed:
                changed[place] ^= 1 << chance.randrange(8)
            case 1:
                del changed[place : place + chance.randrange(1, 9)]
            case 2:
                changed[place:place] = changed[place : place + 32]
            case _:
                changed[place:place] = chance.randbytes(chance.randrange(1, 17))
    return bytes(changed)


def _set(message: Message, field: FieldDescriptor, chance: random.Random, hostility: float, depth: int) -> None:
    if field.message_type is not None and depth >= MOST_DEPTH:
        return
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _set_map(message, field, chance, hostility)
    elif field.is_repeated:
        hostile = chance.random() < hostility
        many = chance.choice((0, 50, 300)) if hostile else chance.randrange(MOST_REPEATED + 1)
        if field.message_type is not None:
            few = min(many, 20)
            items = [generate(field.message_type, chance, hostility, depth + 1) for _ in range(few)]
            getattr(message, field.name).extend(items)
        else:
            getattr(message, field.name).extend(_scalar(field, chance, hostility) for _ in range(many))
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(generate(field.message_type, chance, hostility, depth + 1))
    else:
        setattr(message, field.name, _scalar(field, chance, hostility))


def _set_map(message: Message, field: FieldDescriptor, chance: random.Random, hostility: float) -> None:
    key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    if value.message_type is None:
        for _ in range(chance.randrange(3)):
            getattr(message, field.name)[_scalar(key, chance, hostility)] = _scalar(value, chance, hostility)


def _set_time(message: Any, descriptor: Descriptor, chance: random.Random, hostility: float) -> None:
    hostile = chance.random() < hostility
    usual = _NOW if descriptor.name == "Timestamp" else 5
    message.seconds = chance.choice((-(2**63), 2**63 - 1, -1, 0)) if hostile else usual + chance.randrange(100)
    message.nanos = chance.choice((-(2**31), 2**31 - 1)) if hostile else 0


def _scalar(field: FieldDescriptor, chance: random.Random, hostility: float) -> Any:
    hostile = chance.random() < hostility
    if field.enum_type is not None:
        numbers = [value.number for value in field.enum_type.values]
        return chance.choice((-1, 99, 2**31 - 1)) if hostile else chance.choice(numbers[1:] or numbers)
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.randbytes(chance.choice((0, 7, 5_000)) if hostile else 16)
        case FieldDescriptor.CPPTYPE_STRING:
            return chance.choice(HOSTILE_TEXTS) if hostile else _plausible(field.name, chance)
        case FieldDescriptor.CPPTYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return chance.choice(_FLOATS) if hostile else chance.random()
        case kind:
            return chance.choice(_INTEGERS[kind]) if hostile else chance.randrange(1, 6)


def _plausible(name: str, chance: random.Random) -> str:
    known = _BY_NAME.get(name)
    if known is not None:
        return str(chance.choice(known))
    if name.endswith(("_id", "_ids")):
        return chance.choice(_IDS)
    return chance.choice(("days", "sales", "2026-01-01", "value", "E00014"))


def mended(message: Message, validator: protovalidate.Validator) -> Message:
    """Return the message with what breaks a bound of its proto replaced, where a simple value keeps it."""
    for _ in range(_MOST_ROUNDS):
        broken = validator.collect_violations(message)
        if not broken:
            break
        # One at a time: mending one may shorten a list in which the next one stands.
        _mend(message, [(each.field_name, _place(each)) for each in broken[0].proto.field.elements], validator)
    return message


def _place(element: Any) -> int | None:
    # A place in a list; a message's own field, or an entry of a map, has none.
    place = element.subscript
    return int(place.value) if place is not None and str(place.value).isdigit() else None


def _mend(root: Message, path: Sequence[tuple[str, int | None]], validator: protovalidate.Validator) -> None:
    holder: Any = root
    for name, place in path[:-1]:
        holder = getattr(holder, name) if place is None else getattr(holder, name)[place]
    if not path:
        return
    name, place = path[-1]
    oneof = holder.DESCRIPTOR.oneofs_by_name.get(name)
    field = holder.DESCRIPTOR.fields_by_name[name] if oneof is None else oneof.fields[0]
    name = field.name
    if field.is_repeated or field.message_type is not None:
        _shorten(holder, field, place)
        return
    for value in _candidates(field):
        setattr(holder, name, value)
        if not any(each.proto.field.elements[-1].field_name == name for each in validator.collect_violations(holder)):
            return
    holder.ClearField(name)


def _shorten(holder: Any, field: FieldDescriptor, place: int | None) -> None:
    items = getattr(holder, field.name)
    if not field.is_repeated:
        items.SetInParent()
    elif place is not None and place < len(items):
        del items[place]
    elif len(items):
        del items[1:]
    elif field.message_type is not None:
        items.add()
    else:
        items.append(next(iter(_candidates(field))))


def _candidates(field: FieldDescriptor) -> Sequence[Any]:
    if field.enum_type is not None:
        return [value.number for value in field.enum_type.values][::-1]
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return ("acme", "E00014", "hr@1.0.0", "leave.balance", "2026-01-01", "a" * 16, "0" * 32, "0" * 64, "")
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return (0.5, 1.0, 0.0, 50.0)
    return (1, 10, 0, 100, 1000)
