"""Columns in the form that loaders read, and their chunks. Inside the generator days are int64 days since 1970."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Texts: TypeAlias = NDArray[np.object_]
Times: TypeAlias = NDArray[np.datetime64]
Column: TypeAlias = Ints | Floats | Bools | Texts | Times
Columns: TypeAlias = Mapping[str, Column]
Chunk: TypeAlias = tuple[str, Columns]

CHUNK_ROWS = 250_000
NO_DAY = int(np.iinfo(np.int64).min)
"""A missing day: numpy's own bit pattern of NaT, so that no masking is needed."""


def dates(days: Ints) -> Times:
    """Days since 1970 as midnight timestamps (microseconds: the unit that databases scan without conversion)."""
    return days.astype("datetime64[D]").astype("datetime64[us]")


def moments(minutes: Ints) -> Times:
    """Minutes since 1970 as timestamps."""
    return minutes.astype("datetime64[m]").astype("datetime64[us]")


def texts(values: Sequence[str], codes: Ints | None = None) -> Texts:
    """The values, or the value of each code; -1 is NULL."""
    known = with_null(np.array(values, dtype=object))
    return known[:-1] if codes is None else known[codes]


def with_null(values: Texts) -> Texts:
    """The values and None after the last, so that position -1 is NULL."""
    longer: Texts = np.empty(len(values) + 1, dtype=object)
    longer[:-1] = values
    longer[-1] = None
    return longer


def numbered(prefix: str, first: int, count: int, width: int = 7) -> Texts:
    """`count` ids from `first` on: LR0000001, LR0000002, …; digits are laid out in one array, no formatting by row."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    letters = np.empty((count, len(prefix) + width), dtype=np.uint32)
    letters[:, : len(prefix)] = [ord(letter) for letter in prefix]
    letters[:, len(prefix) :] = numbers[:, None] // powers % 10 + ord("0")
    return letters.view(f"U{len(prefix) + width}")[:, 0].astype(object)


def month_of(days: Ints) -> Ints:
    """Months since January 1970."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def month_start(months: Ints) -> Ints:
    """First day of each month."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def year_of(days: Ints) -> Ints:
    """Calendar year of each day."""
    return days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def year_start(years: Ints) -> Ints:
    """1 January of each year."""
    return (years - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)


def rows_of(columns: Columns) -> int:
    """How many rows."""
    return len(next(iter(columns.values())))


def split(name: str, columns: Columns) -> Iterator[Chunk]:
    """A whole table in chunks; nothing for an empty one."""
    rows = rows_of(columns)
    for start in range(0, rows, CHUNK_ROWS):
        yield name, {key: column[start : start + CHUNK_ROWS] for key, column in columns.items()}


def gather(name: str, parts: Iterable[Columns]) -> Iterator[Chunk]:
    """Many small parts as few chunks, none above CHUNK_ROWS."""
    waiting: list[Columns] = []
    rows = 0
    for part in parts:
        if waiting and rows + rows_of(part) > CHUNK_ROWS:
            yield from split(name, _joined(waiting))
            waiting, rows = [], 0
        waiting.append(part)
        rows += rows_of(part)
    if waiting:
        yield from split(name, _joined(waiting))


def _joined(parts: Sequence[Columns]) -> Columns:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
