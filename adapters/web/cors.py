"""Cross-origin access by an allow-list: the concrete origin is echoed, never a star, so that credentials may travel."""

from __future__ import annotations

from quart import Quart, Response, request

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
PREFLIGHT_SECONDS = 600


def allow_origins(app: Quart, origins: tuple[str, ...]) -> None:
    """Answer preflights and mark answers, errors too, for the browsers of these origins."""
    allowed = frozenset(origins)

    async def preflight() -> Response | None:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return Response(b"", status=204)  # without a body Quart would iterate one with asyncio
        return None

    async def mark(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin in allowed:
            _permit(response, origin)
        return response

    app.before_request(preflight)
    app.after_request(mark)


def _permit(response: Response, origin: str) -> None:
    headers = response.headers
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Allow-Credentials"] = "true"
    headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-ID"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        headers["Access-Control-Allow-Methods"] = METHODS
        headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        if asked := request.headers.get("Access-Control-Request-Headers"):
            headers["Access-Control-Allow-Headers"] = asked
