"""`python -m tiermesh_aggregator.seed`: the command around `seeding`."""

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from tiermesh_pack.documents import PackError
from tiermesh_pack.pack import Pack, load_pack

from tiermesh_aggregator.engines.address import DuckAddress, PostgresAddress, address
from tiermesh_aggregator.seeding import Company, SeedingError, seed, seeded_with


def main(arguments: Sequence[str] | None = None) -> int:
    """Seeds, or says what is there already. Returns the exit code."""
    options = _options(arguments)
    console = Console(stderr=True)
    try:
        pack = load_pack(options.pack)
        target = address(options.database)
        company = Company(options.employees, options.years, options.as_of, options.seed, options.source)
        known = {} if options.force else seeded_with(target)
        if known:
            return _already(console, known, company.facts(pack), dated=options.as_of is not None)
        _seed(console, pack, target, company)
    except (PackError, SeedingError) as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except ValueError as error:
        console.print(f"--database {options.database}: {error}", markup=False, highlight=False, soft_wrap=True)
        return 2
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tiermesh_aggregator.seed", description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="folder of the pack, such as packs/hr")
    parser.add_argument("--database", required=True, help="duckdb:///path/file.duckdb or postgresql://…")
    parser.add_argument("--employees", type=int, default=500, help="people employed at the end (default 500)")
    parser.add_argument("--years", type=int, default=3, help="full years before the current one (default 3)")
    parser.add_argument("--as-of", type=date.fromisoformat, help="last day of the data (default today)")
    parser.add_argument("--seed", type=int, default=7, help="another number makes another company (default 7)")
    parser.add_argument(
        "--source", type=Path, help="folder of the files that the pack's loader reads, where it reads any"
    )
    parser.add_argument("--force", action="store_true", help="make the data anew, whatever is there")
    return parser.parse_args(arguments)


def _already(console: Console, known: dict[str, str], wanted: dict[str, str], *, dated: bool) -> int:
    """The same data is kept, another size too: only `--force` throws data away."""
    shown = f"{known.get('employees')} employees, {known.get('years')} years, as of {known.get('as_of')}"
    if known.get("tables", wanted["tables"]) != wanted["tables"] or known.get("pack") != wanted["pack"]:
        console.print(f"The database holds {known.get('pack')} with another schema; seed again with --force.")
        return 1
    different = [
        key for key in ("employees", "years", "seed", *(("as_of",) if dated else ())) if known.get(key) != wanted[key]
    ]
    hint = " (asked for others; --force makes them anew)" if different else ""
    console.print(f"Already seeded: {shown}{hint}.", highlight=False, soft_wrap=True)
    return 0


def _seed(console: Console, pack: Pack, target: DuckAddress | PostgresAddress, company: Company) -> None:
    bar = Progress(
        TextColumn("seeding {task.description:<18}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task("", total=float(len(pack.schema.tables)))
        done: dict[str, float] = {}

        def progress(table: str, share: float) -> None:
            done[table] = share
            bar.update(task, description=table, completed=sum(done.values()))

        seed(pack, target, company, progress)
        bar.update(task, description="done", completed=float(len(pack.schema.tables)))


if __name__ == "__main__":
    sys.exit(main())
