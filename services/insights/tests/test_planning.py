"""Reports over an embedded database take the log once, and not its square."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from tiermesh_insights.store.database import Database

JOINED = (
    "SELECT * FROM {table} JOIN decisions ON decisions.tenant = {table}.tenant "
    "AND decisions.decision_id = {table}.decision_id WHERE decisions.tenant = 'acme'"
)


async def test_what_belongs_to_decisions_is_joined_by_their_key_from_the_first_row_on(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'insights.sqlite'}", migrate=True)
    try:
        for table in ("outcomes", "endings", "pills"):
            plan = await database.rows(text(f"EXPLAIN QUERY PLAN {JOINED.format(table=table)}"))
            steps = [row[3] for row in plan]
            # The second table is looked up by a decision's id; by tenant alone it would be walked for each row.
            assert "decision_id=?" in steps[1], steps
    finally:
        await database.close()
