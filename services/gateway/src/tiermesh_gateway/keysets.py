"""Where the keys come from that sign callers' tokens: a JWKS file or a URL, both followed when they rotate."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import jwt
import structlog
from tiermesh_runtime.reloading import Reloaded

from tiermesh_gateway.identity import ALGORITHMS

Fetch = Callable[[str], str]

_FETCH_SECONDS = 5.0
_MOST_BYTES = 1_048_576
# A key that is new may take this long to be taken; unknown ones must not become a way to make us fetch all day.
_LOOK_AGAIN_SECONDS = 10.0
_UNKNOWN_SECONDS = 0.2


class KeysUnusableError(Exception):
    """A JWKS file that cannot be used; the message says why."""


class JwksFile:
    """The public keys of a JWKS file by key id; read again when the file changes, the last good ones kept."""

    def __init__(self, path: Path, *, look_every: float = 2.0) -> None:
        """KeysUnusableError when the file cannot be used: a start-up error."""
        self._file = Reloaded(path, read_keys, unusable=KeysUnusableError, name="jwks", look_every=look_every)

    @property
    def version(self) -> int:
        """Another one after each change."""
        return self._file.version

    def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of this id; without an id the only key there is."""
        self._file.look()
        found = _find(self._file.value, key_id)
        if found is None:
            # Unknown key ids must not become a way to make us read files all day.
            self._file.look(every=_UNKNOWN_SECONDS)
            found = _find(self._file.value, key_id)
        return found

    def refresh(self) -> None:
        """Look at the file, if it is time to."""
        self._file.look()

    async def look_for(self, key_id: str | None) -> bool:
        """False: `key` has looked at the file already."""
        return False


class JwksUrl:
    """The public keys of a JWK set behind a URL: fetched every few minutes, and once when a token names a new one.

    The last good ones are kept while the address is away or says nonsense.
    """

    def __init__(self, url: str, fetch: Fetch, *, every: float = 300.0) -> None:
        """Use `start` before the first token."""
        self._url = url
        self._fetch = fetch
        self._every = every
        self._keys: dict[str, jwt.PyJWK] = {}
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self.version = 1

    async def start(self) -> None:
        """Fetch the first time; KeysUnusableError when that gives no keys: a start-up error."""
        self._keys = await self._fetched()

    def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of this id; without an id the only key there is."""
        return _find(self._keys, key_id)

    def refresh(self) -> None:
        """Nothing: `keep_fresh` does."""

    async def look_for(self, key_id: str | None) -> bool:
        """Fetch anew for a key that is not known, but not at the pace of whoever sends unknown ones."""
        async with self._looking:
            if _find(self._keys, key_id) is not None:
                # Whoever held the lock before has found it.
                return True
            if time.monotonic() - self._looked_at < _LOOK_AGAIN_SECONDS:
                return False
            return await self._look()

    async def keep_fresh(self) -> None:
        """Fetch again and again, for as long as it runs: a key that was withdrawn must not stay good."""
        while True:
            await asyncio.sleep(self._every)
            async with self._looking:
                await self._look()

    async def _look(self) -> bool:
        try:
            keys = await self._fetched()
        except KeysUnusableError as error:
            structlog.get_logger().error("jwks_not_usable", problem=str(error))
            return False
        if _same(keys, self._keys):
            return False
        self._keys = keys
        self.version += 1
        structlog.get_logger().info("jwks_loaded", keys=len(keys))
        return True

    async def _fetched(self) -> dict[str, jwt.PyJWK]:
        self._looked_at = time.monotonic()
        try:
            text = await asyncio.to_thread(self._fetch, self._url)
        except OSError as error:
            raise KeysUnusableError(f"{self._url}: cannot be fetched ({type(error).__name__})") from None
        return parse_keys(text, self._url)


def fetch_text(url: str) -> str:
    """What an https address says, bounded in time and size; OSError when it says nothing."""
    request = urllib.request.Request(url, headers={"accept": "application/json"})  # noqa: S310 - settings allow http(s)
    with urllib.request.urlopen(request, timeout=_FETCH_SECONDS) as response:  # noqa: S310 - the same
        text: str = response.read(_MOST_BYTES).decode("utf-8", "replace")
    return text


def _same(one: Mapping[str, jwt.PyJWK], other: Mapping[str, jwt.PyJWK]) -> bool:
    return {name: key.Algorithm.to_jwk(key.key) for name, key in one.items()} == {
        name: key.Algorithm.to_jwk(key.key) for name, key in other.items()
    }


def read_keys(path: Path) -> dict[str, jwt.PyJWK]:
    """The usable keys of a JWKS file; KeysUnusableError when there are none or one has no id among several."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KeysUnusableError(_unreadable(str(path), error)) from None
    return parse_keys(text, str(path))


def parse_keys(text: str, where: str) -> dict[str, jwt.PyJWK]:
    """The usable keys of a JWK set from `where`."""
    try:
        entries = json.loads(text)["keys"]
        keys = [(str(entry.get("kid", "")), jwt.PyJWK(entry)) for entry in entries if entry.get("use", "sig") == "sig"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, jwt.PyJWTError) as error:
        raise KeysUnusableError(_unreadable(where, error)) from None
    usable = {key_id: key for key_id, key in keys if key.algorithm_name in ALGORITHMS}
    if not usable:
        message = f"{where}: no key of {', '.join(ALGORITHMS)}; add one with use=sig"
        raise KeysUnusableError(message)
    if len(usable) < len(keys):
        message = f"{where}: keys of other algorithms than {', '.join(ALGORITHMS)}, or two of the same kid; remove them"
        raise KeysUnusableError(message)
    return usable


def _unreadable(where: str, error: Exception) -> str:
    return f"{where}: cannot be read as a JWK set ({type(error).__name__}); write {{'keys': [...]}} as in RFC 7517"


def _find(keys: Mapping[str, jwt.PyJWK], key_id: str | None) -> jwt.PyJWK | None:
    if key_id is None:
        return next(iter(keys.values())) if len(keys) == 1 else None
    return keys.get(key_id)
