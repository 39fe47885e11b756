"""What the assistant does is published on its thread's channel, once, in the words of the seed, also after a crash."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.backoff import Backoff
from actors.system import System, open_system
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.gateways.assistant import assistant_performers
from adapters.gateways.offline_partner import OfflinePartner, ScriptedModel
from adapters.gateways.scripted_forecast import ScriptedForecast
from adapters.thread_updates import Thread, ThreadUpdates
from core.channel import Published, channel, stream_of
from core.conversation import (
    Ask,
    OpenConversation,
    ReplyBegun,
    ReplyInterrupted,
    ReplyPieceAdded,
    ReplyToolBegun,
    Say,
    conversation,
)
from core.decider import AnyDecider
from core.identifiers import Category, StreamName
from core.messages import Recorded, Stamp
from core.ports import LanguageModel, ModelFailure
from eventstore.memory import MemoryStore

DECIDERS: Mapping[Category, AnyDecider] = {Category.CONVERSATION: conversation, Category.CHANNEL: channel}
THREAD = StreamName.of(Category.CONVERSATION, "thread_1")
ASK = Ask("weather-update", "m1", "r1", "What is the weather in Makati?")
QUICK = Backoff(lambda: 0.0, first=0.01, cap=0.01)


@asynccontextmanager
async def running(store: MemoryStore, model: LanguageModel) -> AsyncIterator[System]:
    performers = assistant_performers(model, ScriptedForecast(), delta_interval=0.0)
    clock, ids = SystemClock(), TimeOrderedIdentifiers()
    async with (
        open_system(store, deciders=DECIDERS, performers=performers, clock=clock, identifiers=ids) as system,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(ThreadUpdates(system, QUICK).run)
        yield system
        nursery.cancel_scope.cancel()


async def published(store: MemoryStore, until: str) -> list[dict[str, Any]]:
    """What the channel carries, when it carries something with this status."""
    with trio.fail_after(100):
        while True:
            records = await store.read_stream(stream_of("weather-update"))
            payloads = [record.event.payload for record in records if isinstance(record.event, Published)]
            if any(payload.get("status") == until for payload in payloads):
                return payloads
            await trio.sleep(0.01)


async def test_a_question_for_the_weather_is_followed_on_its_channel(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, OfflinePartner()) as system:
        await system.ask(THREAD, ASK, system.stamp())
        payloads = await published(store, "completed")
    started, executed, *pieces, whole = payloads
    assert {payload["thread_id"] for payload in payloads} == {"thread_1"}
    assert all(isinstance(payload["timestamp"], float) for payload in payloads)
    assert (started["message"], started["status"], started["type"]) == (
        "Executing weather check for Makati", "started", "tool",
    )  # fmt: skip
    assert (executed["status"], executed["type"]) == ("tool_executed", "tool")
    assert json.loads(executed["message"])["location"] == "Makati"
    assert [(piece["type"], "status" in piece) for piece in pieces] == [("response", False)] * len(pieces)
    texts = [piece["message"] for piece in pieces]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert whole["message"].startswith(texts[-1])
    assert {piece["message_id"] for piece in (*pieces, whole)} == {"r1"}


async def test_a_failure_is_published_with_words_for_people(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, ScriptedModel([ModelFailure("overloaded")])) as system:
        await system.ask(THREAD, ASK, system.stamp())
        [failed] = await published(store, "error")
    assert (failed["message"], failed["type"]) == ("overloaded", "error")
    assert failed["friendly_message"]


async def test_what_is_on_no_channel_is_published_nowhere(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, ScriptedModel(["Hello."])) as system:
        other = StreamName.of(Category.CONVERSATION, "elsewhere")
        await system.ask(other, OpenConversation(), system.stamp())
        await system.ask(other, Say("m", "r", "Hi"), system.stamp())
        await system.ask(THREAD, ASK, system.stamp())
        payloads = await published(store, "completed")
    assert {payload["thread_id"] for payload in payloads} == {"thread_1"}


@pytest.mark.parametrize("stops", [1, 3, 7])
async def test_through_stops_and_starts_each_update_is_published_once(autojump_clock: MockClock, stops: int) -> None:
    store = MemoryStore()
    model = OfflinePartner(pause=0.05)
    for n in range(stops):
        async with running(store, model) as system:
            if n == 0:
                await system.ask(THREAD, ASK, system.stamp())
            await trio.sleep(0.12)
    async with running(store, model):
        payloads = await published(store, "completed")
    records = await store.read_stream(THREAD)
    wanted = [record.id for record in records if Thread("x").update(record) is not None]
    carried = await store.read_stream(stream_of("weather-update"))
    causes = [record.stamp.causation_id for record in carried if isinstance(record.event, Published)]
    assert causes == wanted
    assert payloads[-1]["status"] == "completed"


def recorded(event: Any) -> Recorded:
    return Recorded(1, THREAD, 1, event, Stamp("c", 1_500_000))


def test_a_new_attempt_begins_its_text_anew() -> None:
    thread = Thread("news")
    assert (thread.update(recorded(ReplyPieceAdded("r1", 1, 0, "Hel"))) or {})["message"] == "Hel"
    assert thread.update(recorded(ReplyBegun("r1", 2, "model"))) is None
    assert (thread.update(recorded(ReplyPieceAdded("r1", 2, 0, "Hi"))) or {})["message"] == "Hi"


def test_other_tools_and_interruptions_are_shown_too() -> None:
    begun = Thread("news").update(recorded(ReplyToolBegun("r1", 1, "c1", "fly", "{")))
    assert begun == {
        "message": "Executing fly", "timestamp": 1.5, "thread_id": "thread_1", "status": "started", "type": "tool",
    }  # fmt: skip
    interrupted = Thread("news").update(recorded(ReplyInterrupted("r1", "so f")))
    assert interrupted is not None
    assert (interrupted["status"], interrupted["message"]) == ("error", "interrupted")
