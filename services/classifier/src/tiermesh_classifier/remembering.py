"""What was worked out for candidates before, the last ones of them: suggestions repeat from question to question.

Keys are digests under a key of this process: no text can be read back from them.
"""

import secrets
from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import Generic, TypeVar

Kept = TypeVar("Kept")
_SECRET = secrets.token_bytes(32)


def digest(*parts: str) -> bytes:
    """One key for all parts, each told from its neighbours."""
    found = blake2b(key=_SECRET, digest_size=16)
    for part in parts:
        content = part.encode(errors="surrogatepass")
        found.update(len(content).to_bytes(8, "little"))
        found.update(content)
    return found.digest()


class Remembered(Generic[Kept]):
    """The values used last, by digest. Safe to share among threads."""

    def __init__(self, most: int) -> None:
        """Keeps at most so many; 0 keeps none."""
        self._most = most
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Kept | None:
        """What was kept under a key; it counts as used."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, value: Kept) -> None:
        """Keep a value; beyond the bound what was not used for longest makes room."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
