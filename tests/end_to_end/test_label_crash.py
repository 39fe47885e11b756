"""kill -9 while labels are being made: two devices ask for each until they have it, and there is one of each."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import trio
from trio_websocket import ConnectionClosed

from adapters.bootstrap import open_history
from adapters.clients.wire import CannotConnect, open_wire
from adapters.demo.server import Server
from adapters.setting_values import StoreAddress
from core.identifiers import Category, StreamName
from core.session import ToolCallRequested, ToolCallSucceeded
from tests.adapters.gateways.test_shipments import PARAMETERS

ROUNDS = 4
LABELS = 6
"""Asked for between one kill and the next."""


def call(id: str) -> str:
    fields = {"tool_name": "create_label", "tool_call_id": id, "parameters": PARAMETERS}
    return json.dumps({"type": "client_tool_call", "client_tool_call": fields})


class Device:
    """Asks for labels, over as many connections as it takes; `results` are by the call's id, all that came."""

    def __init__(self, server: Server, session_id: str) -> None:
        self._url = f"ws://127.0.0.1:{server.port}/ws?session_id={session_id}"
        self._session_id = session_id
        self.results: dict[str, list[dict[str, Any]]] = {}

    async def ask(self, ids: list[str]) -> None:
        while missing := [id for id in ids if id not in self.results]:
            try:
                async with open_wire(self._url) as wire:
                    for id in missing:
                        await wire.send_message(call(id))
                    while any(id not in self.results for id in ids):
                        self._take(json.loads(await wire.get_message()))
            except (CannotConnect, ConnectionClosed):
                await trio.sleep(0.05)

    def _take(self, frame: dict[str, Any]) -> None:
        assert frame["session_id"] == self._session_id
        if frame["type"] == "client_tool_result" and not frame["is_error"]:
            self.results.setdefault(frame["tool_call_id"], []).append(frame["result"])


async def session_of(server: Server) -> str:
    async with open_wire(f"ws://127.0.0.1:{server.port}/ws") as wire:
        await wire.send_message('{"type": "ping"}')
        return str(json.loads(await wire.get_message())["session_id"])


async def test_two_devices_and_a_server_killed_again_and_again_make_one_label_of_each_call(tmp_path: Path) -> None:
    server, moments = Server(tmp_path / "labels.db"), random.Random(3)
    await server.start()
    session_id = await session_of(server)
    devices = [Device(server, session_id) for _ in range(2)]
    with trio.fail_after(120):
        for round in range(ROUNDS):
            ids = [f"t{round}-{n}" for n in range(LABELS)]
            async with trio.open_nursery() as nursery:
                for device in devices:
                    nursery.start_soon(device.ask, ids)
                await trio.sleep(moments.uniform(0.0, 0.1))
                await server.kill()
                await server.start()
    await server.stop()
    async with open_history(StoreAddress(tmp_path / "labels.db")) as store:
        records = await store.read_stream(StreamName.of(Category.SESSION, session_id))
    check([record.event for record in records], devices)


def check(events: list[Any], devices: list[Device]) -> None:
    made = {event.tool_call_id: event.result for event in events if isinstance(event, ToolCallSucceeded)}
    asked = Counter(event.tool_call_id for event in events if isinstance(event, ToolCallRequested))
    assert len(made) == ROUNDS * LABELS
    assert set(asked.values()) == {1}, "what was asked again was not done again"
    assert len({result["tracking_number"] for result in made.values()}) == len(made)
    for device in devices:
        assert {id: results[0] for id, results in device.results.items()} == made
        assert all(result == results[0] for results in device.results.values() for result in results)
