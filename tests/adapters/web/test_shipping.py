"""The dialect `shipping` on real sockets, with the embedded carrier: labels one can fetch and open."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest
import trio

from actors.system import System, open_system
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.gateways.blobs import MemoryBlobs
from adapters.gateways.embedded_carrier import EmbeddedCarrier
from adapters.gateways.sessions import session_performers
from adapters.server.serve import ServerLimits, serve
from adapters.session_values import SessionValues
from adapters.web.app import create_app, sockets_of
from adapters.web.labels import labels_blueprint
from core.identifiers import Category
from core.session import session
from eventstore.memory import MemoryStore
from tests.adapters.gateways.test_shipments import PARAMETERS
from tests.adapters.web.conftest import PATIENCE, Server

DECIDERS = {Category.SESSION: session}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    systems: list[System] = []
    clock, blobs = SystemClock(), MemoryBlobs()
    performers = session_performers(EmbeddedCarrier(clock), blobs, clock, lambda: systems[0].boot)
    async with open_system(
        MemoryStore(), deciders=DECIDERS, performers=performers, clock=clock, identifiers=TimeOrderedIdentifiers()
    ) as system:
        systems.append(system)
        app, shutdown = create_app(system, deciders=DECIDERS, more=[labels_blueprint(blobs)]), trio.Event()
        sockets, limits = sockets_of(app), ServerLimits(graceful_timeout=0.1)
        run = partial(
            serve, app, ["127.0.0.1:0"], shutdown, limits=limits, drain=sockets.drain, tally=sockets.tally
        )  # fmt: skip
        async with trio.open_nursery() as children:
            [url] = await children.start(run)
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
                yield Server(system, app, url, http, shutdown)
                shutdown.set()


def call(id: str = "t1", tool: str = "create_label", **more: Any) -> str:
    fields = {"tool_name": tool, "tool_call_id": id, "parameters": PARAMETERS | more}
    return json.dumps({"type": "client_tool_call", "requestId": f"r-{id}", "client_tool_call": fields})


async def test_a_label_made_on_one_device_is_shown_on_the_other_and_can_be_fetched(server: Server) -> None:
    async with server.connect("/ws") as one:
        await one.send("ping")
        session_id = (await one.frame())["session_id"]
        async with server.connect(f"/ws?session_id={session_id}") as other:
            await other.send("ping")
            assert (await other.frame())["session_id"] == session_id
            await one.wire.send_message(call())
            result, update = await one.frames(2)
            shown = await other.frame()
    assert [frame["type"] for frame in (result, update, shown)] == ["client_tool_result", *["contextual_update"] * 2]
    assert update == shown
    assert update["data"] == result["result"]
    assert {frame["requestId"] for frame in (result, update, shown)} == {"r-t1"}
    sheet = await server.http.get(result["result"]["label_url"])
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "application/pdf")
    assert result["result"]["tracking_number"].encode() in sheet.content
    qr = await server.http.get(result["result"]["qr_code"])
    assert (qr.status_code, qr.headers["content-type"]) == (200, "image/png")


async def test_a_call_sent_by_two_devices_at_once_gives_both_one_label(server: Server) -> None:
    async with server.connect("/ws") as one:
        await one.send("ping")
        session_id = (await one.frame())["session_id"]
        async with server.connect(f"/ws?session_id={session_id}") as other:
            await other.send("ping")
            await other.frame()
            for device in (one, other):
                await device.wire.send_message(call())
            numbers = {
                (await device.frame("client_tool_result"))["result"]["tracking_number"] for device in (one, other)
            }
            await one.wire.send_message(call())
            numbers.add((await one.frame("client_tool_result"))["result"]["tracking_number"])
    assert len(numbers) == 1


async def test_after_a_reconnect_the_same_call_has_its_recorded_result(server: Server) -> None:
    async with server.connect("/ws") as one:
        await one.wire.send_message(call())
        first = await one.frame()
    async with server.connect(f"/ws?session_id={first['session_id']}") as again:
        await again.wire.send_message(call())
        second = await again.frame()
    assert second["session_id"] == first["session_id"]
    assert second["result"] == first["result"]


async def test_a_client_takes_its_first_frame_for_the_answer_and_is_right(server: Server) -> None:
    shipment = {"origin_zip": "89501", "destination_zip": "04530", "weight": 5}
    async with server.connect("/ws?session_id=unknown") as one:
        await one.send("get_rates", shipment, requestId="r1")
        quoted = await one.frame()
    assert (quoted["type"], quoted["requestId"]) == ("quote_ready", "r1")
    payload = quoted["payload"]
    assert list(payload) == ["cheapest_option", "fastest_option", "all_options"]
    assert payload["cheapest_option"] in payload["all_options"]
    assert payload["fastest_option"]["transit_days"] == 1


async def test_another_session_hears_nothing(server: Server) -> None:
    async with server.connect("/ws") as one, server.connect("/ws") as stranger:
        await one.wire.send_message(call(broadcast=True))
        await one.frames(2)
        await stranger.send("ping")
        assert (await stranger.frame())["type"] == "pong"


async def test_what_a_program_keeps_in_a_session_is_shown_in_its_state(server: Server) -> None:
    async with server.connect("/ws") as one:
        await one.send("get_session_state")
        session_id = (await one.frame())["session_id"]
        assert await SessionValues(server.system).update(session_id, "cart", [1, {"two": None}])
        await one.send("get_session_state")
        assert (await one.frame())["state"]["state"] == {"cart": [1, {"two": None}]}


async def test_devices_that_leave_are_left_out(server: Server) -> None:
    async with server.connect("/ws") as one:
        await one.send("get_session_state")
        shown = await one.frame()
        assert shown["state"]["user_info"] == {"username": "anonymous"}
        async with server.connect(f"/ws?session_id={shown['session_id']}") as other:
            await other.send("ping")
            await other.frame()
        await one.send("contextual_update", None, text="still here")
        assert [frame["type"] for frame in await one.frames(2)] == ["contextual_update_received", "contextual_update"]
