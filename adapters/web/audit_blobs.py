"""Bytes that events name, as they were kept: recordings, labels. For auditors; each giving is on record first."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct
from quart import Blueprint, Response

from actors.system import System
from adapters.web.accesses import recorded
from adapters.web.answers import Problem
from adapters.web.audit import auditor
from adapters.web.described import ANY, Content, described
from adapters.web.requests import query_of
from core.ports import BlobStore
from eventstore.audit import Filters

UNKNOWN = "application/octet-stream"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "sandbox",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""People sent these bytes: a browser must make nothing of them but sounds and pictures."""

_DIGEST = re.compile("[0-9a-f]{64}")
_SHOWN = re.compile(r"audio/[a-z0-9][a-z0-9.+-]{0,40}|image/png|application/pdf")


class AskedBlob(Struct, frozen=True):
    """`type`: what the bytes are, as the event says; any but audio, image/png and application/pdf is given out as
    application/octet-stream."""

    type: Annotated[str, Meta(max_length=100)] = UNKNOWN


def audit_blobs_blueprint(system: System, blobs: BlobStore) -> Blueprint:
    """The route, for the roles auditor and operator."""
    routes = Blueprint("audit_blobs", __name__)

    @routes.get("/api/audit/blobs/<digest>")
    @described(Content(ANY), 404, query=AskedBlob)
    async def read_audited_blob(digest: str) -> Response:
        """Bytes that an event names by their SHA-256. For the roles auditor and operator; being told is recorded."""
        visitor, asked = auditor(), query_of(AskedBlob)
        if not _DIGEST.fullmatch(digest):
            raise _none()
        content = await blobs.get(digest)
        await recorded(system, visitor, "blob", Filters(), int(content is not None), sha256=digest)
        if content is None:
            raise _none()
        kind = asked.type.lower()
        return Response(content, headers=HEADERS, content_type=kind if _SHOWN.fullmatch(kind) else UNKNOWN)

    return routes


def _none() -> Problem:
    return Problem(404, "There are no such bytes")
