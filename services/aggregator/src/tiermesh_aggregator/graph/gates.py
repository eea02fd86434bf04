"""The gates that a document passes before anything is read, cheapest first. Each refuses with its name and limit."""

from collections.abc import Iterator
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Visitor,
    parse,
    validate,
    visit,
)

from tiermesh_aggregator.failures import GraphRefusedError


@dataclass(frozen=True)
class Limits:
    """What a document may be at most."""

    tokens: int = 2000
    nodes: int = 500
    aliases: int = 20
    depth: int = 5
    introspection_depth: int = 16
    root_fields: int = 8
    rows: float = 20_000_000
    """Rows that the database expects to touch, summed over the document."""
    cost: float = 5_000_000
    """In the database's own unit, where it has one."""


def admitted(document: str, schema: GraphQLSchema, limits: Limits) -> tuple[DocumentNode, OperationDefinitionNode]:
    """The parsed document and its one operation. GraphRefusedError names the gate that it did not pass."""
    if "\x00" in document:
        raise GraphRefusedError("parse", "The document holds a NUL character.")
    try:
        parsed = parse(document, no_location=True, max_tokens=limits.tokens)
    except (GraphQLError, RecursionError) as error:
        raise GraphRefusedError("parse", _first(error)) from error
    operation = _operation(parsed)
    counted = _Counter()
    visit(parsed, counted)
    _bounded("nodes", counted.nodes, limits.nodes)
    _bounded("aliases", counted.aliases, limits.aliases)
    if counted.directives:
        raise GraphRefusedError("directives", "Directives are not taken; leave out what is not wanted.")
    faults = validate(schema, parsed, max_errors=3)
    if faults:
        raise GraphRefusedError("validate", " ".join(fault.message for fault in faults)[:1000])
    fragments = {one.name.value: one for one in parsed.definitions if isinstance(one, FragmentDefinitionNode)}
    roots = list(fields(operation.selection_set, fragments))
    _bounded("fields", len(roots), limits.root_fields)
    for root in roots:
        inside = root.name.value.startswith("__")
        depth = 1 + _depth(root.selection_set, fragments)
        _bounded("depth", depth, limits.introspection_depth if inside else limits.depth)
    return parsed, operation


def estimated(rows: float, cost: float, limits: Limits) -> None:
    """What the database expects of all statements together."""
    _bounded("rows", rows, limits.rows)
    _bounded("cost", cost, limits.cost)


def fields(selection: SelectionSetNode | None, fragments: dict[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    """The fields of a selection, also those behind fragments; validation has made sure that none is in a circle."""
    for one in selection.selections if selection else ():
        if isinstance(one, FieldNode):
            yield one
        elif isinstance(one, InlineFragmentNode):
            yield from fields(one.selection_set, fragments)
        elif isinstance(one, FragmentSpreadNode):
            yield from fields(fragments[one.name.value].selection_set, fragments)


def _operation(parsed: DocumentNode) -> OperationDefinitionNode:
    found = [one for one in parsed.definitions if isinstance(one, OperationDefinitionNode)]
    if len(found) != 1:
        raise GraphRefusedError("operation", f"A document holds exactly one operation; this one has {len(found)}.")
    if found[0].operation is not OperationType.QUERY:
        raise GraphRefusedError("operation", "Only queries are taken: nothing is written and nothing is watched here.")
    return found[0]


def _depth(selection: SelectionSetNode | None, fragments: dict[str, FragmentDefinitionNode]) -> int:
    inner = [_depth(one.selection_set, fragments) for one in fields(selection, fragments)]
    return 1 + max(inner) if inner else 0


def _bounded(gate: str, found: float, limit: float) -> None:
    if found > limit:
        shown = f"{found:,.0f}"
        raise GraphRefusedError(
            gate, f"The document has {shown} {gate}; at most {limit:,.0f} are taken.", found=found, limit=limit
        )


def _first(error: Exception) -> str:
    return error.message if isinstance(error, GraphQLError) else "The document is nested too deeply."


class _Counter(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.nodes = self.aliases = self.directives = 0

    def enter(self, node: Node, *_: object) -> None:
        self.nodes += 1
        self.aliases += isinstance(node, FieldNode) and node.alias is not None
        self.directives += node.kind == "directive"
