"""The HTTP client of every provider: limits, timeouts, and no proxy before a server on this machine."""

import ipaddress
from urllib.parse import urlsplit

import httpx2

_CONNECT_SECONDS = 5.0
_MAX_CONNECTIONS = 500
_KEPT_ALIVE = 100


def new_http_client(base_url: str | None) -> tuple[httpx2.AsyncClient, httpx2.Timeout]:
    """Reads have no timeout of the client's: first token and stall are watched by the provider."""
    timeout = httpx2.Timeout(None, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS)
    client = httpx2.AsyncClient(
        timeout=timeout,
        limits=httpx2.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_KEPT_ALIVE),
        # A proxy of the environment would catch a server on this machine.
        trust_env=not is_loopback(base_url),
    )
    return client, timeout


def is_loopback(base_url: str | None) -> bool:
    """True for a server on this machine."""
    host = urlsplit(base_url or "").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
