"""The wire under the providers' HTTP client: `aiohttp`, whose parser is native, below `httpx2`, which the SDKs speak.

Whatever has arrived is handed on in one piece, so that chunks in flight merge; and a stream costs a third of what it
does on `httpx2`'s own transport.
"""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx2
from yarl import URL

# What the SDK did not ask for is not sent.
_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class StreamingTransport(httpx2.AsyncBaseTransport):
    """One connection pool; opened with the first request."""

    def __init__(self, trusted: ssl.SSLContext, *, connections: int) -> None:
        """`trusted` verifies servers; `connections` is the most at once."""
        self._trusted = trusted
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See `httpx2.AsyncBaseTransport`."""
        limits = request.extensions.get("timeout", {})
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=limits.get("pool"),
            sock_connect=limits.get("connect"),
            sock_read=limits.get("read"),
        )
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        with _errors(request, answered=False):
            response = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=headers,
                data=await request.aread() or None,
                skip_auto_headers=_NOT_ADDED,
                allow_redirects=False,
                timeout=timeout,
            )
        return httpx2.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(request, response),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        """Closes the pool."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._trusted),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                # Proxies are not for this transport.
                trust_env=False,
            )
        return self._session


class _Body(httpx2.AsyncByteStream):
    """A response's body."""

    def __init__(self, request: httpx2.Request, response: aiohttp.ClientResponse) -> None:
        self._request = request
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Whatever has arrived, each time."""
        with _errors(self._request, answered=True):
            while data := await self._response.content.readany():
                yield data

    async def aclose(self) -> None:
        """The connection is kept when the body was read to its end."""
        self._response.close()


@contextmanager
def _errors(request: httpx2.Request, *, answered: bool) -> Iterator[None]:
    """Raise what `httpx2` would have."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx2.ConnectTimeout(str(error), request=request) from error
    except TimeoutError as error:
        # Of the pool and of reading; a deadline of ours cancels instead.
        raise httpx2.ReadTimeout(str(error), request=request) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx2.ConnectError(str(error), request=request) from error
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError) as error:
        raise httpx2.RemoteProtocolError(str(error), request=request) from error
    except (aiohttp.ClientError, OSError) as error:
        raise (httpx2.ReadError if answered else httpx2.ConnectError)(str(error), request=request) from error
