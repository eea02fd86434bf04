"""The state of precomputed views: which are there, how old, how they are made anew. What they hold: `precomputed`."""

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from tiermesh_pack.pack import Pack
from tiermesh_pack.semantic import PrecomputedView

from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.filters import nearest
from tiermesh_aggregator.compiling.precomputed import definition, register, table_name
from tiermesh_aggregator.engines.engine import Engine
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.engines.statement import Statement
from tiermesh_aggregator.failures import AggregatorError, UnknownNameError
from tiermesh_aggregator.query import Moment

states = "tiermesh_views"
create_states = (
    f"CREATE TABLE IF NOT EXISTS {states} (name text PRIMARY KEY, as_of timestamp NOT NULL, "
    "row_count bigint NOT NULL, shape text NOT NULL)"
)
look_seconds = 30.0
"""How often the state is read anew: another process may have refreshed a view."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class State:
    """One view as it stands. `as_of` is None when it has never been computed, or was for another model."""

    view: PrecomputedView
    as_of: datetime | None = None
    rows: int = 0

    def fresh(self, now: datetime, staleness: float | None = None) -> bool:
        """Whether it is young enough: for its own bound, or for the question's, in seconds."""
        bound = self.view.max_age_hours * 3600 if staleness is None else staleness
        return self.as_of is not None and (now - self.as_of).total_seconds() <= bound


def definitions(pack: Pack) -> dict[str, str]:
    """The SELECT of every view, by name."""
    catalog = Catalog(pack.schema)
    register(catalog, pack.semantic)
    moment = Moment(date(2000, 1, 1), pack.defaults.fiscal_year_start, pack.defaults.week_start)
    return {name: definition(catalog, pack.semantic, view, moment) for name, view in pack.semantic.views.items()}


def shape(sql: str) -> str:
    """Changes when a view's definition does: what was computed for another one is not used."""
    return hashlib.sha256(sql.encode()).hexdigest()[:16]


def embedded(view: PrecomputedView, sql: str) -> list[str]:
    """What computes a view on DuckDB, as one transaction."""
    table = table_name(view)
    return [
        create_states,
        f"CREATE OR REPLACE TABLE {table} AS {sql}",
        f"DELETE FROM {states} WHERE name = '{view.name}'",  # noqa: S608 - a checked name
        f"INSERT INTO {states} SELECT '{view.name}', CAST(now() AT TIME ZONE 'UTC' AS timestamp), "  # noqa: S608
        f"(SELECT count(*) FROM {table}), '{shape(sql)}'",
    ]


class Views:
    """The views of one pack over one database."""

    def __init__(self, pack: Pack, engine: Engine) -> None:
        self._engine = engine
        self._definitions = definitions(pack)
        self._views = dict(pack.semantic.views)
        self._tables = {
            name: {pack.semantic.domains[view.domain].entities[view.entity].table, *_joined(pack, view)}
            for name, view in self._views.items()
        }
        self._states = {name: State(view) for name, view in self._views.items()}
        self._touched: dict[str, datetime] = {}

    async def look(self) -> None:
        """Reads the state; views of a database that has none are simply not there."""
        if not self._views or states not in await self._engine.columns():
            return
        sql = f"SELECT name, as_of, row_count, shape FROM {states}"  # noqa: S608 - a name of ours
        rows = (await self._engine.fetch(Statement(sql, (), ""), 10)).rows
        known = {str(name): (as_of, int(count), str(made)) for name, as_of, count, made in rows}
        found: dict[str, State] = {}
        for name, view in self._views.items():
            as_of, count, made = known.get(name, (None, 0, ""))
            valid = as_of is not None and made == shape(self._definitions[name])
            found[name] = State(view, as_of.replace(tzinfo=UTC), count) if valid and as_of else State(view)
        self._states = found

    async def keep_looking(self) -> None:
        """Until it is cancelled. A look that fails is tried again: views only ever save time."""
        while True:
            await asyncio.sleep(look_seconds)
            try:
                await self.look()
            except AggregatorError as error:
                log.warning("the state of the precomputed views cannot be read: %s", error)

    def states(self) -> list[State]:
        """All views, in the pack's order."""
        return [self._current(name) for name in self._views]

    def fresh(self, staleness: float | None = None) -> list[State]:
        """Those that may answer now."""
        now = datetime.now(UTC)
        return [state for state in self.states() if state.fresh(now, staleness)]

    def _current(self, name: str) -> State:
        state, touched = self._states[name], self._touched.get(name)
        outdated = state.as_of is not None and touched is not None and touched >= state.as_of
        return State(state.view) if outdated else state

    def touched(self, tables: Iterable[str]) -> None:
        """Records were written here: who confirmed wants to see it, so the tables answer until the next refresh."""
        written = set(tables)
        for name, read in self._tables.items():
            if read & written:
                self._touched[name] = datetime.now(UTC)

    async def refresh(self, name: str, timeout: float) -> State:
        """Computes one view anew; readers see the old one until it is done."""
        view = self._views.get(name)
        if view is None:
            close = nearest(name, list(self._views)) or list(self._views)
            raise UnknownNameError("name", name, "precomputed view", close)
        if isinstance(self._engine, PostgresEngine):
            await self._engine.plainly(f"SELECT tiermesh_refresh_view('{view.name}')", timeout)
        else:
            async with self._engine.writing(timeout) as transaction:
                for sql in embedded(view, self._definitions[name]):
                    await transaction.fetch(Statement(sql, (), ""))
        await self.look()
        return self._current(name)


def _joined(pack: Pack, view: PrecomputedView) -> Sequence[str]:
    entity = pack.semantic.domains[view.domain].entities[view.entity]
    rates = [pack.semantic.currencies.table] if pack.semantic.currencies else []
    return [*(join.table for join in entity.joins.values()), *rates]
