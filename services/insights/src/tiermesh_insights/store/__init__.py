"""What is kept, and reading it back: SQLite embedded, PostgreSQL in production. Nothing is worked out here."""

from __future__ import annotations

from datetime import datetime

from tiermesh_insights.store.database import Database, StoreUnavailableError, UnstorableError
from tiermesh_insights.store.judged import Judged
from tiermesh_insights.store.log import Log
from tiermesh_insights.store.pills import Pills
from tiermesh_insights.store.policies import Policies
from tiermesh_insights.store.reading import Reading
from tiermesh_insights.store.reports import Reports
from tiermesh_insights.store.upkeep import Upkeep

__all__ = ["Store", "StoreUnavailableError", "UnstorableError"]


class Store:
    """One database, by what is asked of it. Everything here raises StoreUnavailableError when it is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.log = Log(database)
        self.reading = Reading(database)
        self.reports = Reports(database)
        self.judged = Judged(database)
        self.pills = Pills(database)
        self.policies = Policies(database)
        self.upkeep = Upkeep(database)

    @classmethod
    async def open(cls, address: str, *, migrate: bool = True) -> Store:
        """Connect to `sqlite:///path` or `postgresql://…`; bring the schema to this version, or check that it is there.

        Raises StoreUnavailableError.
        """
        return cls(await Database.open(address, migrate=migrate))

    async def close(self) -> None:
        """Give the connections back."""
        await self._database.close()

    async def now(self) -> datetime:
        """The database's clock, which every process shares."""
        return await self._database.now()
