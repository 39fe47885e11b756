"""kill -9 while labels are being made: two devices ask for each until they have it, and there is one of each."""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio
from trio_websocket import ConnectionClosed

from adapters.clients.wire import CannotConnect, open_wire
from adapters.demo.server import Server
from adapters.opening import open_history
from adapters.setting_values import StoreAddress
from core.identifiers import Category, StreamName
from core.session import ToolCallRequested, ToolCallSucceeded
from tests.adapters.gateways.model_server import read_request, refusal
from tests.adapters.gateways.test_http_carrier import BOUGHT
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
        self.session_id = session_id
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
        assert frame["session_id"] == self.session_id
        if frame["type"] == "client_tool_result" and not frame["is_error"]:
            self.results.setdefault(frame["tool_call_id"], []).append(frame["result"])


async def session_of(server: Server) -> str:
    async with open_wire(f"ws://127.0.0.1:{server.port}/ws") as wire:
        await wire.send_message('{"type": "ping"}')
        return str(json.loads(await wire.get_message())["session_id"])


class CountingCarrier:
    """A carrier over HTTP that loses its first answer to each key; who asks again gets what was bought with it."""

    def __init__(self) -> None:
        self.bought: dict[str, str] = {}
        self.asked = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            head, _, _ = (await read_request(stream)).partition(b"\r\n\r\n")
            [key] = [line[17:] for line in head.decode().splitlines() if line.lower().startswith("idempotency-key: ")]
            self.asked += 1
            is_lost = key not in self.bought
            number = self.bought.setdefault(key, f"1Z{len(self.bought)}")
            await trio.sleep(0.01)  # it may be asked by a server that is not there any more when it answers
            if not is_lost:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(
                        refusal("200 OK", body=json.dumps(BOUGHT | {"tracking_number": number}).encode())
                    )

    async def open(self, nursery: trio.Nursery) -> str:
        """Serve; returns the URL."""
        [listener] = await nursery.start(partial(trio.serve_tcp, self.serve, 0, host="127.0.0.1"))
        return f"http://127.0.0.1:{listener.socket.getsockname()[1]}"


async def make_labels(server: Server, rounds: int) -> list[Device]:
    """Two devices ask for all labels at once, again after each kill, and once more when they have them."""
    moments = random.Random(3)
    await server.start()
    session_id = await session_of(server)
    devices = [Device(server, session_id) for _ in range(2)]
    for round in range(rounds):
        ids = [f"t{round}-{n}" for n in range(LABELS)]
        async with trio.open_nursery() as nursery:
            for device in devices:
                nursery.start_soon(device.ask, ids)
            await trio.sleep(moments.uniform(0.0, 0.1))
            await server.kill()
            await server.start()
    again = Device(server, session_id)
    await again.ask(list(devices[0].results))
    await server.stop()
    return [*devices, again]


async def labels_of(log: Path, devices: list[Device], count: int) -> dict[str, Any]:
    """The result of each call, by its id, when there is one of each and all devices were shown the same."""
    async with open_history(StoreAddress(log)) as store:
        records = await store.read_stream(StreamName.of(Category.SESSION, devices[0].session_id))
    events: list[Any] = [record.event for record in records]
    made = {event.tool_call_id: event.result for event in events if isinstance(event, ToolCallSucceeded)}
    asked = Counter(event.tool_call_id for event in events if isinstance(event, ToolCallRequested))
    assert len(made) == count
    assert set(asked.values()) == {1}, "what was asked again was not done again"
    assert len({result["tracking_number"] for result in made.values()}) == len(made)
    for device in devices:
        assert {id: results[0] for id, results in device.results.items()} == made
        assert all(result == results[0] for results in device.results.values() for result in results)
    return made


async def test_two_devices_and_a_server_killed_again_and_again_make_one_label_of_each_call(tmp_path: Path) -> None:
    with trio.fail_after(120):
        devices = await make_labels(Server(tmp_path / "labels.db"), ROUNDS)
    await labels_of(tmp_path / "labels.db", devices, ROUNDS * LABELS)


async def test_a_carrier_over_http_sells_one_label_of_each_call_through_lost_answers_and_kills(tmp_path: Path) -> None:
    carrier = CountingCarrier()
    async with trio.open_nursery() as nursery:
        settings = {"CALLBOARD_CARRIER": "http", "SHIPVOX_API_URL": await carrier.open(nursery)}
        with trio.fail_after(120):
            devices = await make_labels(Server(tmp_path / "labels.db", settings), 2)
        nursery.cancel_scope.cancel()
    made = await labels_of(tmp_path / "labels.db", devices, 2 * LABELS)
    assert set(carrier.bought.values()) == {result["tracking_number"] for result in made.values()}
    assert len(carrier.bought) == len(made) < carrier.asked, "asked again and again, and each was sold once"
