"""kill -9 while calls run: no tool is run twice, nobody is greeted twice, and no stale answer is heard.

The tool is the weather, of a server in the test that counts who asked for which place. Every question is for a place of
its own, so that each tool call has a place, and each place one call.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio
from msgspec.json import decode
from trio_websocket import ConnectionClosed

from adapters.clients.wire import CannotConnect
from adapters.demo.retell_caller import Caller, Talk, calling
from adapters.demo.server import RETELL_PATH, Server
from adapters.opening import open_history
from adapters.setting_values import StoreAddress
from core.call import (
    GREETING_FALLBACK,
    GreetingGiven,
    SocketConnected,
    SocketDisconnected,
    ToolBegun,
    ToolFailed,
    ToolRequested,
    ToolSucceeded,
)
from core.identifiers import Category, StreamName
from tests.adapters.gateways.weather_server import SUNNY, answer, place

ROUNDS = int(os.environ.get("CALLBOARD_RETELL_ROUNDS", "3"))
AT_FIRST, EACH_ROUND, AT_ONCE = 4, 2, 10
"""Calls that there are at first, those that begin just before a kill, and how many may be under way."""
FALLBACK = GREETING_FALLBACK + 0.4
"""Seconds within which a call without details is greeted, from its socket on."""


CONFIG = {"response_type": "config", "config": {"auto_reconnect": True, "call_details": True}}


class Weather:
    """Knows every place, and is in no hurry. `asked` is how often each was asked for, whoever heard the answer."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.port = 0
        self._moments = random.Random(5)

    async def serve(self, stream: trio.SocketStream) -> None:
        request = b""
        async with stream:
            while b"\r\n\r\n" not in request:
                if not (chunk := await stream.receive_some()):
                    return
                request += chunk
            target = urlsplit(request.split(b" ")[1].decode())
            name = parse_qs(target.query).get("name", [""])[0]
            if name:
                self.asked[name] += 1
            await trio.sleep(self._moments.choice((0.0, 0.02, 0.1)))
            found = answer({"results": [place(name, "", "", 1.0, 2.0)]}) if name else SUNNY
            try:
                await stream.send_all(found)
            except trio.BrokenResourceError:
                pass  # who asked was killed


@asynccontextmanager
async def weather() -> AsyncIterator[Weather]:
    station = Weather()
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        station.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, station.serve, [listener])
        yield station
        nursery.cancel_scope.cancel()


def town(call_id: str, number: int) -> str:
    """A place no other question is about."""
    return f"Town-{call_id}-{number}"


class Platform:
    """One call as the platform leads it: it asks, interrupts, nudges, and comes back whenever it is cut off.

    A mute one sends no details and waits to be greeted. `sockets` are all it ever had, the newest last.
    """

    def __init__(self, server: Server, call_id: str, *, mute: bool = False) -> None:
        self.talk, self.sockets = Talk(call_id), list[Caller]()
        self.wants_to_go = self.is_over = False
        self._url, self._mute, self._questions = f"ws://127.0.0.1:{server.port}/{RETELL_PATH}", mute, 0
        self._moments = random.Random(call_id)

    @property
    def greetings(self) -> list[dict[str, Any]]:
        return [frame for caller in self.sockets for frame in caller.frames if frame.get("response_id") == 0]

    async def run(self) -> None:
        """One socket after the other, now and then a second one while the first is open."""
        async with trio.open_nursery() as nursery:
            while not self.is_over:
                free = trio.Event()
                nursery.start_soon(self._visit, free)
                await free.wait()
            nursery.cancel_scope.cancel()

    async def _visit(self, free: trio.Event) -> None:
        """One socket to its end; `free` is set when another one may come, at the latest then."""
        try:
            async with calling(self._url, self.talk) as caller, trio.open_nursery() as nursery:
                self.sockets.append(caller)
                nursery.start_soon(self._lead, caller, free)
                await caller.closed()
                nursery.cancel_scope.cancel()
        except* (CannotConnect, ConnectionClosed):
            await trio.sleep(0.05)
        free.set()

    async def _lead(self, caller: Caller, free: trio.Event) -> None:
        if self._mute and not self.greetings:
            with trio.move_on_after(2 * FALLBACK):  # it may have been given in the very moment of a kill
                await caller.until(lambda frame: frame.get("response_id") == 0)
        if not (self._mute and self.greetings):
            await caller.describe()
        if self.talk.newest:
            await caller.ask_again()
        while not self.wants_to_go and self._moments.randrange(12):
            await self._act(caller)
            await trio.sleep(self._moments.choice((0.0, 0.02, 0.1, 0.2)))
        if self.wants_to_go:
            await caller.answer(await self._ask(caller))
            self.is_over = True
        free.set()

    async def _act(self, caller: Caller) -> None:
        match self._moments.randrange(6):
            case 0:
                await caller.stay_silent()
            case 1:
                await caller.ping()
            case 2:
                with trio.move_on_after(0.5):
                    await caller.answer(self.talk.newest)
            case _:
                await self._ask(caller)

    async def _ask(self, caller: Caller) -> int:
        self._questions += 1
        return await caller.say(f"What is the weather in {town(self.talk.call_id, self._questions)}?")


