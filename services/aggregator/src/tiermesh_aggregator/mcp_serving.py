"""Listens for MCP over streamable HTTP beside the gRPC port. What is served: `mcp_tools`."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from tiermesh_runtime.startup import StartupError

from tiermesh_aggregator.mcp_tools import McpTools, Verifier
from tiermesh_aggregator.settings import AggregatorSettings

path = "/mcp"
start_seconds = 10.0


@dataclass(frozen=True)
class Listening:
    """Where it listens."""

    url: str


@asynccontextmanager
async def listening(tools: McpTools, verifier: Verifier, settings: AggregatorSettings) -> AsyncIterator[Listening]:
    """Serves as long as the block runs. StartupError when the port cannot be had."""
    with _bound(settings) as bound:
        port = bound.getsockname()[1]
        scheme = "https" if settings.tls_certificate else "http"
        url = f"{scheme}://{_shown(settings.host)}:{port}{path}"
        server = _Server(
            uvicorn.Config(
                _app(tools, verifier, url, settings.mcp_hosts),
                lifespan="on",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=int(settings.drain_seconds) or 1,
                ssl_certfile=settings.tls_certificate,
                ssl_keyfile=settings.tls_key,
                ssl_ca_certs=str(settings.tls_client_ca) if settings.tls_client_ca else None,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            up = asyncio.create_task(server.up.wait())
            await asyncio.wait((up, serving), timeout=start_seconds, return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            if not server.up.is_set():
                raise StartupError("TIERMESH_AGGREGATOR_MCP_PORT: serving MCP ended at once; the log says why")
            yield Listening(url)
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own business: it drains gRPC and this together."""
        yield


def _bound(settings: AggregatorSettings) -> socket.socket:
    """With its protocol named: only then does asyncio switch Nagle's algorithm off, which else costs 40 ms a call."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host.strip("[]"), settings.mcp_port or 0))
    except OSError as error:
        bound.close()
        raise StartupError(
            f"TIERMESH_AGGREGATOR_MCP_PORT: {settings.host}:{settings.mcp_port} cannot be had ({error.strerror}); "
            "choose another port"
        ) from error
    return bound


def _shown(host: str) -> str:
    return "localhost" if host in ("0.0.0.0", "[::]", "::") else host  # noqa: S104 - compared, not bound


def _app(tools: McpTools, verifier: Verifier, url: str, hosts: tuple[str, ...]) -> Any:
    """Stateless, so that any replica serves any request; answers come as events, so that a caller can cancel."""
    address = AnyHttpUrl(url)
    return tools.server().streamable_http_app(
        streamable_http_path=path,
        stateless_http=True,
        json_response=False,
        # The verifier checks the audience of the principal itself.
        auth=AuthSettings(issuer_url=address, resource_server_url=address, validate_token_resource=False),
        token_verifier=verifier,
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=["127.0.0.1:*", "localhost:*", "[::1]:*", *hosts],
            allowed_origins=[],
        ),
    )
