"""Schemas that others wrote: what refers outside of itself, or nowhere, is refused, and nothing is ever fetched."""

import socket
from collections.abc import Iterator

import pytest
from tiermesh_executor.schemas import problem_with, read_schema
from tiermesh_executor.tools.catalogue import readable_schema


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    """A server that would see a fetch."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.0)
        yield server


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ('{"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}', "a part that it does not have"),
        ('{"type": "object", "$dynamicRef": "#nowhere"}', "a part that it does not have"),
        ('{"type": "object", "properties": {"a": {"$ref": "other.json"}}}', "outside of itself"),
        ('{"type": "objects"}', "no JSON Schema"),
        ("[" * 5_000, "too deeply"),
        ("[]", "not a JSON object"),
        ("9" * 5_000, "digits"),
    ],
)
def test_a_schema_that_cannot_be_held_to_is_refused_with_the_reason(schema: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_schema(schema)
    assert readable_schema("tool", schema) is None


def test_a_schema_that_refers_to_its_own_parts_is_held_to() -> None:
    schema = read_schema(
        '{"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "null"}}}'
    )
    assert problem_with({"a": None}, schema) == ""
    assert problem_with({"a": 1}, schema).startswith("a: ")


def test_nothing_is_fetched_for_a_schema_whoever_wrote_it(elsewhere: socket.socket) -> None:
    away = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/schema.json"
    with pytest.raises(ValueError, match="outside of itself"):
        read_schema(f'{{"type": "object", "properties": {{"a": {{"$ref": "{away}"}}}}}}')
    # Even past the reader: a nested identifier moves what "#" means.
    assert problem_with({"a": 1}, {"properties": {"a": {"$ref": away}}}).startswith("It cannot be checked")
    with pytest.raises(BlockingIOError):
        elsewhere.accept()


def test_a_circle_of_references_is_a_problem_and_no_crash() -> None:
    circle = (
        '{"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}'
    )
    assert problem_with({}, read_schema(circle)) == "It is nested too deeply."
