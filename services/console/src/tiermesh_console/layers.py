"""What happens around every handler, outermost first: trace, trouble, sign-in and forged requests.

Not here: what a page does, which headers browsers get (`hardening`).
"""

from __future__ import annotations

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from tiermesh_runtime import question_baggage, telemetry
from tiermesh_runtime.errors import RpcError

from tiermesh_console.context import SESSION, VISITOR, form, page, parts
from tiermesh_console.identity import bearer, token_of_header
from tiermesh_console.troubles import Trouble, http_trouble, trouble_of

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Needed by nobody in particular.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
SIGN_IN = "/sign-in"
_CSRF_HEADER = "X-CSRF-Token"
_tracer = telemetry.tracer("tiermesh_console")


@web.middleware
async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A SERVER span per request: the questions asked here begin their trace in it."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "unmatched"
    parent = question_baggage.without(propagate.extract(dict(request.headers)))
    attributes = {"http.request.method": request.method, "http.route": route, "url.scheme": request.scheme}
    with _tracer.start_as_current_span(
        f"{request.method} {route}", parent, trace.SpanKind.SERVER, attributes, record_exception=False
    ) as span:
        token = otel_context.attach(trace.set_span_in_context(span))
        try:
            response = await handler(request)
        finally:
            otel_context.detach(token)
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= 500:
            span.set_status(trace.StatusCode.ERROR)
        return response


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what goes wrong into a page, or for scripts into JSON; what is not foreseen says nothing of its cause."""
    try:
        return await handler(request)
    except RpcError as error:
        if error.reason.startswith("CREDENTIALS_") and not _for_script(request):
            return _to_sign_in(request)
        found = trouble_of(error)
        structlog.get_logger().info("refused", path=request.path, reason=error.reason, code=error.code.name)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        found = http_trouble(error.status, error.text or error.reason)
    except Exception as error:
        structlog.get_logger().error("request_failed", path=request.path, exc_info=error)
        found = http_trouble(500, "The console failed. Its log says why.")
    return told(request, found)


@web.middleware
async def signed_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who has signed in, and only changing requests that come from our own pages."""
    if request.path in OPEN_PATHS or request.path.startswith("/static/"):
        return await handler(request)
    console = parts(request)
    session = console.sessions.open(request)
    request[SESSION] = session
    if request.method not in SAFE:
        given = request.headers.get(_CSRF_HEADER) or (await form(request)).get("csrf", "")
        if not console.sessions.csrf_holds(session, request, given):
            raise web.HTTPForbidden(text="This form is not from a page of this sign-in, or is too old. Load it again.")
    token = token_of_header(request) or session.token
    if request.path == SIGN_IN:
        return await handler(request)
    if not token:
        if _for_script(request):
            return told(request, http_trouble(401, "You are not signed in."))
        return _to_sign_in(request)
    request[VISITOR] = await console.identities.visitor(token)
    bearer.set(token)
    return await handler(request)


def told(request: web.Request, found: Trouble) -> web.Response:
    """Return a trouble as its reader can take it."""
    if _for_script(request):
        return web.json_response({"error": found.values}, status=found.status)
    return page(request, "trouble.html", status=found.status, found=found)


def _for_script(request: web.Request) -> bool:
    return _CSRF_HEADER in request.headers


def _to_sign_in(request: web.Request) -> web.Response:
    back = request.path_qs if request.method == "GET" else "/"
    return web.Response(status=303, headers={"Location": str(request.rel_url.with_path(SIGN_IN).with_query(back=back))})
