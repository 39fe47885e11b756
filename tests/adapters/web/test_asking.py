"""The assistant of a channel, as it is put together: a question by a socket, and its answer on the channel."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import WebSocketConnection

from adapters import bootstrap
from adapters.clients.wire import open_wire
from adapters.config import Settings, from_environment

PATIENCE = 10.0


async def until(wire: WebSocketConnection, status: str) -> list[dict[str, Any]]:
    """The payloads that come, up to the first with this status."""
    heard: list[dict[str, Any]] = []
    with trio.fail_after(PATIENCE):
        while not heard or heard[-1].get("status") != status:
            heard.append(json.loads(await wire.get_message())["payload"])
    return heard


async def send(wire: WebSocketConnection, type: str, **payload: Any) -> None:
    await wire.send_message(json.dumps({"type": type, "payload": payload}))


async def test_a_question_for_the_weather_is_answered_on_its_channel(
    nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "settle_interpreter", lambda: None)  # a setting of the whole process
    shutdown = trio.Event()
    settings = settings_in(tmp_path)
    [url] = await nursery.start(partial(bootstrap.serve, settings, shutdown))
    address = url.replace("http", "ws") + "/"
    async with open_wire(address) as asker, open_wire(address) as other:
        for wire in (asker, other):
            await send(wire, "subscribe", channel="weather-update")
            await wire.get_message()
        await send(asker, "ask", channel="weather-update", thread_id="t1", message="What is the weather in Makati?")
        for wire in (asker, other):
            started, executed, *_, whole = await until(wire, "completed")
            assert (started["message"], started["thread_id"]) == ("Executing weather check for Makati", "t1")
            assert json.loads(executed["message"])["location"] == "Makati"
            assert whole["message"].startswith("The weather in Makati now: ")
    shutdown.set()


def settings_in(folder: Path) -> Settings:
    return from_environment({"CALLBOARD_BIND": "127.0.0.1:0", "CALLBOARD_STORE": f"sqlite:///{folder}/c.db"}, {})
