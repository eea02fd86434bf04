"""One thing that is fed with untrusted text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One parser; `feed` raises nothing but what it is there to raise, and that is caught in it."""

    name: str
    feed: Callable[[str], None]
    # Texts that get far; what is fed is made of their pieces, too.
    seeds: tuple[str, ...] = ()
