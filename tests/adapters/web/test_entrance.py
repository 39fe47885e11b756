"""Auth, rates, origins and the connection limit, as clients on real sockets meet them."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest
import trio
from trio_websocket import ConnectionRejected

from adapters.web.limits import Bucket, Principals, Rate
from adapters.web.settings import WebSettings
from tests.adapters.web.conftest import Start

SECRET = "an-example-of-a-signing-key-with-enough-bytes"
SECOND = 1_000_000


def token(server: Any, *, lives: float = 60.0, **claims: Any) -> str:
    expires = server.system.clock.now() / SECOND + lives
    return jwt.encode({"sub": "ada", "exp": expires, **claims}, SECRET, "HS256")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def guarded(start: Start) -> Any:
    return await start(secret=SECRET)


async def opened(server: Any) -> str:
    answer = await server.http.post("/api/v2/conversations", json={}, headers=bearer(token(server)))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def test_a_request_without_a_token_is_unauthorized(guarded: Any) -> None:
    answer = await guarded.http.post("/api/v2/conversations", json={})
    assert (answer.status_code, answer.json()) == (401, {"detail": "Missing authentication token"})
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_socket_without_a_token_is_told_why_and_closed_with_1008(guarded: Any) -> None:
    id = await opened(guarded)
    async with guarded.talk(id) as socket:
        assert await socket.closed() == (1008, "Missing authentication token")
    async with guarded.talk(id, "?token=nonsense") as socket:
        assert await socket.closed() == (1008, "Invalid or expired token")


async def test_a_token_among_the_subprotocols_opens_and_is_answered_with_bearer(guarded: Any) -> None:
    id = await opened(guarded)
    async with guarded.talk(id, subprotocols=["bearer", token(guarded)]) as socket:
        assert socket.wire.subprotocol == "bearer"
        assert (await socket.frame())["type"] == "state_update"


async def test_what_a_socket_tells_is_recorded_under_its_principal(guarded: Any) -> None:
    id = await opened(guarded)
    async with guarded.talk(id, extra_headers=[(b"Authorization", f"Bearer {token(guarded)}".encode())]) as socket:
        await socket.frames(2)
    (_, joined, *_) = await guarded.system.store.read_all()
    assert joined.stamp.principal == "ada"


async def test_a_talk_ends_with_4401_when_its_token_expires(guarded: Any) -> None:
    id = await opened(guarded)
    async with guarded.talk(id, f"?token={token(guarded, lives=1.0)}") as socket:
        await socket.frames(2)
        code, reason = await socket.closed()
    assert (code, reason) == (4401, "the token has expired; come back with a new one")


async def test_an_expired_token_does_not_resume(guarded: Any) -> None:
    id = await opened(guarded)
    epoch = guarded.system.store.epoch
    async with guarded.talk(id, f"?since=1&epoch={epoch}&token={token(guarded, lives=-5.0)}") as socket:
        assert await socket.closed() == (1008, "Invalid or expired token")


async def test_only_an_operator_sees_the_metrics(guarded: Any) -> None:
    client, operator = token(guarded), token(guarded, role="operator")
    assert (await guarded.http.get("/metrics", headers=bearer(client))).status_code == 403
    assert (await guarded.http.get("/metrics", headers=bearer(operator))).status_code == 200


async def test_health_and_readiness_are_for_everybody(guarded: Any) -> None:
    assert (await guarded.http.get("/health")).json() == {"status": "healthy"}
    assert (await guarded.http.get("/ready")).status_code == 200


async def test_one_principals_key_does_not_reach_anothers_conversation(guarded: Any) -> None:
    ids = set()
    for name in ("ada", "bob", "ada"):
        headers = {**bearer(token(guarded, sub=name)), "Idempotency-Key": "the same"}
        ids.add((await guarded.http.post("/api/v2/conversations", json={}, headers=headers)).json()["id"])
    assert len(ids) == 2


async def test_the_test_endpoints_connect_to_themselves_with_the_callers_token(guarded: Any) -> None:
    answer = await guarded.http.get("/api/test/system-status", headers=bearer(token(guarded)))
    assert answer.json()["components"]["websocket_server"] != "unavailable"
    assert answer.json()["system_status"] == "operational"


async def test_a_page_from_elsewhere_cannot_connect(server: Any) -> None:
    id = await server.opened()
    with pytest.raises(ConnectionRejected) as refused:
        async with server.talk(id, extra_headers=[(b"Origin", b"https://evil.example")]):
            pass
    assert refused.value.status_code == 403


async def test_a_page_of_an_allowed_origin_connects(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id, extra_headers=[(b"Origin", b"http://localhost:3000")]) as socket:
        assert (await socket.frame())["type"] == "state_update"


async def test_who_sends_too_much_is_told_when_to_come_back_and_stays_connected(start: Start) -> None:
    server = await start(settings=WebSettings(model="scripted", rate=Rate(1.0, 3)))
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        for _ in range(5):
            await socket.send("heartbeat")
        frames = await socket.frames(5)
        errors = [frame["payload"] for frame in frames if frame["type"] == "error"]
    assert [frame["type"] for frame in frames[:3]] == ["heartbeat_response"] * 3
    assert [error["error_type"] for error in errors] == ["rate_limited"] * 2
    assert all(0 < error["retry_after"] <= 1 for error in errors)


async def test_a_principals_rate_is_shared_by_its_sockets_and_requests(start: Start) -> None:
    settings = WebSettings(model="scripted", principal_rate=Rate(0.1, 4))
    server = await start(settings=settings, secret=SECRET)
    id = await opened(server)
    query = f"?token={token(server)}"
    async with server.talk(id, query) as one, server.talk(id, query) as other:
        for socket in (one, other):
            await socket.send("heartbeat")
            await socket.frame("heartbeat_response")
        await one.send("heartbeat")
        await one.frame("heartbeat_response")
        await other.send("heartbeat")
        assert (await other.frame("error"))["payload"]["error_type"] == "rate_limited"
    answer = await server.http.get(f"/api/v2/conversations/{id}", headers=bearer(token(server)))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


async def test_beyond_the_limit_sockets_are_told_to_come_later_and_requests_are_answered(start: Start) -> None:
    server = await start(settings=WebSettings(model="scripted", max_connections=1))
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        async with server.talk(id) as other:
            assert await other.closed() == (1013, "too many connections; come back later")
        assert (await server.http.get("/health")).status_code == 200
    await server.until(id, lambda state: not state.clients)
    async with server.talk(id) as socket:
        assert (await socket.frame())["type"] == "state_update"


async def test_a_socket_that_comes_while_the_server_ends_is_told_1012(server: Any) -> None:
    async with httpx.AsyncClient() as there:
        await there.get(f"{server.url}/health")
        id = await server.opened()
        async with server.talk(id) as socket:
            await socket.frames(2)
            server.shutdown.set()
            assert (await socket.closed())[0] == 1012


def test_a_bucket_gives_its_burst_at_once_then_at_its_rate() -> None:
    bucket = Bucket(Rate(2.0, 3), now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take(0.25) == 0.25
    assert bucket.take(0.5) == 0
    assert bucket.take(100.0) == 0
    assert [bucket.take(100.0) for _ in range(3)] == [0, 0, 0.5]


def test_principals_that_could_send_their_burst_again_are_forgotten_when_there_are_many() -> None:
    principals = Principals(Rate(1.0, 2))
    for n in range(10_000):
        principals.take(f"old {n}", 0.0)
    principals.take("busy", 10.0)
    principals.take("busy", 10.0)
    assert principals.take("busy", 10.0) > 0
    assert principals.take("new", 10.5) == 0
    assert principals.take("busy", 10.5) > 0


async def test_closing_all_at_once_hurries_nobody(server: Any) -> None:
    id = await server.opened()
    async with trio.open_nursery() as nursery:

        async def stay() -> None:
            async with server.talk(id) as socket:
                assert (await socket.closed())[0] == 1012

        for _ in range(20):
            nursery.start_soon(stay)
        await server.until(id, lambda state: len(state.clients) == 20)
        server.shutdown.set()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:3001"])
async def test_a_page_from_elsewhere_gets_nothing_done_by_a_request_either(server: Any, origin: str) -> None:
    answer = await server.http.post("/api/v2/conversations", content=b"{}", headers={"Origin": origin})
    assert answer.status_code == 403
    assert "CALLBOARD_CORS_ORIGINS" in answer.json()["detail"]
    assert (await server.http.get("/api/v2/conversations")).json()["total_count"] == 0


async def test_a_page_of_an_allowed_origin_gets_things_done(server: Any) -> None:
    headers = {"Origin": "http://localhost:3000"}
    assert (await server.http.post("/api/v2/conversations", json={}, headers=headers)).status_code == 200


async def test_a_name_that_was_pointed_here_is_not_answered(server: Any) -> None:
    assert (await server.http.get("/api/v2/conversations", headers={"Host": "evil.example"})).status_code == 403
    for host in ("localhost:8000", "127.0.0.1", "[::1]:9"):
        assert (await server.http.get("/api/v2/conversations", headers={"Host": host})).status_code == 200


async def test_where_names_are_trusted_any_host_is_served(start: Start) -> None:
    server = await start(settings=WebSettings(model="scripted", trust_host=True))
    assert (await server.http.get("/health", headers={"Host": "callboard:8000"})).status_code == 200
