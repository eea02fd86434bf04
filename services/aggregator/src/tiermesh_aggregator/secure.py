"""`python -m tiermesh_aggregator.secure`: makes the roles, grants and policies of a pack in a PostgreSQL database.

Run by the owner of the tables, once, and again when the pack's visibilities have changed. Seeding does the same.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
from asyncpg import exceptions
from tiermesh_pack.documents import PackError
from tiermesh_pack.pack import Pack, load_pack
from tiermesh_runtime.settings import with_password

from tiermesh_aggregator.actions.performing import create
from tiermesh_aggregator.engines.address import PostgresAddress, address
from tiermesh_aggregator.row_security import statements


async def secure(connection: Any, pack: Pack) -> None:
    """Runs everything on an open connection; in a transaction when the caller has begun one."""
    for sql in (create, *statements(pack)):
        await connection.execute(sql)


async def _run(url: str, pack: Pack) -> None:
    connection = await asyncpg.connect(url, timeout=10)  # type: ignore[no-untyped-call] # published untyped
    try:
        async with connection.transaction():
            await secure(connection, pack)
    finally:
        await connection.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Secures a database, or prints what would be run. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tiermesh_aggregator.secure", description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="folder of the pack, such as packs/hr")
    parser.add_argument("--database", required=True, help="postgresql://owner@host/database")
    parser.add_argument("--password-file", type=Path, help="file with the owner's password")
    parser.add_argument("--print", action="store_true", help="print the statements and run nothing")
    options = parser.parse_args(arguments)
    try:
        pack, target = load_pack(options.pack), address(options.database)
        if not isinstance(target, PostgresAddress):
            raise ValueError("only PostgreSQL has row-level security; DuckDB is an embedded file of one process")
        if options.print:
            print(";\n".join((create, *statements(pack))) + ";")
            return 0
        asyncio.run(_run(with_password(target.url, options.password_file), pack))
    except (PackError, ValueError, OSError, exceptions.PostgresError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
