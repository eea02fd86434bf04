"""The HTTP client of every provider: limits, timeouts, and no proxy before a server on this machine."""

import functools
import ipaddress
import ssl
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx2

from tiermesh_executor.models.http_transport import StreamingTransport

_CONNECT_SECONDS = 5.0
_MAX_CONNECTIONS = 500
_KEPT_ALIVE = 100


def new_http_client(base_url: str | None) -> tuple[httpx2.AsyncClient, httpx2.Timeout]:
    """Reads have no timeout of the client's: first token and stall are watched by the provider."""
    timeout = httpx2.Timeout(None, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS)
    # A proxy of the environment would catch a server on this machine.
    if is_loopback(base_url) or not getproxies():
        transport = StreamingTransport(_trusted(), connections=_MAX_CONNECTIONS)
        return httpx2.AsyncClient(timeout=timeout, transport=transport, trust_env=False), timeout
    limits = httpx2.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_KEPT_ALIVE)
    return httpx2.AsyncClient(timeout=timeout, limits=limits, verify=_trusted()), timeout


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Reading the certificates of the authorities takes 0.1 s; once is enough for all providers."""
    return httpx2.create_ssl_context()


def is_loopback(base_url: str | None) -> bool:
    """True for a server on this machine."""
    host = urlsplit(base_url or "").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
