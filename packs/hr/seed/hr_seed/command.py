"""The command behind `python generate.py`: writes the tables as Parquet or CSV files. Makes no data."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import yaml
from rich.console import Console
from rich.progress import Progress

_SCHEMA = Path(__file__).resolve().parents[2] / "schema.yaml"
_TABLES_IN_ALL = 21

Tables = Callable[..., Iterator[tuple[str, Mapping[str, Any]]]]


def main(tables: Tables, argv: Sequence[str] | None = None) -> int:
    """Reads the arguments, writes one file a chunk, returns the exit code."""
    arguments = _parser().parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    selects = _selects()
    written: Counter[str] = Counter()
    with Progress(console=Console(stderr=True)) as bar, duckdb.connect() as connection:
        task = bar.add_task("tables", total=_TABLES_IN_ALL)
        try:
            chunks = tables(
                employees=arguments.employees, years=arguments.years, as_of=arguments.as_of, seed=arguments.seed
            )
        except ValueError as error:
            _parser().error(str(error))
        for table, columns in chunks:
            path = arguments.out / f"{table}-{written[table]:04d}.{arguments.format}"
            connection.register("chunk", columns)
            typed = connection.sql(selects[table])
            if arguments.format == "parquet":
                typed.write_parquet(str(path))
            else:
                typed.write_csv(str(path), header=True)
            connection.unregister("chunk")
            written[table] += 1
            bar.update(task, completed=len(written), description=table)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="generate.py", description="Write invented HR data to files.")
    parser.add_argument("--employees", type=int, default=500, help="active employees (default 500)")
    parser.add_argument("--years", type=int, default=3, help="full years before this one (default 3)")
    parser.add_argument("--as-of", type=date.fromisoformat, default=date.today(), help="last day (default today)")
    parser.add_argument("--seed", type=int, default=7, help="random seed (default 7)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--format", choices=("parquet", "csv"), default="parquet")
    return parser


def _selects() -> dict[str, str]:
    """For each table the query that gives a chunk the types of the schema."""
    schema = yaml.safe_load(_SCHEMA.read_text(encoding="utf-8"))
    return {table["name"]: _select(table["columns"]) for table in schema["tables"]}


def _select(columns: list[dict[str, str]]) -> str:
    casts = ", ".join(f'CAST("{column["name"]}" AS {column["type"]}) AS "{column["name"]}"' for column in columns)
    # Names and types come from the schema file beside the generator, not from outside.
    return f"SELECT {casts} FROM chunk"  # noqa: S608 - see above
