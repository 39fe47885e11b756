"""The clients of two seeds as they are written, frame by frame, on the whole server: nothing more is needed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from argon2 import PasswordHasher

from adapters.users import Users
from tests.adapters.gateways.test_shipments import PARAMETERS
from tests.adapters.web.conftest import Socket
from tests.adapters.whole import Whole, heard, say, serving

SECRET = "an-example-of-a-signing-key-with-enough-bytes"
PASSWORD = "correct horse battery staple"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ENVELOPE = {"timestamp", "requestId", "user", "session_id"}
RESUME = {"seq", "epoch", "recovered"}
LABEL = ["carrier", "estimated_delivery", "label_url", "qr_code", "tracking_number"]


# --- channels ---------------------------------------------------------------------------------------------------


def update(message: str, **more: Any) -> dict[str, Any]:
    payload = {"message": message, "timestamp": 1234567890, "thread_id": "thread_xyz", **more}
    return {"type": "weather-update", "payload": payload}


SAID = [
    update("Executing weather check for Makati", status="started", type="tool"),
    update('{"temperature": 30.14}', status="tool_executed", type="tool"),
    update("Current weather in Makati...", type="response"),
    update("Complete response...", status="completed", type="response"),
]
"""Every message of the seed, in its order."""


async def test_the_manager_of_the_seed_subscribes_publishes_and_unsubscribes_reading_one_frame_for_each_answer() -> (
    None
):
    async with serving() as server, server.connect("/") as page, server.connect("/") as manager:
        for socket in (page, manager):
            await say(socket, {"type": "subscribe", "payload": {"channel": "weather-update"}})
            assert await heard(socket) == {
                "type": "subscribed", "payload": {"channel": "weather-update", "message": "subscribed"},
            }  # fmt: skip
        for frame in SAID:
            await say(manager, frame)
        await say(manager, {"type": "unsubscribe", "payload": {"channel": "weather-update"}})
        assert await heard(manager) == {
            "type": "unsubscribed", "payload": {"channel": "weather-update", "message": "unsubscribed"},
        }  # fmt: skip
        await manager.wire.aclose()
        assert manager.wire.closed is not None
        assert manager.wire.closed.code == 1000
        assert [await heard(page) for _ in SAID] == SAID


# --- shipping ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Whole]:
    users = Users(tmp_path / "users", CHEAP)
    for name in ("ada", "bob"):
        users.add(name, PASSWORD, [])
    async with serving(
        CALLBOARD_AUTH="jwt", CALLBOARD_JWT_SECRET=SECRET, CALLBOARD_USERS=str(tmp_path / "users")
    ) as server:
        yield server


async def token_of(server: Whole, name: str) -> str:
    answer = await server.http.post("/token", data={"username": name, "password": PASSWORD})
    assert answer.status_code == 200
    told = answer.json()
    assert (set(told), told["token_type"]) == ({"access_token", "token_type", "expires_in"}, "bearer")
    return str(told["access_token"])


def is_now(milliseconds: Any) -> bool:
    """An integer, and a time of this minute."""
    return type(milliseconds) is int and abs(milliseconds / 1000 - time.time()) < 60


async def ask_state(socket: Socket) -> dict[str, Any]:
    await say(socket, {"type": "get_session_state"})
    shown: dict[str, Any] = await heard(socket)
    assert shown["type"] == "session_state"
    return shown


def a_call(**more: Any) -> dict[str, Any]:
    """As an agent of ElevenLabs calls it, and the app relays it."""
    call = {"tool_name": "create_label", "tool_call_id": "abc123", "parameters": PARAMETERS}
    return {"type": "client_tool_call", "client_tool_call": call, "timestamp": 1650000000000, **more}


async def test_the_app_of_the_seed_makes_a_label_on_one_device_and_shows_it_on_the_other(guarded: Whole) -> None:
    token = await token_of(guarded, "ada")
    async with guarded.connect(f"/ws?token={token}") as app:
        first = await ask_state(app)
        session = first["session_id"]
        async with guarded.connect(f"/ws?token={token}&session_id={session}") as tablet:
            await say(tablet, {"type": "ping"})
            assert (await heard(tablet))["session_id"] == session
            await say(app, a_call())
            result, news, shown = await heard(app), await heard(app), await heard(tablet)
    assert set(first) == {"type", "state", *ENVELOPE, *RESUME}
    assert set(result) - RESUME == {"type", "tool_call_id", "result", "is_error", *ENVELOPE}
    assert (result["type"], result["tool_call_id"], result["is_error"]) == ("client_tool_result", "abc123", False)
    assert set(news) - RESUME == {"type", "text", "data", *ENVELOPE}
    assert (news["type"], news["text"]) == ("contextual_update", "label_created")
    assert news == shown
    assert sorted(result["result"]) == sorted(news["data"]) == LABEL
    assert result["result"] == news["data"]
    assert result["requestId"] == news["requestId"]
    assert {frame["user"] for frame in (first, result, news)} == {"ada"}
    assert {frame["session_id"] for frame in (first, result, news)} == {session}
    assert all(is_now(frame["timestamp"]) for frame in (first, result, news))


async def test_the_record_of_a_session_has_its_times_in_milliseconds_and_looking_is_no_activity(
    guarded: Whole,
) -> None:
    token = await token_of(guarded, "ada")
    async with guarded.connect(f"/ws?token={token}") as app:
        first = (await ask_state(app))["state"]
        await trio.sleep(0.01)
        second = (await ask_state(app))["state"]
        await say(app, {"type": "contextual_update", "text": "still here"})
        await heard(app), await heard(app)
        third = (await ask_state(app))["state"]
    assert set(first) == {"user_info", "created_at", "last_active", "state"}
    assert (first["user_info"], first["state"]) == ({"username": "ada"}, {})
    assert is_now(first["created_at"])
    assert is_now(first["last_active"])
    assert second == first
    assert third["last_active"] > first["last_active"]
    assert third["created_at"] == first["created_at"]


@pytest.mark.parametrize("how", ["query", "header", "subprotocol"])
async def test_a_token_comes_in_three_ways(guarded: Whole, how: str) -> None:
    token = await token_of(guarded, "ada")
    query = f"?token={token}" if how == "query" else ""
    ways: dict[str, dict[str, Any]] = {
        "query": {},
        "header": {"extra_headers": [(b"Authorization", f"Bearer {token}".encode())]},
        "subprotocol": {"subprotocols": ["bearer", token]},
    }
    async with guarded.connect(f"/ws{query}", **ways[how]) as app:
        assert (await ask_state(app))["user"] == "ada"
        assert app.wire.subprotocol == ("bearer" if how == "subprotocol" else None)


async def test_who_may_not_come_in_is_told_why_by_a_close_behind_the_handshake(guarded: Whole) -> None:
    nobody = jwt.encode({"exp": time.time() + 60}, SECRET, "HS256")
    expired = jwt.encode({"sub": "ada", "exp": time.time() - 60}, SECRET, "HS256")
    for query, reason in (
        ("", "Missing authentication token"),
        ("?token=nonsense", "Invalid or expired token"),
        (f"?token={expired}", "Invalid or expired token"),
        (f"?token={nobody}", "Invalid token payload"),
    ):
        for path in ("/ws", "/"):
            async with guarded.connect(f"{path}{query}") as socket:
                assert await socket.closed() == (1008, reason)


async def test_somebody_elses_session_is_not_joined_and_a_new_one_begins_silently(guarded: Whole) -> None:
    ada, bob = await token_of(guarded, "ada"), await token_of(guarded, "bob")
    async with guarded.connect(f"/ws?token={ada}") as app:
        session = (await ask_state(app))["session_id"]
        async with guarded.connect(f"/ws?token={bob}&session_id={session}") as stranger:
            theirs = await ask_state(stranger)
            await say(app, a_call(session_id=theirs["session_id"], broadcast=True))
            await heard(app), await heard(app)
            await say(stranger, {"type": "ping", "requestId": "p"})
            assert (await heard(stranger))["requestId"] == "p"
    assert theirs["session_id"] != session
    assert (theirs["user"], theirs["state"]["user_info"]) == ("bob", {"username": "bob"})


async def test_a_wrong_password_is_the_seeds_401(guarded: Whole) -> None:
    answer = await guarded.http.post("/token", data={"username": "ada", "password": "wrong"})
    assert (answer.status_code, answer.json()) == (401, {"detail": "Incorrect username or password"})
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_options_of_a_quote_have_all_their_fields_over_a_socket() -> None:
    route = {"origin_zip": "89501", "destination_zip": "04530", "weight": 5}
    shipment = {**route, "dimensions": {"length": 10, "width": 8, "height": 4}, "pickup_requested": True}
    async with serving() as server, server.connect("/ws") as app:
        await say(app, {"type": "get_rates", "payload": shipment, "requestId": "q"})
        quoted = await heard(app)
        await say(app, {"type": "get_rates", "payload": {**shipment, "weight": 6}})
        unnamed = await heard(app)
    fields = {"carrier", "service_name", "service_tier", "cost", "estimated_delivery", "transit_days"}
    options = [quoted["payload"]["cheapest_option"], *quoted["payload"]["all_options"]]
    assert {frozenset(option) for option in options} == {frozenset(fields)}
    assert (quoted["type"], quoted["requestId"], quoted["user"]) == ("quote_ready", "q", "anonymous")
    assert is_now(quoted["timestamp"])
    assert len(unnamed["requestId"]) == 36
