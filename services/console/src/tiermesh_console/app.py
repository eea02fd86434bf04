"""Puts the console together: opens its channels, names its pages. What a page does is in `pages`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from tiermesh_client import TiermeshClient
from tiermesh_runtime.channels import open_channel

from tiermesh_console import layers
from tiermesh_console.context import CONSOLE, STATIC, Console, make_templates
from tiermesh_console.development import DevelopmentSignIn
from tiermesh_console.hardening import harden
from tiermesh_console.identity import Identities, bearer
from tiermesh_console.insights import IDEMPOTENT, Insights
from tiermesh_console.pages import ask, compare, cost, quality, receipts, routing, sign_in, thresholds
from tiermesh_console.sessions import SessionBook
from tiermesh_console.settings import ConsoleSettings

# A question is at most 8,000 characters.
_LARGEST_REQUEST = 256 * 1024


@asynccontextmanager
async def build(settings: ConsoleSettings) -> AsyncIterator[web.Application]:
    """The console, ready to serve. It needs nobody to be up. StartupError names the setting and the mend."""
    development = None
    if settings.development_people is not None and settings.development_key is not None:
        development = DevelopmentSignIn(settings.development_people, settings.development_key)
    credentials = settings.channel_credentials()
    async with (
        TiermeshClient(settings.gateway_address, token=bearer.get, credentials=credentials) as client,
        open_channel(settings.insights_address, idempotent=IDEMPOTENT, credentials=credentials) as channel,
    ):
        console = Console(
            settings=settings,
            sessions=SessionBook(
                settings.session_key_file.read_bytes(), hours=settings.session_hours, secure=settings.secure_cookies
            ),
            client=client,
            insights=Insights(channel),
            identities=Identities(client),
            development=development,
            templates=make_templates(),
        )
        yield make_app(console)


def make_app(console: Console) -> web.Application:
    """Return the application of a console."""
    app = web.Application(
        middlewares=[layers.traced, layers.explained, layers.signed_in], client_max_size=_LARGEST_REQUEST
    )
    app[CONSOLE] = console
    app.on_response_prepare.append(harden)
    app.add_routes(
        [
            web.get("/", _home),
            web.get("/healthz", _healthy),
            web.get("/readyz", _healthy),
            *sign_in.ROUTES,
            *ask.ROUTES,
            *receipts.ROUTES,
            *thresholds.ROUTES,
            *routing.ROUTES,
            *cost.ROUTES,
            *quality.ROUTES,
            *compare.ROUTES,
            web.static("/static", STATIC),
        ]
    )
    return app


async def _home(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPSeeOther("/ask")


async def _healthy(_request: web.Request) -> web.StreamResponse:
    # Ready with its services away too: a page that says so is better than none.
    return web.Response(text="ok\n")
