"""The versions of the schema, applied by alembic: `python -m tiermesh_insights.migrate`, or at start for SQLite.

A released migration is never edited; the next change is the next file. `upgrade` is what both ways call.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

# Tables that stood before there were migrations have the shape of this one.
_FIRST = "0001"


def upgrade(connection: Connection) -> None:
    """Bring the database behind `connection` to the newest version, within its transaction."""
    config = _config()
    config.attributes["connection"] = connection
    if MigrationContext.configure(connection).get_current_revision() is None and inspect(connection).has_table(
        "decisions"
    ):
        command.stamp(config, _FIRST)
    command.upgrade(config, "head")


def is_current(connection: Connection) -> bool:
    """Say whether the database has the newest version."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == newest


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
