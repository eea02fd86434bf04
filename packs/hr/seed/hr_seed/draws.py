"""Random streams, one for each purpose, so that a change in one table leaves the others as they are."""

import zlib

import numpy as np

from .columns import Ints


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """The generator of one purpose. Its first n draws do not depend on how many are made after them."""
    label = "/".join(str(part) for part in purpose)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(label.encode())])))


def weighted(draws: np.random.Generator, weights: tuple[float, ...], count: int) -> Ints:
    """Codes 0 … n-1 by weight: one uniform number each, which keeps prefixes stable."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.searchsorted(edges / edges[-1], draws.random(count), side="right").astype(np.int64)
