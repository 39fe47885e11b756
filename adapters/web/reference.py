"""The API reference, where programs and people find it."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Blueprint, Response, current_app

from adapters.reference.openapi import openapi
from adapters.web.described import described


def reference_blueprint() -> Blueprint:
    """`/openapi.json`. It is made when it is first asked for, as until the app runs it may be given more routes."""
    blueprint = Blueprint("reference", __name__)
    made: dict[str, bytes] = {}

    @blueprint.get("/openapi.json")
    @described(dict[str, Any])
    async def get_openapi() -> Response:
        """This document, in OpenAPI 3.1."""
        if "openapi" not in made:
            made["openapi"] = msgspec.json.encode(openapi(current_app))
        return _document(made["openapi"])

    return blueprint


def _document(text: bytes) -> Response:
    response = Response(text, content_type="application/json")
    response.headers["Cache-Control"] = "no-cache"
    return response
