"""What the compiler hands over: one statement, and how its columns are to be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tiermesh_aggregator.compiling.disclosure import Summed
from tiermesh_aggregator.query import Query, ResultColumn


@dataclass(frozen=True)
class Compiled:
    """A select whose first columns are `columns`; further ones are for the reader of the result only."""

    select: sa.Select[Any]
    columns: Sequence[ResultColumn]
    query: Query
    caption: str
    limit: int
    """Rows wanted; the select may give a few more, so that ties and a cut can be seen."""
    notes: tuple[str, ...] = ()
    figures: bool = False
    """True for figures, false for records as they stand."""
    rank: int | None = None
    """Index of the column that ranks: rows that tie with the last one wanted are kept."""
    zero_when_empty: tuple[int, ...] = ()
    """Columns of which nothing recorded means zero; when all of them are, nothing was found."""
    suppressed: int | None = None
    """Index of the column that counts suppressed groups."""
    rates: int | None = None
    """Index of the first of three columns, the same in all rows: how many amounts of the whole question had no rate, a
    currency that had none, day of the newest rate used."""
    reporting: str = ""
    """The currency that amounts were converted to."""
    sums: tuple[Summed, ...] = ()
    """What is summed up beyond the visible people; empty when the statement stays with them."""
    views: tuple[str, ...] = ()
    """The precomputed views that the statement reads instead of the tables."""
    fill: tuple[int, tuple[Any, ...]] | None = None
    """Column of a calendar grain and all its steps, for a development without gaps."""

    @property
    def wide(self) -> bool:
        """Whether people beyond the visible ones are summed up; the database has to let such a statement."""
        return bool(self.sums)