async def lead_and_kill(server: Server, moments: random.Random) -> list[Platform]:
    """Calls that come and go while the server is killed ROUNDS times, and once more when the mute one is greeted."""
    await server.start()
    mute = Platform(server, "mute", mute=True)
    calls = [mute, *(Platform(server, f"c{n}") for n in range(AT_FIRST))]
    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(call.run)
        for round in range(ROUNDS):
            await trio.sleep(moments.uniform(0.0, 0.6))
            for n in range(EACH_ROUND):
                calls.append(Platform(server, f"r{round}-{n}"))
                nursery.start_soon(calls[-1].run)
            await trio.sleep(moments.uniform(0.0, 0.1))
            await server.kill()
            for call in calls[1:-AT_ONCE]:
                call.wants_to_go = True
            await server.start()
        await trio.sleep(FALLBACK)
        await server.kill()
        await server.start()
        for call in calls:
            call.wants_to_go = True
    await server.stop()
    return calls


async def test_over_kills_of_the_server_no_tool_runs_twice_and_nobody_is_greeted_twice(tmp_path: Path) -> None:
    log = tmp_path / "calls.db"
    async with weather() as station:
        url = f"http://127.0.0.1:{station.port}"
        settings = {"FORECAST": "open-meteo", "FORECAST_URL": url, "GEOCODING_URL": url}
        server = Server(log, {f"CALLBOARD_{name}": value for name, value in settings.items()})
        with trio.fail_after(60 + 5 * ROUNDS):
            calls = await lead_and_kill(server, random.Random(11))
    met = Counter[str]()
    async with open_history(StoreAddress(log)) as store:
        for call in calls:
            events = await store.read_events(StreamName.of(Category.CALL, call.talk.call_id))
            check_greeting(call, events)
            met += check_tools(events, station.asked)
            check_sockets(call)
    assert sum(station.asked.values()) == met["run"], "whatever ran is in the log as begun"
    assert min(met["killed"], met["succeeded"]) > 0, "the test met its case"
    codes = Counter(caller.code for call in calls for caller in call.sockets)
    assert min(codes[1006], codes[4409]) > 0, "sockets were cut off, and replaced"


def check_greeting(call: Platform, events: Sequence[Any]) -> None:
    """Given once, and heard once at most: it may have been given in the very moment of a kill."""
    given = [event for event in events if isinstance(event, GreetingGiven)]
    assert len(given) == 1
    assert [frame["content"] for frame in call.greetings] in ([], [given[0].content])


def check_tools(events: Sequence[Any], asked: Counter[str]) -> Counter[str]:
    """How many tools ran, succeeded, and were killed; each ran as often as its events say, so once at most."""
    places = {it.tool_call_id: decode(it.arguments)["location"] for it in events if isinstance(it, ToolRequested)}
    assert len(set(places.values())) == len(places) == sum(isinstance(event, ToolRequested) for event in events)
    begun, good, bad = (
        Counter(event.tool_call_id for event in events if isinstance(event, kind))
        for kind in (ToolBegun, ToolSucceeded, ToolFailed)
    )
    assert good + bad == Counter(list(places)), "each has ended, and has one end"
    killed, met = set(killed_tools(events)), Counter[str](succeeded=len(good))
    for tool_call_id, name in places.items():
        assert good[tool_call_id] <= asked[name] <= begun[tool_call_id] <= 1
        met["run"] += asked[name]
        met["killed"] += asked[name] and tool_call_id in killed
    return met


def killed_tools(events: Sequence[Any]) -> Iterator[str]:
    """Those that failed on a socket which was lost with the server."""
    failed: list[str] = []
    for event in events:
        match event:
            case ToolFailed(tool_call_id):
                failed.append(tool_call_id)
            case SocketDisconnected(reason="server_restarted"):
                yield from failed
            case SocketConnected():
                failed = []
            case _:
                pass


def check_sockets(call: Platform) -> None:
    for caller in call.sockets:
        assert caller.frames[:1] in ([], [CONFIG])
        heard = [frame for frame in caller.frames if frame["response_type"] == "response"]
        ids = [frame["response_id"] for frame in heard]
        assert ids == sorted(ids), "behind a newer answer nothing is heard of an older one"
        complete = [frame["response_id"] for frame in heard if frame["content_complete"]]
        assert len(set(complete)) == len(complete), "each answer has one end"
