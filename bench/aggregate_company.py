"""A company of any size in PostgreSQL, made by the server itself: people in a tree, and leave requests without end."""

import hashlib
from typing import Any

from tiermesh_aggregator.row_security import statements
from tiermesh_aggregator.secure import secure
from tiermesh_aggregator.seeding import create_table, shape
from tiermesh_pack.pack import Pack

reports_each = 22
"""Direct reports of everybody who has any: somebody two levels above the last has 22 + 22 x 22 = 506."""
kinds = "ARRAY['annual','annual','annual','sick','parental','unpaid','study','compassionate']"
states = "ARRAY['approved','approved','approved','pending','rejected','cancelled']"

fills = (
    "INSERT INTO departments SELECT 'D' || lpad(d::text, 3, '0'), 'Department ' || d, "
    "(ARRAY['Technology','Commercial','Corporate','Operations'])[d % 4 + 1], 'C' || d, 'E' || lpad(d::text, 7, '0') "
    "FROM generate_series(1, 40) d",
    "INSERT INTO locations VALUES ('L01', 'Berlin', 'Berlin', 'DE', 'Europe/Berlin', 'EUR')",
    "INSERT INTO leave_types SELECT kind, initcap(kind), true, 25, 5 "
    "FROM unnest(ARRAY['annual','sick','parental','unpaid','study','compassionate']) kind",
    "INSERT INTO employees SELECT 'E' || lpad(i::text, 7, '0'), 'Person ' || i, 'p' || i || '@example.com', '', "
    "date '1970-01-01' + i % 10000, date '2015-01-01' + i % 3000, NULL, 'permanent', 'Job', 'G' || (i % 9 + 1), "
    "'D' || lpad((i % 40 + 1)::text, 3, '0'), 'L01', "
    "CASE WHEN i > 1 THEN 'E' || lpad(((i - 2) / {reports} + 1)::text, 7, '0') END, 'active', 40 "
    "FROM generate_series(1, {people}) i",
    "INSERT INTO reporting_lines WITH RECURSIVE up(manager_id, employee_id, depth) AS ("
    "SELECT manager_id, employee_id, 1 FROM employees WHERE manager_id IS NOT NULL UNION ALL "
    "SELECT e.manager_id, up.employee_id, up.depth + 1 FROM up JOIN employees e ON e.employee_id = up.manager_id "
    "WHERE e.manager_id IS NOT NULL) SELECT * FROM up",
    "INSERT INTO leave_requests SELECT 'LR' || lpad(n::text, 9, '0'), 'E' || lpad((n % {people} + 1)::text, 7, '0'), "
    "({kinds})[(n / 3) % 8 + 1], day, day + (n % 9)::int, n % 9 + 1, "
    "({states})[(n / 7) % 6 + 1], day - 20, NULL, NULL FROM ("
    "SELECT n, date '2024-01-01' + ((n::bigint * 7919) % 1060)::int AS day FROM generate_series(1, {rows}) n) made",
)


async def make(connection: Any, pack: Pack, people: int, rows: int) -> bool:
    """Whether the company had to be made; one of the same size and the same tables that is there already is kept.

    Policies and views are always those of the pack as it is now.
    """
    await connection.execute("CREATE TABLE IF NOT EXISTS tiermesh_bench (key text PRIMARY KEY, value text)")
    known = {row["key"]: row["value"] for row in await connection.fetch("SELECT key, value FROM tiermesh_bench")}
    made = hashlib.sha256(repr((people, rows, shape(pack.schema), fills)).encode()).hexdigest()
    secured = hashlib.sha256(repr(statements(pack)).encode()).hexdigest()
    if known.get("company") != made:
        await _filled(connection, pack, people, rows)
        await _remember(connection, "company", made)
        known = {}
    if known.get("secured") != secured:
        await secure(connection, pack)
        await connection.execute("VACUUM ANALYZE", timeout=3600)
        await _remember(connection, "secured", secured)
    return known == {}


async def _filled(connection: Any, pack: Pack, people: int, rows: int) -> None:
    """Creates the pack's tables anew and fills those that are measured."""
    for table in reversed(list(pack.schema.tables.values())):
        await connection.execute(f"DROP TABLE IF EXISTS {table.name} CASCADE")
    for table in pack.schema.tables.values():
        await connection.execute(create_table(table, table.name, keys=False))
    for sql in fills:
        made = sql.format(people=people, rows=rows, reports=reports_each, kinds=kinds, states=states)
        await connection.execute(made, timeout=3600)
    for table in pack.schema.tables.values():
        await connection.execute(
            f"ALTER TABLE {table.name} ADD PRIMARY KEY ({', '.join(table.primary_key)})", timeout=3600
        )
        for columns in table.indexes:
            await connection.execute(f"CREATE INDEX ON {table.name} ({', '.join(columns)})", timeout=3600)
    await connection.execute("VACUUM ANALYZE", timeout=3600)


async def _remember(connection: Any, key: str, value: str) -> None:
    sql = "INSERT INTO tiermesh_bench VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    await connection.execute(sql, key, value)
