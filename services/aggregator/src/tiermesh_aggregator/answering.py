"""Answers one bulk question: resolves names, compiles, runs the one statement, presents. Knows no wire format."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry import metrics, trace
from tiermesh_pack.pack import Pack
from tiermesh_pack.semantic import PersonModel, SemanticModel, Visibility

from tiermesh_aggregator import names
from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.compiler import Compiler
from tiermesh_aggregator.compiling.disclosure import Disclosed
from tiermesh_aggregator.compiling.plan import domain_of
from tiermesh_aggregator.compiling.precomputed import Ready, register
from tiermesh_aggregator.engines.engine import Engine, Estimate, Fetched
from tiermesh_aggregator.engines.identity import Identity
from tiermesh_aggregator.engines.statement import Statement, statement
from tiermesh_aggregator.failures import BadFieldError
from tiermesh_aggregator.precomputing import State, Views
from tiermesh_aggregator.presenting import present
from tiermesh_aggregator.query import Aggregation, Answer, Moment, Query, Side, Viewer

most_sides = 10


class Database:
    """The engine with a span and a count per statement. No values of a question enter telemetry."""

    def __init__(self, engine: Engine, tracer: trace.Tracer, meter: metrics.Meter) -> None:
        self._engine = engine
        self._tracer = tracer
        self._statements = meter.create_counter("tiermesh.aggregator.statements", unit="{statement}")
        self._duration = meter.create_histogram("db.client.operation.duration", unit="s")

    async def fetch(self, sql: Statement, timeout: float, summary: str, identity: Identity) -> Fetched:
        """Runs one read-only statement. `summary` names what it is for, such as "aggregate leave rank"."""
        attributes = {"db.system.name": self._engine.system, "db.operation.name": "SELECT"}
        with self._tracer.start_as_current_span(f"SELECT {summary}", kind=trace.SpanKind.CLIENT) as span:
            span.set_attributes({**attributes, "db.query.summary": summary, "tiermesh.db.fingerprint": sql.fingerprint})
            self._statements.add(1, attributes)
            fetched = await self._engine.fetch(sql, timeout, identity)
            span.set_attribute("db.response.returned_rows", len(fetched.rows))
            self._duration.record(fetched.seconds, attributes)
            return fetched

    async def estimate(self, sql: Statement, timeout: float, identity: Identity) -> Estimate:
        """Plans a statement without running it."""
        with self._tracer.start_as_current_span("EXPLAIN", kind=trace.SpanKind.CLIENT) as span:
            span.set_attributes({"db.system.name": self._engine.system, "db.operation.name": "EXPLAIN"})
            span.set_attribute("tiermesh.db.fingerprint", sql.fingerprint)
            return await self._engine.estimate(sql, timeout, identity)


class Answering:
    """Questions over one pack and one database."""

    def __init__(self, pack: Pack, database: Database, views: Views | None = None) -> None:
        """Without `views` every question is answered from the tables."""
        if pack.semantic.person is None:
            raise ValueError("a model without people has not been checked")
        self.model: SemanticModel = pack.semantic
        self.catalog = Catalog(pack.schema)
        self._person: PersonModel = pack.semantic.person
        register(self.catalog, pack.semantic)
        self._views = views
        self._compiler = Compiler(pack.semantic, self.catalog)
        self._database = database
        self._disclosed = Disclosed()

    async def answer(
        self,
        query: Query,
        moment: Moment,
        viewer: Viewer,
        timeout: float,
        *,
        answer_id: str = "",
        staleness: float | None = None,
    ) -> Answer:
        """Exactly one statement, and one more before it when the question names people or departments.

        `answer_id` ties the questions of one answer together, so that their difference singles nobody out either.
        `staleness` is the age in seconds up to which a precomputed view will do; None leaves it to the view.
        """
        check_texts(query)
        query = side_by_side(query)
        query, labels, lookups, seconds = await self._resolved(query, viewer, timeout)
        fresh = {state.view.name: state for state in self._views.fresh(staleness)} if self._views else {}
        views = _ready(fresh.values())
        compiled = self._compiler.compile(query, moment, viewer, labels, views=views)
        if answer_id and compiled.sums and not self._disclosed.admits((answer_id, viewer.person), list(compiled.sums)):
            compiled = self._compiler.compile(query, moment, viewer, labels, beyond=False, views=views)
        sql = statement(compiled.select)
        summary = f"aggregate {query.domain} {query.aggregation.value}"
        identity = _identity(viewer, wide=compiled.wide)
        fetched = await self._database.fetch(sql, max(timeout - seconds, 0.001), summary, identity)
        table = present(compiled, fetched.rows, sql.fingerprint)
        table = replace(table, statements=1 + lookups, database_seconds=seconds + fetched.seconds)
        if compiled.views:
            as_of = min(one for name in compiled.views if (one := fresh[name].as_of) is not None)
            table = replace(table, view=", ".join(compiled.views), as_of=as_of)
        return Answer(table, compiled.query, labels)

    async def expected(self, query: Query, moment: Moment, viewer: Viewer, timeout: float) -> Estimate:
        """What the database expects of a question, without answering it."""
        check_texts(query)
        query = side_by_side(query)
        query, labels, _, _ = await self._resolved(query, viewer, timeout)
        views = _ready(self._views.fresh()) if self._views else []
        compiled = self._compiler.compile(query, moment, viewer, labels, views=views)
        identity = _identity(viewer, wide=compiled.wide)
        return await self._database.estimate(statement(compiled.select), timeout, identity)

    async def _resolved(self, query: Query, viewer: Viewer, timeout: float) -> tuple[Query, dict[str, str], int, float]:
        wanted = names.named(query, self.model)
        if not wanted:
            return query, {}, 0, 0.0
        if all(word.strip().lower() in names.own_words for word in (*wanted.people, *wanted.either)) and (
            not wanted.departments
        ):
            resolved, labels = names.resolve(query, self.model, viewer, ())
            return resolved, labels, 0, 0.0
        sql = names.lookup(self.catalog, self._person, viewer, self._rules(query), wanted)
        fetched = await self._database.fetch(sql, timeout, "resolve names", _identity(viewer))
        found = candidates(fetched.rows)
        resolved, labels = names.resolve(query, self.model, viewer, found)
        return resolved, labels, 1, fetched.seconds

    def _rules(self, query: Query) -> list[Visibility]:
        """Names are looked for among the people whose records of this kind the viewer may see."""
        domain = domain_of(self.model, query.domain)
        if query.aggregation is Aggregation.LIST and query.measures and query.measures[0] in domain.lists:
            view = domain.lists[query.measures[0]]
            return [self.model.visibility[view.visibility or domain.entities[view.entity].visibility]]
        found = []
        for name in query.measures or (domain.default_measure("*", query.aggregation.in_model),):
            measure = domain.measures.get(name)
            if measure is None:
                continue
            half = self.model.measure(measure.numerator, domain.name) if measure.compute == "ratio" else measure
            entity = self.model.entity(half.entity) if half else None
            if half is not None and entity is not None:
                found.append(self.model.visibility[half.visibility or entity.visibility])
        return found or [self.model.visibility[entity.visibility] for entity in domain.entities.values()]


def _ready(states: Iterable[State]) -> list[Ready]:
    return [Ready(state.view, state.rows) for state in states]


def _identity(viewer: Viewer, *, wide: bool = False) -> Identity:
    return Identity(viewer.person, viewer.roles, wide)


def side_by_side(query: Query) -> Query:
    """A comparison that names two and more departments or people means them as its sides."""
    named = [*query.departments, *query.people, *query.named]
    if query.aggregation is not Aggregation.COMPARE or query.sides or not 2 <= len(named) <= most_sides:
        return query
    sides = [Side(departments=(one,)) for one in query.departments]
    sides += [Side(people=(one,)) for one in query.people]
    sides += [Side(named=one) for one in query.named]
    return replace(query, sides=tuple(sides), departments=(), people=(), named=())


def check_texts(query: Query) -> None:
    """Texts reach the database as parameters; only a NUL cannot be one."""
    places: list[tuple[str, Sequence[str]]] = [
        ("people", query.people),
        ("departments", query.departments),
        ("named", query.named),
        ("teams", query.teams),
    ]
    places += [(f"filters[{index}].values", one.values) for index, one in enumerate(query.filters)]
    for index, side in enumerate(query.sides):
        places.append((f"sides[{index}]", (side.label, side.named, *side.people, *side.departments, *side.teams)))
    for place, texts in places:
        if any("\x00" in text for text in texts):
            raise BadFieldError(place, "The text holds a NUL character; leave it out.")


def candidates(rows: Sequence[Sequence[Any]]) -> list[names.Candidate]:
    """The directory's rows."""
    return [names.Candidate(str(noun), str(key), str(name), str(detail or "")) for noun, key, name, detail in rows]
