"""The thresholds that insights set, kept for a restart while insights is away."""

from __future__ import annotations

from collections.abc import Mapping

from tiermesh_gateway.adapters.database import Database, Operation
from tiermesh_gateway.tenants import LiveThreshold


class KeptThresholds:
    """The last word on each tenant's threshold, of whichever replica heard it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Mapping[str, LiveThreshold]:
        """What was applied and not undone, by tenant. StoreUnavailable."""
        return await self._database.run(_load())

    async def keep(self, tenant: str, live: LiveThreshold | None, set_at: float) -> None:
        """Keep a threshold, or None for the file's; an older word than what is kept changes nothing.

        `set_at` are seconds since 1970 by the clock of insights. StoreUnavailable.
        """
        await self._database.run(_keep(tenant, live, set_at))


def _load() -> Operation[Mapping[str, LiveThreshold]]:
    rows = yield "SELECT tenant, threshold, version FROM live_thresholds WHERE applied = 1", ()
    return {str(tenant): LiveThreshold(float(threshold), str(version)) for tenant, threshold, version in rows}


def _keep(tenant: str, live: LiveThreshold | None, set_at: float) -> Operation[None]:
    threshold, version = (0.0, "") if live is None else (live.value, live.version)
    yield (
        "INSERT INTO live_thresholds VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (tenant) DO UPDATE SET threshold = excluded.threshold, version = excluded.version,"
        " applied = excluded.applied, set_at = excluded.set_at WHERE live_thresholds.set_at <= excluded.set_at",
        (tenant, threshold, version, int(live is not None), set_at),
    )
