"""The app around the routes: health, errors, and who may call from where."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.web.settings import WebSettings

ORIGIN = "http://localhost:3000"


async def test_the_server_says_that_it_is_healthy(server: Any) -> None:
    answer = await server.http.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})
    assert answer.headers["Content-Type"] == "application/json"


async def test_an_unknown_path_is_a_404_in_json(server: Any) -> None:
    answer = await server.http.get("/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_a_wrong_method_is_a_405_that_names_the_right_ones(server: Any) -> None:
    answer = await server.http.delete("/health")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert "GET" in answer.headers["Allow"]


async def test_a_crash_is_a_500_without_a_stack_trace(server: Any) -> None:
    async def crash() -> None:
        raise RuntimeError("a secret of the inside")

    server.app.add_url_rule("/crash", view_func=crash)
    answer = await server.http.get("/crash", headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_a_body_beyond_the_limit_is_a_413(start: Any, small_frames: WebSettings) -> None:
    server = await start(settings=small_frames)
    answer = await server.http.post("/api/v2/conversations", content=b"x" * 5000)
    assert (answer.status_code, answer.json()) == (413, {"detail": "Request Entity Too Large"})


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:3000"])
async def test_an_allowed_origin_is_echoed_with_credentials(server: Any, origin: str) -> None:
    headers = (await server.http.get("/health", headers={"Origin": origin})).headers
    assert headers["Access-Control-Allow-Origin"] == origin
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", ["http://localhost:3001", "https://localhost:3000", "null", "*"])
async def test_another_origin_gets_no_permission(server: Any, origin: str) -> None:
    headers = (await server.http.get("/health", headers={"Origin": origin})).headers
    assert not [name for name in headers if name.startswith("access-control-")]
    assert headers["Vary"] == "Origin"


async def test_errors_can_be_read_across_origins_too(server: Any) -> None:
    answer = await server.http.get("/nowhere", headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, ORIGIN)


async def test_a_preflight_permits_what_is_asked_for(server: Any) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type, idempotency-key",
    }
    answer = await server.http.options("/api/v2/conversations/x/end", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type, idempotency-key"


async def test_a_preflight_from_elsewhere_is_not_permitted(server: Any) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    answer = await server.http.options("/api/v2/conversations/x/end", headers=asked)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Access-Control-Allow-Methods" not in answer.headers


async def test_the_origins_are_a_setting(start: Any) -> None:
    server = await start(settings=WebSettings(model="scripted", cors_origins=("https://app.example.com",)))
    for origin, permitted in (("https://app.example.com", True), (ORIGIN, False)):
        headers = (await server.http.get("/health", headers={"Origin": origin})).headers
        assert ("Access-Control-Allow-Origin" in headers) is permitted


@pytest.mark.parametrize("path", ["/api/audit/events", "/api/log/stream"])
async def test_a_foreign_page_adds_nothing_to_the_log_by_having_it_read(start: Any, path: str) -> None:
    """An image's address is asked for without an Origin; a browser says all the same that another site's page asks."""
    server = await start(settings=WebSettings(model="scripted", cors_origins=(ORIGIN,)))
    for site in ("cross-site", "same-site"):
        for more in ({}, {"Origin": "https://evil.example"}):
            answer = await server.http.get(path, headers={"Sec-Fetch-Site": site, **more})
            assert answer.status_code == 403
            assert "may not read the log" in answer.json()["detail"]
        permitted = await server.http.head(path, headers={"Sec-Fetch-Site": site, "Origin": ORIGIN})
        assert permitted.status_code != 403
    for site in ("same-origin", "none"):
        assert (await server.http.head(path, headers={"Sec-Fetch-Site": site})).status_code != 403
    assert (await server.http.get("/health", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200
