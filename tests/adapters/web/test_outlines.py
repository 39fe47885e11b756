"""A stream as a whole, as auditors are told it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio
from msgspec import json

from adapters import outlining
from adapters.outlining import TOLD_BY_CONTENT, outlined
from adapters.protocols.console import LANES, lane_of
from core.audit import Accessed
from core.call import Speaker, TranscriptRewritten, Utterance, UtterancesAdded
from core.channel import Published
from core.conversation import ClientJoined, MessageSaid, OpenConversation, Role
from core.identifiers import Category, StreamName
from core.messages import Decision, Stamp
from core.ports import EventStore, StoreUnavailable
from eventstore.catalog import EVENTS
from eventstore.codec import events
from eventstore.masterkey import MasterKey
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.adapters.latency import assert_answered_within, ping_until
from tests.adapters.web.test_audit import TALK, heard, opened
from tests.adapters.web.test_verification import tampered
from tests.eventstore.logs import stream

EVENTS_IN_LONG = int(os.environ.get("CALLBOARD_LONG_STREAM", "30000"))
NAMES = ("conversation-nobody", "nothing", "conversation-", "<b>-1", "conversation-a b", "x/y", "x" * 2000)
"""Of no streams."""
GOLDEN = Path(__file__).parents[2] / "golden_events"


def path_of(name: str) -> str:
    return f"/api/audit/streams/{quote(name, safe='')}/outline"


async def put(store: EventStore, name: StreamName, *told: Any, times: list[int] | None = None) -> None:
    """One decision for each event."""
    decisions = [
        Decision(Stamp("", time), OpenConversation(), (event,))
        for event, time in zip(told, times or range(len(told)), strict=True)
    ]
    await store.append(name, decisions, expected_version=len(await store.read_stream(name)))


def examples() -> list[Any]:
    """One event of each kind, and those whose lane hangs on what they say once more."""
    golden = [events.decode(name, (GOLDEN / f"{name.replace('/', '@')}.json").read_bytes()) for name in EVENTS]
    user, agent = Utterance(Speaker.USER, "hi"), Utterance(Speaker.AGENT, "ho")
    return [
        *golden,
        *(MessageSaid("m", role, "hello") for role in Role),
        *(kind(1, said) for kind in (UtterancesAdded, TranscriptRewritten) for said in ((user,), (agent,), ())),
        *(Published("c", {"type": kind}) for kind in ("response", "tool", "text")),
    ]


async def told(store: EventStore, name: StreamName) -> Any:
    return json.decode((await outlined(store, name)).encoded())


async def test_an_outline_says_when_each_event_was_and_what_and_is_on_record(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with open_sqlite(path) as store, opened(store, f"sqlite:///{path}") as office:
        for command in (OpenConversation(), heard("a"), OpenConversation(), heard("b")):
            await office.system.ask(TALK, command, office.system.stamp())
        outline = await office.told(path_of(TALK))
        records = await store.read_stream(TALK)
        (access,) = await office.accesses()
    assert (outline["stream"], outline["version"]) == (TALK, 4)
    assert [outline["names"][event] for event in outline["events"]] == [
        "conversation.opened", "conversation.interim_heard", "command.rejected", "conversation.interim_heard",
    ]  # fmt: skip
    times = [record.stamp.time for record in records]
    assert [outline["first"] + sum(outline["steps"][: n + 1]) for n in range(4)] == times
    assert [LANES[lane] for lane in outline["lanes"]] == [lane_of(record.event) for record in records]
    assert access.event == Accessed("outline", {"stream": TALK}, 4, 4)


@pytest.mark.parametrize("kind", ["memory", "file", "sealed file"])
async def test_the_lanes_are_those_of_the_console_s_frames(kind: str, tmp_path: Path) -> None:
    name, master = stream("all"), MasterKey(b"k" * 32) if kind == "sealed file" else None
    async with open_sqlite(tmp_path / "log.db", master=master) as file:
        store: EventStore = MemoryStore() if kind == "memory" else file
        await put(store, name, *examples())
        outline = await told(store, name)
    assert [LANES[lane] for lane in outline["lanes"]] == [lane_of(event) for event in examples()]
    stored = [events.name_of(type(event)).partition("/")[0] for event in examples()]
    assert [outline["names"][event] for event in outline["events"]] == stored


def test_events_whose_lane_hangs_on_more_than_their_kind_are_known_to_do_so() -> None:
    lanes: dict[type, set[str]] = {}
    for event in examples():
        lanes.setdefault(type(event), set()).add(lane_of(event))
    assert {kind for kind, found in lanes.items() if len(found) > 1} == set(TOLD_BY_CONTENT)


async def test_pieces_are_joined_and_a_clock_may_have_been_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlining, "PIECE", 2)
    store, name = MemoryStore(), stream("a")
    await put(store, name, *(ClientJoined(f"b.{n}", 1) for n in range(5)), times=[100, 107, 90, 90, 95])
    outline = await told(store, name)
    assert (outline["first"], outline["steps"], outline["version"]) == (100, [0, 7, -17, 0, 5], 5)
    assert (outline["names"], outline["events"]) == (["conversation.client_joined"], [0] * 5)
    monkeypatch.setattr(outlining, "MOST_EVENTS", 3)
    assert (await told(store, name))["steps"] == [0, 7, -17]


async def test_an_event_that_was_altered_or_nobody_knows_has_its_place(tmp_path: Path) -> None:
    path, name = tmp_path / "log.db", stream("a")
    async with open_sqlite(path) as store:
        await put(store, name, *(MessageSaid("m", Role.ASSISTANT, "hello") for _ in range(3)))
    tampered(
        path,
        "UPDATE stored_events SET state = '<nonsense>' WHERE rowid = 1",
        "UPDATE stored_events SET topic = 'future.thing_happened/3' WHERE rowid = 2",
    )
    async with open_sqlite(path) as store:
        outline = await told(store, name)
    assert outline["names"] == ["conversation.message_said", "future.thing_happened"]
    assert [LANES[lane] for lane in outline["lanes"]] == ["person", "system", "assistant"]


async def test_an_event_whose_time_is_none_any_more_makes_the_log_unreadable(tmp_path: Path) -> None:
    path, name = tmp_path / "log.db", stream("a")
    async with open_sqlite(path) as store:
        await put(store, name, ClientJoined("b.1", 1))
    tampered(path, "UPDATE stored_events SET recorded_at = 'noon'")
    async with open_sqlite(path) as store:
        with pytest.raises(StoreUnavailable, match="an event of conversation-a has a time or a name that is none"):
            await told(store, name)


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_no_stream_is_not_found(name: str) -> None:
    async with opened(MemoryStore(), "memory:") as office:
        status, body = await office.ask(path_of(name))
        notes = [record.event.question for record in await office.accesses()]
    assert (status, body) == (404, {"detail": "The log has no such stream"})
    assert notes == ([{"stream": name}] if name == "conversation-nobody" else [])


async def test_a_stream_may_be_called_what_it_likes() -> None:
    store, name = MemoryStore(), StreamName.of(Category.CONVERSATION, "a/../b?%2F#<script>&é")
    await put(store, name, ClientJoined("b.1", 1))
    async with opened(store, "memory:") as office:
        assert (await office.told(path_of(name)))["stream"] == name


async def test_only_auditors_and_operators_are_told() -> None:
    async with opened(MemoryStore(), "memory:") as office:
        assert (await office.ask(path_of(TALK), role="client"))[0] == 403
        assert (await office.ask(path_of(TALK), role="operator"))[0] == 404


async def test_a_long_outline_lets_everybody_else_go_on(tmp_path: Path) -> None:
    name, answers = stream("long"), list[float]()
    async with open_sqlite(tmp_path / "log.db") as store:
        await put(store, name, *(ClientJoined(f"b.{n}", n) for n in range(EVENTS_IN_LONG)))
        is_over = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(ping_until, is_over.is_set, trio.lowlevel.checkpoint, answers, 0.002))
            began = trio.current_time()
            for _ in range(3):
                outline = await outlined(store, name)
                assert outline.version == EVENTS_IN_LONG
                assert len(await trio.to_thread.run_sync(outline.encoded)) > EVENTS_IN_LONG * 5
            print(f"{(trio.current_time() - began) / 3:.3f} s an outline")
            is_over.set()
    assert_answered_within(0.03, answers, standstill=0.5)
