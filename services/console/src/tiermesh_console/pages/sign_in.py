"""Signing in: a bearer token, as the gateway takes it, or in development a person from a list; and signing out."""

from __future__ import annotations

import grpc
from aiohttp import web
from tiermesh_runtime.errors import RpcError

from tiermesh_console.context import SESSION, form, page, parts
from tiermesh_console.sessions import TokenTooLongError
from tiermesh_console.troubles import Trouble, trouble_of

ROUTES = web.RouteTableDef()
_NOBODY = Trouble(400, "Nobody chosen", "Choose a person, or paste a token.")
_TOO_LONG = Trouble(
    400,
    "That token is too long for a cookie",
    "It holds more than a browser keeps.",
    "Let a signing-in proxy send it as a header instead.",
)


@ROUTES.get("/sign-in")
async def show(request: web.Request) -> web.StreamResponse:
    """Ask who it is."""
    return _form(request, request.query.get("back", "/"))


@ROUTES.post("/sign-in")
async def sign_in(request: web.Request) -> web.StreamResponse:
    """Keep the token that the gateway accepts."""
    console, given = parts(request), await form(request)
    back = _own_path(given.get("back", "/"))
    token = given.get("token", "").strip().removeprefix("Bearer ").strip()
    if console.development is not None and not token:
        token = console.development.token(given.get("person", "")) or ""
    if not token:
        return _form(request, back, _NOBODY)
    try:
        await console.identities.visitor(token)
    except RpcError as error:
        if error.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise
        return _form(request, back, trouble_of(error))
    response = web.Response(status=303, headers={"Location": back})
    try:
        # A new nonce: what was given out before this sign-in is worth nothing after it.
        console.sessions.keep(console.sessions.fresh(token), response)
    except TokenTooLongError:
        return _form(request, back, _TOO_LONG)
    return response


@ROUTES.post("/sign-out")
async def sign_out(request: web.Request) -> web.StreamResponse:
    """Forget the token, and what this browser kept of the questions."""
    response = web.Response(status=303, headers={"Location": "/sign-in", "Clear-Site-Data": '"storage"'})
    sessions = parts(request).sessions
    sessions.keep(sessions.fresh(), response)
    return response


def _form(request: web.Request, back: str, problem: Trouble | None = None) -> web.Response:
    development = parts(request).development
    return page(
        request,
        "sign_in.html",
        status=problem.status if problem is not None else 200,
        back=_own_path(back),
        problem=problem,
        people=development.people if development is not None else (),
        already=request[SESSION].signed_in,
    )


def _own_path(back: str) -> str:
    """Return `back` when it is a path of ours: nobody is sent elsewhere from here."""
    ours = back.startswith("/") and not back.startswith("//") and "\\" not in back and back.isprintable()
    return back if ours else "/"
