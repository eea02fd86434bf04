"""Answers a GraphQL document: gates, questions, estimates, statements, then the answer. Knows no wire format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    execute_sync,
)
from graphql.execution import VariableValues, get_variable_values
from tiermesh_pack.semantic import SemanticModel

from tiermesh_aggregator.answering import Answering
from tiermesh_aggregator.compiling.filters import nearest
from tiermesh_aggregator.failures import (
    AmbiguousNameError,
    BadFieldError,
    BadPeriodError,
    GraphRefusedError,
    RateMissingError,
    UnknownNameError,
)
from tiermesh_aggregator.graph.gates import Limits, admitted, estimated, fields
from tiermesh_aggregator.graph.schema import Schemas
from tiermesh_aggregator.graph.selection import arguments, question
from tiermesh_aggregator.query import Answer, Query, ResultTable
from tiermesh_aggregator.tools.tool import Call

longest_list = 200
longest_text = 500


@dataclass(frozen=True)
class GraphAnswer:
    """GraphQL's data, and the same rows as tables."""

    data: str
    tables: Sequence[ResultTable]
    statements: int


class Graph:
    """GraphQL over one semantic model."""

    def __init__(self, answering: Answering, operations: Mapping[str, str], limits: Limits | None = None) -> None:
        """`operations` are kept documents by name; GraphRefusedError when one of them could never be answered."""
        self._answering = answering
        self._limits = limits or Limits()
        self._schemas = Schemas(answering.model)
        self._operations = dict(operations)
        for name, document in operations.items():
            check(name, document, answering.model, self._limits)

    def kept(self, name: str) -> str:
        """The document of a kept operation."""
        if name not in self._operations:
            close = nearest(name, list(self._operations))
            message = f'There is no kept operation "{name[:60]}". Nearest: {", ".join(close)}.'
            raise GraphRefusedError("operation", message)
        return self._operations[name]

    async def query(self, document: str, variables: str, call: Call, *, is_person: bool) -> GraphAnswer:
        """One statement per root field, all or nothing. GraphRefusedError says which gate refused, and why."""
        schema = self._schemas.of(call.viewer, is_person=is_person)
        parsed, operation = admitted(document, schema, self._limits)
        raw, given = _variables(schema, operation, variables)
        fragments = {one.name.value: one for one in parsed.definitions if isinstance(one, FragmentDefinitionNode)}
        roots: dict[str, list[FieldNode]] = {}
        for root in fields(operation.selection_set, fragments):
            if not root.name.value.startswith("__"):
                roots.setdefault(_key(root), []).append(root)
        questions = {key: self._question(schema, nodes, given, fragments) for key, nodes in roots.items()}
        answers = await self._answered(questions, call)
        data = _data(schema, parsed, raw, answers)
        statements = sum(answer.table.statements for answer in answers.values())
        return GraphAnswer(data, [answer.table for answer in answers.values()], statements)

    def _question(
        self,
        schema: GraphQLSchema,
        nodes: Sequence[FieldNode],
        given: VariableValues,
        fragments: dict[str, FragmentDefinitionNode],
    ) -> Query:
        """Of all nodes with one key: validation has made sure that their arguments are the same."""
        root = nodes[0]
        domain = self._answering.model.domains[root.name.value]
        inside = [one for node in nodes for one in fields(node.selection_set, fragments)]
        rows = [one for one in inside if one.name.value == "rows"]
        selected = [field for one in rows for field in fields(one.selection_set, fragments)]
        try:
            values = arguments(schema, root, given)
        except GraphQLError as error:
            raise GraphRefusedError("validate", error.message[:500]) from error
        _check_texts(values)
        return _worded(_key(root), lambda: question(domain, values, selected))

    async def _answered(self, questions: Mapping[str, Query], call: Call) -> dict[str, Answer]:
        rows = cost = 0.0
        answers: dict[str, Answer] = {}
        place = ""
        try:
            for place, query in questions.items():  # noqa: B007 - named where it is refused
                expected = await self._answering.expected(query, call.moment, call.viewer, call.timeout)
                rows, cost = rows + expected.rows, cost + expected.cost
            estimated(rows, cost, self._limits)
            for place, query in questions.items():
                answers[place] = await self._answering.answer(
                    query, call.moment, call.viewer, call.timeout, answer_id=call.answer_id
                )
        except (UnknownNameError, BadFieldError, BadPeriodError, AmbiguousNameError, RateMissingError) as error:
            raise _refused(place, error) from error
        return answers


def check(name: str, document: str, model: SemanticModel, limits: Limits | None = None) -> None:
    """GraphRefusedError when a document to be kept would be refused whoever asks."""
    try:
        admitted(document, Schemas(model).whole(), limits or Limits())
    except GraphRefusedError as error:
        raise GraphRefusedError(error.gate, f"{name}: {error}") from error


def _key(root: FieldNode) -> str:
    return root.alias.value if root.alias else root.name.value


def _variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, text: str
) -> tuple[dict[str, Any], VariableValues]:
    """As they came, and as the operation declares them."""
    try:
        given = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise GraphRefusedError("variables", "The variables are no JSON.") from error
    if not isinstance(given, dict):
        raise GraphRefusedError("variables", "The variables are no JSON object.")
    coerced = get_variable_values(schema, operation.variable_definitions or (), given)
    if isinstance(coerced, list):
        raise GraphRefusedError("variables", " ".join(error.message for error in coerced)[:1000])
    return given, coerced


def _check_texts(values: Any) -> None:
    """The bounds that the protos set on the same values elsewhere."""
    if isinstance(values, str) and len(values) > longest_text:
        raise GraphRefusedError("arguments", f"A text has {len(values)} characters; at most {longest_text} are taken.")
    if isinstance(values, list | tuple) and len(values) > longest_list:
        raise GraphRefusedError("arguments", f"A list has {len(values)} entries; at most {longest_list} are taken.")
    inner = values.values() if isinstance(values, dict) else values if isinstance(values, list | tuple) else ()
    for one in inner:
        _check_texts(one)


def _worded(place: str, made: Any) -> Query:
    try:
        found: Query = made()
    except (UnknownNameError, BadFieldError, BadPeriodError) as error:
        raise _refused(place, error) from error
    return found


def _refused(place: str, error: Exception) -> GraphRefusedError:
    options = " Options: " + "; ".join(error.options[:5]) if isinstance(error, AmbiguousNameError) else ""
    return GraphRefusedError("arguments", f"{place}: {error}{options}")


def _data(schema: GraphQLSchema, parsed: DocumentNode, given: Mapping[str, Any], answers: Mapping[str, Answer]) -> str:
    """GraphQL's own execution, over answers that are there already."""

    def resolve(source: Any, info: Any, **_: Any) -> Any:
        key = info.path.key
        if info.path.prev is None:
            return _told(answers[key].table)
        return source.get(info.field_name)

    result = execute_sync(schema, parsed, variable_values=dict(given), field_resolver=resolve)
    if result.errors:
        raise GraphRefusedError("execute", " ".join(error.message for error in result.errors)[:1000])
    return json.dumps(result.data, ensure_ascii=False)


def _told(table: ResultTable) -> dict[str, Any]:
    names = [column.name for column in table.columns]
    return {
        "rows": [dict(zip(names, row, strict=True)) for row in table.rows],
        "caption": table.caption,
        "notes": list(table.notes),
        "truncated": table.truncated,
        "suppressedGroups": table.suppressed_groups,
        "ratesAsOf": table.rates_as_of.isoformat() if table.rates_as_of else None,
        "asOf": table.as_of.isoformat() if table.as_of else None,
    }
