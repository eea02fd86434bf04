"""Between the contract's messages and the domain. Decides nothing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.common.v1 import answer_pb2, context_pb2, scores_pb2, table_pb2
from tiermesh_pack.manifest import Defaults

from tiermesh_aggregator import calendars
from tiermesh_aggregator.failures import BadPeriodError
from tiermesh_aggregator.precomputing import State
from tiermesh_aggregator.query import (
    Aggregation,
    Cell,
    ColumnKind,
    Filter,
    Moment,
    Ordering,
    OutlierRule,
    Period,
    Population,
    Query,
    ResultTable,
    Side,
)
from tiermesh_aggregator.slots import Said, SaidPeriod, Slots

aggregations: Mapping[int, Aggregation] = {pb.Aggregation.Value(f"AGGREGATION_{one.name}"): one for one in Aggregation}
populations: Mapping[int, Population] = {
    pb.POPULATION_UNSPECIFIED: Population.VISIBLE,
    **{pb.Population.Value(f"POPULATION_{one.name}"): one for one in Population if one is not Population.VISIBLE},
}
operators: Mapping[int, str] = {
    pb.AggregateQuery.Filter.OPERATOR_IN: "in",
    pb.AggregateQuery.Filter.OPERATOR_NOT_IN: "not_in",
    pb.AggregateQuery.Filter.OPERATOR_GREATER_OR_EQUAL: "at_least",
    pb.AggregateQuery.Filter.OPERATOR_LESS_OR_EQUAL: "at_most",
}
column_types: Mapping[ColumnKind, table_pb2.ColumnType.ValueType] = {
    "text": table_pb2.COLUMN_TYPE_STRING,
    "integer": table_pb2.COLUMN_TYPE_INTEGER,
    "decimal": table_pb2.COLUMN_TYPE_DECIMAL,
    "double": table_pb2.COLUMN_TYPE_DOUBLE,
    "boolean": table_pb2.COLUMN_TYPE_BOOLEAN,
    "date": table_pb2.COLUMN_TYPE_DATE,
    "timestamp": table_pb2.COLUMN_TYPE_TIMESTAMP,
}


def moment(context: context_pb2.RequestContext, defaults: Defaults) -> Moment:
    """When the question was asked, in the asker's calendar."""
    asked = context.asked_at.ToDatetime(UTC) if context.HasField("asked_at") else datetime.now(UTC)
    today = asked.astimezone(calendars.time_zone(context.time_zone)).date()
    return Moment(today, defaults.fiscal_year_start, defaults.week_start, defaults.currency)


def period(message: scores_pb2.DateRange) -> Period:
    """A range of days; BadPeriodError is the domain's to raise, a day that does not exist is bad at once."""
    return Period(_day(message.start), _day(message.end))


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadPeriodError(f"{text} is no day of the calendar.") from None


def query(message: pb.AggregateQuery) -> Query:
    """The domain's question."""
    return Query(
        domain=message.domain,
        aggregation=aggregations[message.aggregation],
        measures=tuple(message.measures),
        group_by=tuple(message.group_by),
        filters=tuple(
            Filter(one.field, operators[one.operator], tuple(one.values))  # type: ignore[arg-type] # the map's values
            for one in message.filters
        ),
        period=period(message.date_range) if message.HasField("date_range") else None,
        order_by=tuple(Ordering(one.field, one.descending) for one in message.order_by),
        limit=message.limit if message.HasField("limit") else None,
        population=populations[message.population],
        people=tuple(message.people),
        departments=tuple(message.departments),
        sides=tuple(_side(one) for one in message.sides),
        outliers=_outliers(message.outliers) if message.HasField("outliers") else None,
        teams=tuple(message.teams),
        currency=message.currency,
    )


def _side(message: pb.AggregateQuery.Side) -> Side:
    population = populations[message.population]
    return Side(
        label=message.label,
        period=period(message.date_range) if message.HasField("date_range") else None,
        people=tuple(message.people),
        departments=tuple(message.departments),
        population=None if population is Population.VISIBLE else population,
        teams=tuple(message.teams),
    )


def _outliers(message: pb.AggregateQuery.OutlierRule) -> OutlierRule | None:
    rule = message.WhichOneof("rule")
    if rule == "deviations":
        return OutlierRule(deviations=message.deviations)
    if rule == "over_limit" and message.over_limit:
        return OutlierRule(over_limit=True)
    return OutlierRule(duplicates=True) if rule == "duplicates" and message.duplicates else None


