"""Labels and their QR codes, out of the blob store: where `label_url` and `qr_code` of the dialect `shipping` lead."""

from __future__ import annotations

from quart import Blueprint, Response, request

from adapters.web.answers import Problem
from adapters.web.described import NOT_MODIFIED, Content, described
from core.ports import BlobStore

KINDS = {b"%PDF-": "application/pdf", b"\x89PNG\r\n\x1a\n": "image/png"}
"""What is given out, by its first bytes: the store also keeps what other people recorded."""


def labels_blueprint(blobs: BlobStore) -> Blueprint:
    """`GET /labels/<digest>.pdf` and `GET /qr/<digest>.png`. No digest can be guessed, or names other bytes."""
    blueprint = Blueprint("labels", __name__)

    @blueprint.get("/labels/<digest>.pdf")
    @described(Content("application/pdf"), 404, others={NOT_MODIFIED: None})
    async def label(digest: str) -> Response:
        """A label, to print."""
        return await _answer(blobs, digest, "application/pdf")

    @blueprint.get("/qr/<digest>.png")
    @described(Content("image/png"), 404, others={NOT_MODIFIED: None})
    async def qr(digest: str) -> Response:
        """The QR code that leads to where a shipment can be tracked."""
        return await _answer(blobs, digest, "image/png")

    return blueprint


async def _answer(blobs: BlobStore, digest: str, kind: str) -> Response:
    """Kept by the browser for ever, but by nobody on the way: addresses are on it."""
    content = await blobs.get(digest)
    if content is None or _kind_of(content) != kind:
        raise Problem(404, "Not Found")
    response = Response(content, content_type=kind)
    response.set_etag(digest)
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.headers["Content-Disposition"] = "inline"
    response.headers["X-Content-Type-Options"] = "nosniff"
    await response.make_conditional(request)
    return response


def _kind_of(content: bytes) -> str | None:
    return next((kind for mark, kind in KINDS.items() if content.startswith(mark)), None)
