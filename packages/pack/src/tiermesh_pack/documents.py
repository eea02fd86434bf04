"""YAML documents that know their lines, and their check against a published JSON Schema.

What the values mean to a pack is judged by the modules that load them.
"""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import yaml

from tiermesh_pack.problems import PackError, Problem, Problems

__all__ = ["Document", "Key", "PackError", "Problem", "Problems", "check_schema", "load_document", "suggestion"]

type_names: Mapping[str, str] = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}

Key = str | int


@dataclass(frozen=True)
class Document:
    """A parsed file: `data` is plain Python (dict, list, str, int, float, bool, None); `line` finds a value's line."""

    path: Path
    data: Any
    lines: Mapping[tuple[Key, ...], int]

    def line(self, *keys: Key) -> int:
        """The line of the value under `keys` ("tables", 3, "columns"), or of its nearest ancestor that exists."""
        trail = keys
        while trail and trail not in self.lines:
            trail = trail[:-1]
        return self.lines.get(trail, 1)


if TYPE_CHECKING:
    _Parser = yaml.SafeLoader
else:
    # libyaml reads a pack ten times faster; PyYAML is not always built with it.
    _Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreLoader(_Parser):
    """YAML 1.2's core scalars: `yes`, `no`, `on`, dates and sexagesimals stay texts, as an author means them."""


_CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def load_document(path: Path, problems: Problems) -> Document | None:
    """Parses one YAML file. None when it cannot be read at all; the reason is then among the problems."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        problems.add(path, 0, "the file is missing", "create it, or correct the name where it is listed")
        return None
    except (OSError, UnicodeDecodeError) as error:
        problems.add(path, 0, f"the file cannot be read ({type(error).__name__})", "store it as readable UTF-8 text")
        return None
    try:
        data, lines = _parse(text, path, problems)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problems.add(path, *_unreadable(error))
        return None
    if data is None:
        problems.add(path, 1, "the file is empty", "fill it, or take it out of the pack")
        return None
    return Document(path, data, lines)


def _unreadable(error: Exception) -> tuple[int, str, str]:
    """The line, what is wrong, and how to mend it."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        return mark.line + 1 if mark else 0, f"not valid YAML: {error.problem}", "mend the syntax"
    if isinstance(error, yaml.YAMLError):
        return 0, "not valid YAML: a character that YAML does not allow", "remove it"
    if isinstance(error, RecursionError):
        return 0, "values lie too deep in each other", "write them flatter"
    return 0, "a number has thousands of digits", "write a shorter one, or a text in quotes"


def _parse(text: str, path: Path, problems: Problems) -> tuple[Any, Mapping[tuple[Key, ...], int]]:
    loader = _CoreLoader(text)
    try:
        root = loader.get_single_node()
        builder = _Builder(loader, path, problems)
        return None if root is None else builder.build(root), builder.lines
    finally:
        loader.dispose()


class _Builder:
    """Turns the node tree into plain data and notes where each value stands."""

    def __init__(self, loader: _CoreLoader, path: Path, problems: Problems) -> None:
        self.lines: dict[tuple[Key, ...], int] = {}
        self._loader = loader
        self._path = path
        self._problems = problems
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, trail: tuple[Key, ...] = ()) -> Any:
        self.lines.setdefault(trail, node.start_mark.line + 1)
        if id(node) in self._seen:
            # An alias may point at its own ancestor; refusing all of them keeps a pack finite and its lines true.
            self._problems.add(self._path, self.lines[trail], "an alias (*name) is used", "write the value out")
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*trail, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, trail)
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, trail: tuple[Key, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.add(self._path, line, "a key is no plain text", "write a name before the colon")
                continue
            key = str(key_node.value)
            if key in found:
                self._problems.add(self._path, line, f'"{key}" is given twice', "keep one of the two")
            # A value's line is its key's: that is where an author looks.
            self.lines[*trail, key] = line
            found[key] = self.build(value_node, (*trail, key))
        return found


def check_schema(document: Document, schema: str, problems: Problems) -> bool:
    """Checks against `schemas/<schema>.json` of this package; True when the document fits."""
    rules = json.loads((files("tiermesh_pack") / "schemas" / f"{schema}.json").read_text(encoding="utf-8"))
    errors = list(jsonschema.Draft202012Validator(rules).iter_errors(document.data))
    for error in errors:
        keys = tuple(error.absolute_path)
        what, mend = _worded(error)
        where = ".".join(map(str, keys)) or "the file"
        problems.add(document.path, document.line(*keys), f"{where}: {what}", mend)
    return not errors


def _worded(error: jsonschema.ValidationError) -> tuple[str, str]:
    """The validator's finding in an author's words: what is there, and what to do."""
    rule: Any = error.validator_value
    found: Any = error.instance
    if error.validator == "required":
        missing = [name for name in rule if name not in found]
        return f'"{", ".join(missing)}" is missing', "add it"
    if error.validator == "additionalProperties" and isinstance(error.schema, Mapping):
        known = list(error.schema.get("properties", {}))
        unknown = [name for name in found if name not in known]
        return f'unknown "{", ".join(unknown)}"', suggestion(unknown[0] if unknown else "", known)
    if error.validator == "enum":
        return f'"{error.instance}" is not allowed here', suggestion(str(error.instance), [str(one) for one in rule])
    if error.validator == "type":
        wanted = [rule] if isinstance(rule, str) else rule
        return "the wrong kind of value", "give " + " or ".join(type_names[one] for one in wanted)
    if error.validator == "pattern":
        return f'"{error.instance}" has the wrong form', f"match {rule}"
    return error.message, "see the README of the pack loader"


def suggestion(name: str, known: list[str]) -> str:
    """How to mend an unknown name: the nearest known one, or all of them when they are few."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    return "use one of " + ", ".join(sorted(known)) if len(known) <= 12 else "use a name that the pack defines"
