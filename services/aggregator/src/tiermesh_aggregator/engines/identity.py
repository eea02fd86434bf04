"""For whom a statement runs, as the database is told. What follows from it stands in `row_security`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """The signed principal's person and roles; `wide` when a statement sums up people beyond the visible ones."""

    person: str = ""
    roles: frozenset[str] = frozenset()
    wide: bool = False


nobody = Identity()
"""Sees what is public and nothing else."""