def slots(message: pb.AggregateRequest.Plan) -> Slots:
    """What the classifier read."""
    scope, said = message.scope, message.scope.slots
    return Slots(
        intent=message.intent,
        aggregation=_axis(scope.aggregation),
        cardinality=_axis(scope.cardinality),
        temporal=_axis(scope.temporal),
        domain=_said(said.domain) if said.HasField("domain") else None,
        measures=[_said(one) for one in said.measures],
        group_by=[_said(one) for one in said.group_by],
        order_by=_said(said.order_by) if said.HasField("order_by") else None,
        descending=said.descending if said.HasField("descending") else None,
        limit=said.limit if said.HasField("limit") else None,
        people=[_said(one) for one in said.people],
        departments=[_said(one) for one in said.departments],
        filters=[_said(one) for one in said.filters],
        sides=[_said(one) for one in said.comparison_sides],
        period=_said_period(said.date_range) if said.HasField("date_range") else None,
        compared=_said_period(said.compared_range) if said.HasField("compared_range") else None,
        population=_said(said.population) if said.HasField("population") else None,
    )


def _axis(message: scores_pb2.AxisScore) -> Said:
    return Said(message.label, message.probability)


def _said(message: scores_pb2.Slot) -> Said:
    same = message.start == message.end
    return Said(message.value, message.confidence, inherited=same, start=message.start, end=message.end)


def _said_period(message: scores_pb2.DateRange) -> SaidPeriod:
    return SaidPeriod(period(message), message.phrase, message.unresolved)


def resolved(found: Query) -> pb.AggregateQuery:
    """The question as it was understood."""
    numbers = {word: number for number, word in operators.items()}
    message = pb.AggregateQuery(
        domain=found.domain,
        aggregation=pb.Aggregation.Value(f"AGGREGATION_{found.aggregation.name}"),
        measures=found.measures,
        group_by=found.group_by,
        filters=[
            pb.AggregateQuery.Filter(field=one.field, operator=numbers[one.operator], values=one.values)  # type: ignore[arg-type] # an enum's number
            for one in found.filters
        ],
        order_by=[pb.AggregateQuery.Ordering(field=one.field, descending=one.descending) for one in found.order_by],
        limit=found.limit,
        population=_population(found.population),
        people=found.people,
        departments=found.departments,
        sides=[_resolved_side(one) for one in found.sides],
        teams=found.teams,
        currency=found.currency,
    )
    if found.period is not None:
        message.date_range.CopyFrom(_range(found.period))
    if found.outliers is not None:
        message.outliers.CopyFrom(_rule(found.outliers))
    return message


def _population(found: Population | None) -> pb.Population.ValueType:
    if found is None or found is Population.VISIBLE:
        return pb.POPULATION_UNSPECIFIED
    return pb.Population.Value(f"POPULATION_{found.name}")


def _range(found: Period) -> scores_pb2.DateRange:
    return scores_pb2.DateRange(
        start=found.start.isoformat() if found.start else "", end=found.end.isoformat() if found.end else ""
    )


def _resolved_side(side: Side) -> pb.AggregateQuery.Side:
    message = pb.AggregateQuery.Side(
        label=side.label,
        people=side.people,
        departments=side.departments,
        teams=side.teams,
        population=_population(side.population),
    )
    if side.period is not None:
        message.date_range.CopyFrom(_range(side.period))
    return message


def _rule(rule: OutlierRule) -> pb.AggregateQuery.OutlierRule:
    if rule.over_limit:
        return pb.AggregateQuery.OutlierRule(over_limit=True)
    if rule.duplicates:
        return pb.AggregateQuery.OutlierRule(duplicates=True)
    return pb.AggregateQuery.OutlierRule(deviations=rule.deviations or 0.0)


def view(state: State) -> pb.View:
    """A precomputed view as it stands."""
    message = pb.View(
        name=state.view.name, domain=state.view.domain, rows=state.rows, fresh=state.fresh(datetime.now(UTC))
    )
    if state.as_of is not None:
        message.as_of.FromDatetime(state.as_of)
    return message


def table(found: ResultTable) -> table_pb2.Table:
    """The rows as they travel. Tables are read as they stand now, a view as it was computed."""
    message = table_pb2.Table(
        columns=[
            table_pb2.Column(
                name=column.name,
                label=column.label,
                type=column_types[column.kind],
                unit=column.unit,
                currency=column.currency,
                measure=column.measure,
            )
            for column in found.columns
        ],
        rows=[_row(row) for row in found.rows],
        truncated=found.truncated,
        notes=found.notes,
        statement_fingerprint=found.fingerprint,
        caption=found.caption,
        statements=found.statements,
        rates_as_of=found.rates_as_of.isoformat() if found.rates_as_of else "",
    )
    message.as_of.FromDatetime(found.as_of or datetime.now(UTC))
    return message


def _row(row: Sequence[Cell]) -> table_pb2.Row:
    return table_pb2.Row(values=[_value(value) for value in row])


def _value(value: Cell) -> table_pb2.Value:
    if value is None:
        return table_pb2.Value()
    if isinstance(value, bool):
        return table_pb2.Value(boolean=value)
    if isinstance(value, int):
        return table_pb2.Value(integer=value)
    return table_pb2.Value(number=value) if isinstance(value, float) else table_pb2.Value(text=value)


def clarification(question: str, options: Sequence[str]) -> answer_pb2.Clarification:
    """A question back."""
    return answer_pb2.Clarification(question=question, options=options[:10])
