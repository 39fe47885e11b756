from __future__ import annotations

from importlib import resources

import pytest
from quart import Response
from quart_trio import QuartTrio

from adapters.web.answers import Problem
from adapters.web.static import static_blueprint


@pytest.fixture
def app() -> QuartTrio:
    app = QuartTrio(__name__, static_folder=None)
    app.register_blueprint(static_blueprint())

    @app.errorhandler(Problem)
    async def problem(error: Problem) -> Response:
        return error.answer()

    return app


async def test_browsers_get_the_module_as_it_is_packaged(app: QuartTrio) -> None:
    response = await app.test_client().get("/static/callboard.js")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"
    packaged = resources.files("adapters.web") / "static" / "callboard.js"
    assert await response.get_data() == packaged.read_bytes()


async def test_who_has_it_already_is_told_so(app: QuartTrio) -> None:
    first = await app.test_client().get("/static/callboard.js")
    again = await app.test_client().get("/static/callboard.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, await again.get_data()) == (304, b"")
    changed = await app.test_client().get("/static/callboard.js", headers={"if-none-match": '"another"'})
    assert changed.status_code == 200


@pytest.mark.parametrize("path", ["nothing.js", "../app.py", "%2e%2e/app.py", "..%2fapp.py", "a/b", "callboard.js/"])
async def test_nothing_else_is_there(app: QuartTrio, path: str) -> None:
    response = await app.test_client().get(f"/static/{path}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert await response.get_json() == {"detail": "Not Found"}
