"""What browsers load from us: the client module. Read once at start, so that a broken installation is told then."""

from __future__ import annotations

import hashlib
from importlib import resources

from quart import Blueprint, Response, request

from adapters.web.answers import Problem
from adapters.web.described import NOT_MODIFIED, Content, described

SCRIPTS = ("callboard.js",)
FOLDER = "static"


def static_blueprint() -> Blueprint:
    """`/static/…`. Raises FileNotFoundError when a file is not where the installation should have it."""
    blueprint = Blueprint("static_files", __name__, static_folder=None)
    folder = resources.files("adapters.web") / FOLDER
    files = {name: (folder / name).read_bytes() for name in SCRIPTS}
    tags = {name: hashlib.sha256(body).hexdigest()[:32] for name, body in files.items()}

    @blueprint.get("/static/<path:name>")
    @described(Content("text/javascript"), 404, others={NOT_MODIFIED: None})
    async def read(name: str) -> Response:
        """What pages load: `callboard.js`, the client for browsers."""
        if name not in files:
            raise Problem(404, "Not Found")
        response = Response(files[name], content_type="text/javascript; charset=utf-8")
        response.set_etag(tags[name])
        # Kept, but asked about each time: after an update a page must not talk through an old client.
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        await response.make_conditional(request)
        return response

    return blueprint
