"""The headers that every response carries: what a browser may load, keep and tell others."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

# No inline script or style anywhere; nothing from another host; framed by nobody.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_FOR_GOOD = "public, max-age=31536000, immutable"


async def harden(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add the headers; called before any response is sent, streams included."""
    response.headers.update(_HEADERS)
    kept = request.path.startswith("/static/") and "v" in request.query and response.status < 400
    response.headers["Cache-Control"] = _FOR_GOOD if kept else "no-store"
    if request.secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    response.headers.popall("Server", None)
