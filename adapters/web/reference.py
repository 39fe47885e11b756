"""The API reference, where programs and people find it."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from quart import Blueprint, Response, current_app

from adapters.reference.asyncapi import asyncapi
from adapters.reference.openapi import openapi
from adapters.reference.page import POLICY, page
from adapters.web.described import HTML, JSON, Content, described


class Texts(Struct, frozen=True):
    """What is sent."""

    openapi: bytes
    asyncapi: bytes
    page: str


def reference_blueprint() -> Blueprint:
    """`/openapi.json`, `/asyncapi.json` and `/docs`. They are made when one is first asked for: until the app runs it
    may be given more routes.
    """
    blueprint = Blueprint("reference", __name__)

    @cache
    def made() -> Texts:
        rest, sockets = openapi(current_app), asyncapi()
        return Texts(msgspec.json.encode(rest), msgspec.json.encode(sockets), page(rest, sockets))

    @blueprint.get("/openapi.json")
    @described(dict[str, Any])
    async def get_openapi() -> Response:
        """This document, in OpenAPI 3.1."""
        return _sent(made().openapi, JSON)

    @blueprint.get("/asyncapi.json")
    @described(dict[str, Any])
    async def get_asyncapi() -> Response:
        """What is said over the WebSockets, in AsyncAPI 3."""
        return _sent(made().asyncapi, JSON)

    @blueprint.get("/docs")
    @described(Content(HTML))
    async def get_docs() -> Response:
        """Both documents, as a page for people."""
        response = _sent(made().page, f"{HTML}; charset=utf-8")
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return blueprint


def _sent(text: bytes | str, kind: str) -> Response:
    response = Response(text, content_type=kind)
    response.headers["Cache-Control"] = "no-cache"
    return response
