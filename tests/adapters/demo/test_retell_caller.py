"""Calls over real sockets: the whole server, and the scripted caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed

from actors.system import System, open_system
from adapters.clients.wire import open_wire
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.demo.retell_caller import PATIENCE, Caller, Talk, calling
from adapters.gateways.call_tools import call_tools
from adapters.gateways.calls import call_performers
from adapters.gateways.offline_partner import OfflinePartner, Step
from adapters.gateways.offline_partner import ScriptedModel as Scripted
from adapters.gateways.scripted_forecast import ScriptedForecast
from adapters.protocols.retell import dialect_for
from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits, serve
from adapters.web.app import create_app, sockets_of
from core.call import GREETING
from core.ports import LanguageModel, ToolCall
from eventstore.memory import MemoryStore
from tests.adapters.latency import assert_answered_within, ping_until
from tests.adapters.lines import BOUNDLESS, DECIDERS

STORY: Sequence[Step] = ["Once ", 0.05] * 200
USE = ToolCall("t1", "get_weather", '{"location": "Berlin"}')


@asynccontextmanager
async def server(model: LanguageModel, store: MemoryStore | None = None) -> AsyncIterator[str]:
    """The URL its calls are at."""
    clock, running = SystemClock(), list[System]()
    performers = call_performers(
        model, call_tools(ScriptedForecast()), boot=lambda: running[0].boot, clock=clock, response_timeout=5.0
    )
    async with (
        open_system(
            store or MemoryStore(), deciders=DECIDERS, performers=performers, clock=clock,
            identifiers=TimeOrderedIdentifiers(),
        ) as system,
        trio.open_nursery() as nursery,
    ):  # fmt: skip
        running.append(system)
        app, shutdown = create_app(system, BOUNDLESS, deciders=DECIDERS), trio.Event()

        async def talk(call_id: str) -> None:
            await sockets_of(app).talk(dialect_for({}), {"call_id": call_id})

        app.add_websocket("/secret/<call_id>", "retell", talk)
        limits = ServerLimits(LinkLimits(), graceful_timeout=0.1)
        sockets = sockets_of(app)
        child = partial(
            serve, app, ["127.0.0.1:0"], shutdown, limits=limits, drain=sockets.drain, tally=sockets.tally
        )  # fmt: skip
        urls = await nursery.start(child)
        yield urls[0].replace("http", "ws") + "/secret"
        shutdown.set()


async def test_a_call_with_an_interruption_a_tool_a_reminder_and_a_reconnect() -> None:
    model = Scripted(STORY, ["Let me see.", USE], ["Sunny."], ["Still there?"], STORY, ["Fine."])
    async with server(model) as url:
        talk = Talk("c1")
        async with calling(url, talk) as caller:
            await caller.describe(direction="inbound")
            assert await caller.answer(0) == GREETING
            await caller.begun(await caller.say("Tell me a story."))
            interrupted = await caller.say("No, the weather in Berlin?")
            assert await caller.answer(interrupted) == "Let me see. Sunny."
            assert await caller.answer(await caller.stay_silent()) == "Still there?"
            await caller.begun(await caller.say("Then the story."))
        async with calling(url, talk) as again:
            assert await again.answer(await again.ask_again()) == "Fine."
    assert caller.stale == again.stale == []
    kinds = [frame["response_type"] for frame in caller.frames]
    assert kinds[0] == "config"
    assert (kinds.count("tool_call_invocation"), kinds.count("tool_call_result")) == (1, 1)
    assert not any(frame.get("response_id") == 0 for frame in again.frames)


async def test_a_ping_is_answered_within_100_ms_during_a_stream() -> None:
    async with server(Scripted(STORY)) as url, calling(url, Talk("c1")) as caller:
        story = await caller.say("Tell me a story.")
        await caller.begun(story)
        pongs, goal = list[float](), len(pieces(caller, story)) + 10
        with trio.fail_after(PATIENCE):
            await ping_until(lambda: len(pieces(caller, story)) >= goal, caller.ping, pongs)
        assert not pieces(caller, story)[-1]["content_complete"]
        assert_answered_within(0.1, pongs, standstill=1.0, least=10)


def pieces(caller: Caller, response_id: int) -> list[dict[str, Any]]:
    return [frame for frame in caller.frames if frame.get("response_id") == response_id]


async def test_two_sockets_for_one_call_and_the_newest_wins() -> None:
    talk = Talk("c1")
    async with server(Scripted(["Yes."])) as url, calling(url, talk) as older, calling(url, talk) as newer:
        assert await older.closed() == 4409
        assert await newer.answer(await newer.say("Hello?")) == "Yes."


@pytest.mark.parametrize("message, code", [(b"{}", 1007), ("{", 1011)])
async def test_faults_never_hang_up_the_call(message: str | bytes, code: int) -> None:
    async with server(Scripted(["Yes."])) as url, open_wire(f"{url}/c1") as wire:
        await wire.get_message()
        await wire.send_message(message)
        with trio.fail_after(5), pytest.raises(ConnectionClosed):
            await wire.get_message()
        assert wire.closed is not None
        assert wire.closed.code == code


async def test_the_offline_partner_talks_on_the_phone_and_knows_the_weather() -> None:
    async with server(OfflinePartner(pause=0.001)) as url, calling(url, Talk("c1")) as caller:
        await caller.describe()
        await caller.answer(0)
        assert "Berlin" in await caller.answer(await caller.say("What is the weather in Berlin?"))
        assert await caller.answer(await caller.say("Thank you!"))
