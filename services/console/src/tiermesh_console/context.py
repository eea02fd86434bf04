"""What every handler reaches: the console's parts, the session and the visitor of a request; and how pages are made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web
from tiermesh_client import TiermeshClient
from tiermesh_runtime.errors import RpcError

from tiermesh_console import words
from tiermesh_console.development import DevelopmentSignIn
from tiermesh_console.identity import Identities, Visitor
from tiermesh_console.insights import Insights
from tiermesh_console.selection import PERIODS
from tiermesh_console.sessions import Session, SessionBook
from tiermesh_console.settings import ConsoleSettings
from tiermesh_console.troubles import trouble_of

HERE = Path(__file__).parent
STATIC = HERE / "static"
_FILTERS = (
    words.money,
    words.percent,
    words.interval,
    words.money_interval,
    words.count,
    words.milliseconds,
    words.when,
    words.iso,
    words.route,
    words.route_word,
    words.tier,
    words.stage,
    words.position,
    words.call_outcome,
    words.outcome_source,
    words.pill_kind,
    words.pill_source,
    words.proposal_state,
    words.label,
    words.markdown,
)


@dataclass(frozen=True)
class Console:
    """The parts of one console."""

    settings: ConsoleSettings
    sessions: SessionBook
    client: TiermeshClient
    insights: Insights
    identities: Identities
    development: DevelopmentSignIn | None
    templates: jinja2.Environment


CONSOLE = web.AppKey("console", Console)
SESSION = web.RequestKey("session", Session)
VISITOR = web.RequestKey("visitor", Visitor)


def make_templates() -> jinja2.Environment:
    """Return the templates; everything that is put into them is escaped, and a missing value is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({each.__name__: each for each in _FILTERS})
    environment.globals["static"] = _static_address
    environment.globals["periods"] = PERIODS
    environment.tests["refused"] = lambda value: isinstance(value, RpcError)
    environment.filters["trouble"] = trouble_of
    return environment


def _static_address(name: str, known: dict[str, str] = {}) -> str:  # noqa: B006 - a cache of files that do not change
    """Return a static file's address, with what it holds in it: browsers may then keep it for good."""
    if name not in known:
        digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
        known[name] = f"/static/{name}?v={digest}"
    return known[name]


def parts(request: web.Request) -> Console:
    """Return the console that serves the request."""
    return request.app[CONSOLE]


def page(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """Return a page of the house's frame."""
    console = parts(request)
    session = request.get(SESSION)
    frame: Mapping[str, Any] = {
        "path": request.path,
        "visitor": request.get(VISITOR),
        "csrf": console.sessions.csrf_token(session) if session is not None else "",
        "development": console.development is not None,
        "trace_url": console.settings.trace_url,
    }
    text = console.templates.get_template(template).render(**frame, **values)
    response = web.Response(text=text, content_type="text/html", charset="utf-8", status=status)
    if session is not None and not session.kept:
        console.sessions.keep(session, response)
    return response


async def form(request: web.Request) -> Mapping[str, str]:
    """Return the texts of a form; HTTPBadRequest when the body is none, whatever it calls itself."""
    try:
        fields = await request.post()
    except (ValueError, LookupError):  # no boundary between its parts, or another character set than it says
        raise web.HTTPBadRequest(text="The form cannot be read.") from None
    return {name: value for name, value in fields.items() if isinstance(value, str)}
