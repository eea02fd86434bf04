"""The GraphQL schema of a semantic model, as one caller sees it: aggregate fields only, all that `Query` can say.

One root field per domain. Its rows have the domain's dimensions and measures: those that are selected are grouped by
and computed. What a caller could never see a row of is not in the schema, so that introspection does not tell of it.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
)
from tiermesh_pack.semantic import Domain, Measure, SemanticModel

from tiermesh_aggregator.query import Aggregation, Population, Viewer

computed = (Aggregation.SUM, Aggregation.COUNT, Aggregation.AVERAGE, Aggregation.RANK, Aggregation.TREND)
figure = GraphQLScalarType("Figure", description="A number, or a decimal as text; null where there is none.")
aggregations = GraphQLEnumType("Aggregation", {one.name: one.value for one in computed})
populations = GraphQLEnumType(
    "Population", {one.name: one.value for one in Population}, description="Whose records, within what you may see."
)
operators = GraphQLEnumType("Operator", {name.upper(): name for name in ("in", "not_in", "at_least", "at_most")})
texts = GraphQLList(GraphQLNonNull(GraphQLString))


class Schemas:
    """Schemas by what a caller may see; there are as many as combinations of roles that open something."""

    def __init__(self, model: SemanticModel) -> None:
        self._model = model
        self._made = lru_cache(maxsize=64)(self._make)

    def of(self, viewer: Viewer, *, is_person: bool) -> GraphQLSchema:
        """People see their own records, so all that holds records of people is theirs to ask; jobs have roles only."""
        open_rules = frozenset(
            rule.name
            for rule in self._model.visibility.values()
            if is_person or rule.everyone or rule.roles & viewer.roles
        )
        return self._made(open_rules)

    def whole(self) -> GraphQLSchema:
        """With everything in it: for checking kept operations."""
        return self._made(frozenset(self._model.visibility))

    def _make(self, rules: frozenset[str]) -> GraphQLSchema:
        fields = {}
        reporting = self._model.currencies.reporting if self._model.currencies else ()
        currency = GraphQLEnumType("Currency", {code: code for code in reporting}) if reporting else None
        for domain in self._model.domains.values():
            measures = {name: one for name, one in domain.measures.items() if self._rules(one, domain) <= rules}
            if measures:
                fields[domain.name] = _field(domain, measures, currency)
        fields = fields or {"nothing": GraphQLField(GraphQLString, description="You may see no figures.")}
        return GraphQLSchema(query=GraphQLObjectType("Query", fields))

    def _rules(self, measure: Measure, domain: Domain) -> set[str]:
        if measure.compute == "ratio":
            halves = [self._model.measure(name, domain.name) for name in (measure.numerator, measure.denominator)]
            return {rule for half in halves if half is not None for rule in self._rules(half, domain)}
        entity = self._model.entity(measure.entity)
        return {measure.visibility or (entity.visibility if entity else "")}


def _field(domain: Domain, measures: Mapping[str, Measure], currency: GraphQLEnumType | None) -> GraphQLField:
    title = "".join(word.capitalize() for word in domain.name.split("_"))
    columns: dict[str, GraphQLField] = {}
    for name, dimension in domain.dimensions.items():
        columns[name] = GraphQLField(GraphQLString, description=f"{dimension.label}: selecting it groups by it.")
        if dimension.kind == "person":
            columns[f"{name}_id"] = GraphQLField(GraphQLString, description=f"{dimension.label}, as an id.")
    for name, measure in measures.items():
        unit = f" ({measure.unit or measure.currency})" if measure.unit or measure.currency else ""
        columns[name] = GraphQLField(figure, description=f"{measure.label}{unit}. {measure.description}".strip())
    row = GraphQLObjectType(f"{title}Row", columns)
    answer = GraphQLObjectType(
        f"{title}Answer",
        {
            "rows": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(row)))),
            "caption": GraphQLField(GraphQLNonNull(GraphQLString)),
            "notes": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLString)))),
            "truncated": GraphQLField(GraphQLNonNull(GraphQLBoolean)),
            "suppressedGroups": GraphQLField(GraphQLNonNull(GraphQLInt)),
            "asOf": GraphQLField(GraphQLString, description="When the rows were computed; null for now."),
            "ratesAsOf": GraphQLField(
                GraphQLString, description="Day of the newest exchange rate used; null for none."
            ),
        },
    )
    arguments = _arguments(domain, measures, title)
    if currency is not None:
        arguments["currency"] = GraphQLArgument(currency, description="Of sums of money; by default the usual one.")
    return GraphQLField(GraphQLNonNull(answer), args=arguments, description=domain.description)


def _arguments(domain: Domain, measures: Mapping[str, Measure], title: str) -> dict[str, GraphQLArgument]:
    closed = [name for name, one in domain.dimensions.items() if one.kind != "time"]
    fields = GraphQLEnumType(f"{title}Dimension", {name: name for name in closed})
    orders = GraphQLEnumType(f"{title}Column", {name: name for name in (*domain.dimensions, *measures)})
    condition = GraphQLInputObjectType(
        f"{title}Filter",
        {
            "field": GraphQLInputField(GraphQLNonNull(fields)),
            "operator": GraphQLInputField(operators, default_value="in"),
            "values": GraphQLInputField(GraphQLNonNull(texts)),
        },
    )
    order = GraphQLInputObjectType(
        f"{title}Order",
        {
            "field": GraphQLInputField(GraphQLNonNull(orders)),
            "descending": GraphQLInputField(GraphQLBoolean, default_value=False),
        },
    )

    def argument(kind: Any, description: str) -> GraphQLArgument:
        return GraphQLArgument(kind, description=description)

    return {
        "aggregation": argument(aggregations, "By default the sum, or the rank where the order is by a measure."),
        "fromDate": argument(GraphQLString, "First day, such as 2026-01-31; without both days the usual period."),
        "toDate": argument(GraphQLString, "Last day, included."),
        "allTime": argument(GraphQLBoolean, "No bound on the period at all."),
        "population": argument(populations, "Whose records."),
        "people": argument(texts, "People as they are called, or by id."),
        "departments": argument(texts, "Departments, offices, cities or countries as they are called."),
        "filters": argument(GraphQLList(GraphQLNonNull(condition)), "All hold together."),
        "orderBy": argument(GraphQLList(GraphQLNonNull(order)), "By what is selected."),
        "limit": argument(GraphQLInt, "1 to 1000 rows."),
    }
