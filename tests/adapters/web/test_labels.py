from __future__ import annotations

import pytest
from quart import Response
from quart_trio import QuartTrio

from adapters.gateways.blobs import MemoryBlobs
from adapters.gateways.label_sheets import draw_qr
from adapters.web.answers import Problem
from adapters.web.labels import labels_blueprint

SHEET, QR = b"%PDF-1.7 a label", draw_qr("1Z5")


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def app(blobs: MemoryBlobs) -> QuartTrio:
    app = QuartTrio(__name__, static_folder=None)
    app.register_blueprint(labels_blueprint(blobs))

    @app.errorhandler(Problem)
    async def problem(error: Problem) -> Response:
        return error.answer()

    return app


async def test_a_label_and_its_qr_code_are_where_their_digests_say(app: QuartTrio, blobs: MemoryBlobs) -> None:
    for path, ending, content, kind in (("labels", "pdf", SHEET, "application/pdf"), ("qr", "png", QR, "image/png")):
        response = await app.test_client().get(f"/{path}/{await blobs.put(content)}.{ending}")
        assert response.status_code == 200
        assert await response.get_data() == content
        assert response.headers["content-type"] == kind
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "private, max-age=31536000, immutable"


async def test_who_has_it_already_is_told_so(app: QuartTrio, blobs: MemoryBlobs) -> None:
    digest = await blobs.put(SHEET)
    response = await app.test_client().get(f"/labels/{digest}.pdf", headers={"If-None-Match": f'"{digest}"'})
    assert response.status_code == 304


async def test_what_is_not_there_or_no_digest_is_not_found(app: QuartTrio) -> None:
    for path in (f"/labels/{'0' * 64}.pdf", "/labels/..%2Fcallboard.db.pdf", "/qr/x.png", "/labels/.pdf"):
        assert (await app.test_client().get(path)).status_code == 404


async def test_nothing_but_labels_is_given_out(app: QuartTrio, blobs: MemoryBlobs) -> None:
    for content in (b"RIFF....WAVE", b"<html><script>", b"", SHEET):
        assert (await app.test_client().get(f"/qr/{await blobs.put(content)}.png")).status_code == 404
