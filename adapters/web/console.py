"""The console's page and all that it loads, at /console/. Read once at start, as what is in `static` is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from quart import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as Redirection

from adapters.web.answers import Problem
from adapters.web.described import ANY, HTML, NOT_MODIFIED, PERMANENT_REDIRECT, Content, described

FOLDER, PAGE = "console", "index.html"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""What is served, by the ends of names; what is called otherwise is not."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Kept, but asked about each time: after an update a page must not be made of old and new modules.
    "Cache-Control": "no-cache",
}


def console_blueprint() -> Blueprint:
    """`/console/…`. Raises FileNotFoundError when the page is not where the installation should have it."""
    blueprint = Blueprint("console", __name__, static_folder=None)
    files = dict(_files(resources.files("adapters.web") / FOLDER))
    if PAGE not in files:
        raise FileNotFoundError(f"the console has no {PAGE}")
    tags = {name: hashlib.sha256(body).hexdigest()[:32] for name, body in files.items()}

    @blueprint.get("/console")
    @described(None, others={PERMANENT_REDIRECT: Content(HTML)})
    async def find_console() -> Redirection:
        """Where the console is."""
        return redirect("/console/", PERMANENT_REDIRECT)

    @blueprint.get("/console/")
    @described(Content(HTML), others={NOT_MODIFIED: None})
    async def read_console() -> Response:
        """The console: a page on which people see conversations live, and their past. It shows nothing before it is
        let in."""
        return await sent(PAGE)

    @blueprint.get("/console/<path:name>")
    @described(Content(ANY), 404, others={NOT_MODIFIED: None})
    async def read_console_file(name: str) -> Response:
        """What the console's page loads: scripts, styles, licences."""
        if name not in files:
            raise Problem(404, "Not Found")
        return await sent(name)

    async def sent(name: str) -> Response:
        response = Response(files[name], content_type=KINDS[_end(name)])
        response.set_etag(tags[name])
        await response.make_conditional(request)
        return response

    @blueprint.after_request
    async def protect(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    return blueprint


def _files(folder: Traversable, path: str = "") -> Iterator[tuple[str, bytes]]:
    """All files below, by their paths from there."""
    for entry in folder.iterdir():
        name = path + entry.name
        if entry.is_dir():
            yield from _files(entry, f"{name}/")
        elif _end(name) in KINDS:
            yield name, entry.read_bytes()


def _end(name: str) -> str:
    return name[name.rfind(".") :]
