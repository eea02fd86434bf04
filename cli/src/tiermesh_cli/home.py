"""Where the command keeps what it makes: keys, data, models, logs, spools. Paths only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


class ProjectNotFoundError(Exception):
    """The command was called outside a Tiermesh checkout."""

    def __init__(self, start: Path) -> None:
        super().__init__(
            f"no Tiermesh checkout at {start} or above it: call this inside one, or set TIERMESH_PROJECT to its path"
        )


@dataclass(frozen=True)
class Home:
    """The folders of one suite on one machine."""

    project: Path
    state: Path
    # Folder of tenants' policies; None takes the development tenant's.
    own_tenants: Path | None = None

    @classmethod
    def find(cls, state: Path | None = None) -> Home:
        """Return the home of the checkout that holds the current folder.

        Raises ProjectNotFoundError when there is none.
        """
        named = os.environ.get("TIERMESH_PROJECT")
        start = Path(named) if named else Path.cwd()
        for folder in (start, *start.resolve().parents):
            if (folder / "protos" / "tiermesh").is_dir() and (folder / "packs").is_dir():
                project = folder.resolve()
                tenants = os.environ.get("TIERMESH_GATEWAY_TENANTS")
                return cls(
                    project=project,
                    state=(state or project / ".tiermesh").resolve(),
                    own_tenants=Path(tenants).resolve() if tenants else None,
                )
        raise ProjectNotFoundError(start)

    @property
    def keys(self) -> Path:
        return self.state / "keys"

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def spool(self) -> Path:
        return self.state / "spool"

    @property
    def running(self) -> Path:
        """File that says which suite runs from here, and on which addresses."""
        return self.state / "running.json"

    @property
    def classifier_model(self) -> Path:
        """Shared by every state folder of the checkout: training is the slow part of a first start."""
        return self.project / ".tiermesh" / "models" / "classifier"

    @property
    def pack(self) -> Path:
        return self.project / "packs" / "hr"

    @property
    def tenants(self) -> Path:
        return self.own_tenants or self.project / "services/gateway/config/tenants"

    @property
    def database(self) -> str:
        return f"duckdb:///{self.data / 'hr.duckdb'}"

    def prepare(self) -> None:
        """Make the folders that the suite writes to; the keys' one for the owner alone."""
        for folder in (self.state, self.data, self.logs, self.spool):
            folder.mkdir(parents=True, exist_ok=True)
        self.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
