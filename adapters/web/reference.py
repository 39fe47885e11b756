"""The API reference, where programs and people find it."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Blueprint, Response, current_app

from adapters.reference.asyncapi import asyncapi
from adapters.reference.openapi import openapi
from adapters.web.described import described


def reference_blueprint() -> Blueprint:
    """`/openapi.json` and `/asyncapi.json`. They are made when they are first asked for: until the app runs it may be
    given more routes."""
    blueprint = Blueprint("reference", __name__)
    made: dict[str, bytes] = {}

    @blueprint.get("/openapi.json")
    @described(dict[str, Any])
    async def get_openapi() -> Response:
        """This document, in OpenAPI 3.1."""
        if "openapi" not in made:
            made["openapi"] = msgspec.json.encode(openapi(current_app))
        return _document(made["openapi"])

    @blueprint.get("/asyncapi.json")
    @described(dict[str, Any])
    async def get_asyncapi() -> Response:
        """What is said over the WebSockets, in AsyncAPI 3."""
        if "asyncapi" not in made:
            made["asyncapi"] = msgspec.json.encode(asyncapi())
        return _document(made["asyncapi"])

    return blueprint


def _document(text: bytes) -> Response:
    response = Response(text, content_type="application/json")
    response.headers["Cache-Control"] = "no-cache"
    return response
