"""On PostgreSQL each day of a log is a table of its own, so that a day past its retention is dropped, not deleted.

A day is made when its first record comes. Days far off (a clock that jumped, a history that is loaded) share the
default partition, where retention deletes row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tiermesh_insights.store.database import Database
from tiermesh_insights.tables import PARTITIONED

_BEHIND = timedelta(days=3)
_AHEAD = timedelta(days=2)


class Partitions:
    """The days that there are."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._made: set[tuple[str, date]] = set()

    async def make_for(self, table: Table, rows: Sequence[Any]) -> None:
        """Make the days that these rows want and that are near today."""
        column = PARTITIONED.get(table.name)
        if column is None or not self._database.is_postgresql:
            return
        today = datetime.now(UTC).date()
        wanted = {getattr(row, column).astimezone(UTC).date() for row in rows}
        missing = sorted(
            day for day in wanted if today - _BEHIND <= day <= today + _AHEAD and (table.name, day) not in self._made
        )
        if missing:
            async with self._database.transaction(alone="partitions") as connection:
                for day in missing:
                    await _make(connection, table.name, column, day)
            self._made.update((table.name, day) for day in missing)


async def _make(connection: AsyncConnection, table: str, column: str, day: date) -> None:
    """Make one day, taking along what the default partition holds of it."""
    name = f"{table}_{day:%Y%m%d}"
    if (await connection.execute(text("SELECT to_regclass(:name)"), {"name": name})).scalar_one() is not None:
        return
    first, last = f"'{day}T00:00:00Z'", f"'{day + timedelta(days=1)}T00:00:00Z'"
    # Names and dates are our own; none of this comes from outside.
    await connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    moved = f'DELETE FROM {table}_default WHERE "{column}" >= {first} AND "{column}" < {last} RETURNING *'  # noqa: S608
    await connection.exec_driver_sql(f"WITH moved AS ({moved}) INSERT INTO {name} SELECT * FROM moved")  # noqa: S608
    await connection.exec_driver_sql(
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({last})"
    )


async def days_of(connection: AsyncConnection, table: str) -> list[tuple[str, date]]:
    """Return the names and days of a log's partitions, the default left out."""
    query = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:name AS regclass)")
    names: Iterable[str] = (await connection.execute(query, {"name": table})).scalars().all()
    days = []
    for name in names:
        suffix = name.rpartition("_")[2]
        if suffix.isdigit():
            days.append((name, datetime.strptime(suffix, "%Y%m%d").replace(tzinfo=UTC).date()))
    return sorted(days)
