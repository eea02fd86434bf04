"""A file that is read again when it changes, the last good reading kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Generic, TypeVar

import structlog

T = TypeVar("T", bound=Sized)
Stamp = tuple[int, int, int] | None


def stamp_of(path: Path) -> Stamp:
    """What differs when a file is replaced or written, also behind a symbolic link; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class Reloaded(Generic[T]):
    """One file's contents. `version` counts the readings."""

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        *,
        unusable: type[Exception],
        name: str,
        look_every: float = 2.0,
    ) -> None:
        """`read` raises `unusable` for what is no such file; here that is a start-up error and goes through.

        `name` is for logs; `look_every` is in seconds.
        """
        self._path = path
        self._read = read
        self._unusable = unusable
        self._name = name
        self._look_every = look_every
        self._looked_at = time.monotonic()
        # Before the reading: what changes in between is seen.
        self._stamp = stamp_of(path)
        self.value = read(path)
        self.version = 1

    def look(self, *, every: float | None = None) -> None:
        """Read the file again if it has changed, and nobody has looked within `every` seconds (default: as made)."""
        now = time.monotonic()
        if now - self._looked_at < (self._look_every if every is None else min(every, self._look_every)):
            return
        self._looked_at = now
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        log = structlog.get_logger()
        try:
            self.value = self._read(self._path)
        except self._unusable as error:
            log.error(f"{self._name}_not_usable", problem=str(error))
            return
        self.version += 1
        log.info(f"{self._name}_loaded", entries=len(self.value))
