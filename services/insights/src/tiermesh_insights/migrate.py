"""`python -m tiermesh_insights.migrate`: brings the database to this version's schema; the job before a roll-out."""

from __future__ import annotations

import asyncio
import sys

from tiermesh_runtime.settings import load_settings, with_password

from tiermesh_insights.settings import InsightsSettings
from tiermesh_insights.store import Store, StoreUnavailableError


async def _migrate(database: str) -> None:
    store = await Store.open(database, migrate=True)
    await store.close()


def main() -> int:
    """Return the exit code."""
    settings = load_settings(InsightsSettings)
    try:
        asyncio.run(_migrate(with_password(settings.database, settings.database_password_file)))
    except StoreUnavailableError as error:
        sys.stderr.write(f"TIERMESH_INSIGHTS_DATABASE: cannot migrate {settings.database}: {error}\n")
        return 1
    sys.stdout.write("the schema is up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
