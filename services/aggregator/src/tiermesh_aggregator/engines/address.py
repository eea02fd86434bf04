"""Which engine a database URL means."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class DuckAddress:
    """A file."""

    path: Path


@dataclass(frozen=True)
class PostgresAddress:
    """A server, as asyncpg takes it."""

    url: str


def address(url: str) -> DuckAddress | PostgresAddress:
    """`duckdb:///relative.duckdb`, `duckdb:////absolute.duckdb` or `postgresql://…`. ValueError for anything else."""
    scheme = urlsplit(url).scheme
    if scheme == "duckdb" and url.startswith("duckdb:///") and len(url) > len("duckdb:///"):
        return DuckAddress(Path(url.removeprefix("duckdb:///")))
    if scheme in ("postgresql", "postgres"):
        return PostgresAddress(url)
    raise ValueError("give duckdb:///path/to/file.duckdb or postgresql://user@host/database")
