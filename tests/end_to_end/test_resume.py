"""Resume as a law: whatever happens to a client, what it put together is what the log says was shown to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, assert_never

import pytest
import trio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import DecodeError, json

from adapters.bootstrap import open_callboard
from adapters.config import from_environment
from adapters.demo.server import Server
from adapters.gateways.offline_partner import ScriptedModel
from adapters.opening import blob_store, open_history
from adapters.protocols.conversations import CONVERSATIONS, CONVERSATIONS_WITH_DELTAS
from adapters.setting_values import StoreAddress
from core.conversation import Conversation, OpenConversation, UpdateTranscript, conversation
from core.dialect import Reach
from core.identifiers import Category, StreamName
from core.messages import Accepted
from tests.end_to_end.onlooker import PATIENCE, Line, Onlooker

EXAMPLES = 15 if os.environ.get("CI") == "true" else 6
AS_FOUND = (Phase.explicit, Phase.reuse, Phase.generate)
"""A schedule takes a second, so making one smaller would take minutes; 25 steps can be read."""
OUTLET_BYTES = 256 * 1024
TOO_SLOW = 4008
FLOOD, FLOOD_CHARACTERS = 50, 90_000
"""Frames, and the characters in each: more than two kernels and the outlet hold of one connection."""


# --- what may happen -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seat:
    """One client of a schedule: the number of its conversation, and its dialect."""

    conversation: int
    deltas: bool


@dataclass(frozen=True)
class Say:
    """A client that is connected sends `times` commands, not waiting for anything."""

    who: int
    type: str
    times: int


@dataclass(frozen=True)
class Post:
    """Something comes by REST; the schedule does not wait for its answer."""

    where: int
    route: str


@dataclass(frozen=True)
class Flood:
    """Something comes that is more than a connection holds which is not read; nor is this waited for."""

    where: int


@dataclass(frozen=True)
class Do:
    """Clients vanish, part, stop reading, or come back, i.e. read again and connect."""

    what: str
    who: frozenset[int]


@dataclass(frozen=True)
class Restart:
    """The server is killed, or asked to go, and starts again; some clients come back at once."""

    politely: bool
    back: frozenset[int]


@dataclass(frozen=True)
class Wait:
    milliseconds: int


Step = Say | Post | Flood | Do | Restart | Wait


@dataclass(frozen=True)
class Schedule:
    """`early` are the clients who are there from the beginning."""

    seats: tuple[Seat, ...]
    early: frozenset[int]
    steps: tuple[Step, ...]


SPOKEN: dict[str, dict[str, Any]] = {
    "transcript_update": {"final_transcript": "sæg það aftur – 再说一遍 🎭"},
    "speech_event": {"event_type": "noise", "data": {"level": 0.5}},
    "state_change_request": {"state": "listening"},
}
POSTED: dict[str, dict[str, Any]] = {
    "/api/conversations/{}/transcript": {"interim_transcript": "and then"},
    "/api/conversations/{}/ai-response": {"content": "as you wish"},
    "/api/v2/conversations/{}/messages": {"content": "what shall we play?"},
}
DEEDS = "reset", "part", "pause", "pause", "return", "return", "return"
SEATS = 4

one = st.integers(0, SEATS - 1)
some = st.frozensets(one, min_size=1)
steps = st.one_of(
    st.builds(Do, st.sampled_from(DEEDS), some),
    st.builds(Say, one, st.sampled_from(sorted(SPOKEN)), st.integers(1, 12)),
    st.builds(Post, one, st.sampled_from(sorted(POSTED))),
    st.builds(Wait, st.sampled_from((1, 5, 20, 40))),
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """At most 25 steps, and few of those that take long."""
    conversations = draw(st.integers(1, 3))
    seats = tuple(Seat(n % conversations, draw(st.booleans())) for n in range(SEATS))
    chosen: list[Step] = [*draw(st.lists(steps, min_size=12, max_size=21))]
    rare: list[Step] = draw(st.lists(st.builds(Restart, st.booleans(), some), max_size=2))
    rare += draw(st.lists(st.builds(Flood, one), max_size=2))
    for step in rare:
        chosen.insert(draw(st.integers(0, len(chosen))), step)
    return Schedule(seats, draw(some), tuple(chosen))


# --- and how it happens --------------------------------------------------------------------------------------------


@dataclass
class Stage:
    """One schedule under way on a running server, in conversations of its own."""

    server: Server
    conversations: list[str]
    onlookers: list[Onlooker]
    readers: trio.Nursery
    publishers: trio.Nursery

    async def do(self, step: Step) -> None:
        match step:
            case Say(who, type, times):
                for _ in range(times):
                    await self.onlookers[who].say(type, SPOKEN[type])
            case Post(where, route):
                self.publishers.start_soon(self.post, route, where, POSTED[route])
            case Flood(where):
                self.publishers.start_soon(self._flood, where)
            case Do(what, who):
                for number in sorted(who):
                    await self._let(self.onlookers[number], what)
            case Restart(politely, back):
                await (self.server.stop() if politely else self.server.kill())
                await self.server.start()
                await self.do(Do("return", back))
            case Wait(milliseconds):
                await trio.sleep(milliseconds / 1000)
            case _:
                assert_never(step)

    async def _let(self, onlooker: Onlooker, what: str) -> None:
        match what:
            case "reset":
                await onlooker.reset()
            case "part":
                await onlooker.part()
            case "pause":
                onlooker.pause()
            case _:
                onlooker.go_on()
                await onlooker.connect(self.readers)

    async def post(self, route: str, where: int, body: dict[str, Any]) -> bool:
        """Whether the server took it, as far as it said so soon; an answer of the assistant is not waited for."""
        path = route.format(self.conversations[where % len(self.conversations)])
        with trio.move_on_after(PATIENCE if "message" not in path else 0.1):
            try:
                await self.server.call("POST", path, body)
                return True
            except (OSError, HTTPException, DecodeError):  # it is being killed
                return False
        return False

    async def _flood(self, where: int) -> None:
        for n in range(FLOOD):
            said = f"{n} ".ljust(FLOOD_CHARACTERS, "x")
            if not await self.post("/api/conversations/{}/ai-response", where, {"content": said}):
                return

    async def catch_up(self, log: Path) -> None:
        """Something is said to everybody, and everybody comes back and gets as far as the log is then."""
        for number, _ in enumerate(self.conversations):
            assert await self.post("/api/conversations/{}/transcript", number, {"final_transcript": "the end"})
        frames = [(await read_log(log, onlooker)).frames for onlooker in self.onlookers]
        async with trio.open_nursery() as nursery:
            for onlooker, shown in zip(self.onlookers, frames, strict=True):
                nursery.start_soon(self._until_level, onlooker, shown[-1][0])

    async def _until_level(self, onlooker: Onlooker, version: int) -> None:
        while onlooker.version < version:
            await self._let(onlooker, "return")
            await onlooker.until(lambda: onlooker.version >= version or not onlooker.connected)


async def play(server: Server, log: Path, schedule: Schedule) -> list[Onlooker]:
    """The clients after it all happened; everybody has caught up, and nobody listens any more."""
    count = 1 + max(seat.conversation for seat in schedule.seats)
    ids = [(await server.call("POST", "/api/v2/conversations", {}))["id"] for _ in range(count)]
    onlookers = [Onlooker(server.port, ids[seat.conversation], seat.deltas) for seat in schedule.seats]
    async with trio.open_nursery() as readers:
        async with trio.open_nursery() as publishers:
            stage = Stage(server, ids, onlookers, readers, publishers)
            for step in Do("return", schedule.early), *schedule.steps:
                await stage.do(step)
        await stage.catch_up(log)
        readers.cancel_scope.cancel()
    return onlookers


# --- the law -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """What the log says of a conversation: its state at each version, and each frame that was shown to all."""

    epoch: str
    states: list[Conversation]
    frames: list[tuple[int, str]]


async def read_log(log: Path, onlooker: Onlooker) -> Truth:
    """The truth of this client's conversation, in its dialect."""
    async with open_history(StoreAddress(log)) as store:
        records = await store.read_stream(StreamName.of(Category.CONVERSATION, onlooker.conversation))
    dialect = CONVERSATIONS_WITH_DELTAS if onlooker.deltas else CONVERSATIONS
    truth = Truth(store.epoch, [conversation.initial], [])
    for version, record in enumerate(records, start=1):
        assert record.version == version
        truth.states.append(conversation.fold(truth.states[-1], (record.event,)))
        frame = dialect.render(record, truth.states[-1])
        if frame is not None and frame.to is Reach.EVERYONE:
            truth.frames.append((version, frame.body.decode()))
    return truth


async def check(log: Path, onlookers: list[Onlooker]) -> None:
    for onlooker in onlookers:
        check_one(onlooker, await read_log(log, onlooker))


def check_one(onlooker: Onlooker, truth: Truth) -> None:
    """What it saw begins with its own first join, and from there on is the log."""
    expected = [frame for frame in truth.frames if onlooker.first["seq"] <= frame[0] <= onlooker.version]
    assert [version for version, _ in onlooker.seen] == [version for version, _ in expected], "no gap, no repeat"
    assert onlooker.seen == expected, "byte for byte"
    assert (onlooker.first["recovered"], onlooker.first["epoch"]) == (False, truth.epoch)
    for since, greeting in onlooker.resumed:
        assert (greeting["recovered"], greeting["epoch"], greeting["seq"]) == (True, truth.epoch, since)
        assert greeting["payload"]["transcript"]["final_transcript"] == truth.states[since].transcript
        assert greeting["payload"]["current_state"] == truth.states[since].phase


# --- the tests -----------------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log to be; the servers on it take the settings that make its clients' lives hard."""
    monkeypatch.setenv("CALLBOARD_OUTLET_BYTES", str(OUTLET_BYTES))
    monkeypatch.setenv("CALLBOARD_GRACEFUL_TIMEOUT", "0.5")
    return tmp_path / "resume.db"


@asynccontextmanager
async def running(log: Path) -> AsyncIterator[Server]:
    server = Server(log)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


async def test_whatever_happens_each_client_puts_together_what_the_log_says(log: Path) -> None:
    """Hypothesis runs in a thread, so that all its schedules meet one log, which lives through all their restarts."""
    async with running(log) as server:

        @settings(max_examples=EXAMPLES, deadline=None, print_blob=True, phases=AS_FOUND)
        @given(schedules())
        def holds(schedule: Schedule) -> None:
            onlookers = trio.from_thread.run(play, server, log, schedule)
            trio.from_thread.run(check, log, onlookers)

        await trio.to_thread.run_sync(holds)


async def test_a_client_that_does_not_read_is_closed_with_4008_and_resumes_and_the_others_hear_all(log: Path) -> None:
    seats = (Seat(0, deltas=False), Seat(0, deltas=True), Seat(1, deltas=False))
    stopped = Do("pause", frozenset({0}))
    schedule = Schedule(seats, frozenset({0, 1, 2}), (Wait(50), stopped, Flood(0), Say(1, "speech_event", 3)))
    async with running(log) as server:
        slow, reading, elsewhere = await play(server, log, schedule)
    await check(log, [slow, reading, elsewhere])
    assert (slow.codes, [greeting["recovered"] for _, greeting in slow.resumed]) == ([TOO_SLOW], [True])
    assert reading.codes == elsewhere.codes == []


async def test_a_log_put_in_place_of_another_is_told_by_its_epoch_and_shown_from_its_own_state(log: Path) -> None:
    async with running(log) as server, trio.open_nursery() as nursery:
        onlooker = Onlooker(server.port, (await server.call("POST", "/api/v2/conversations", {}))["id"])
        await onlooker.connect(nursery)
        await onlooker.until(lambda: onlooker.version > 0)
        await onlooker.say("transcript_update", {"final_transcript": "of the old log"})
        await onlooker.until(lambda: "of the old log" in onlooker.seen[-1][1])
        await server.kill()
        await onlooker.until(lambda: not onlooker.connected)
        await put_another_in_place(log, onlooker.conversation)
        await server.start()
        await onlooker.connect(nursery)
        await onlooker.until(lambda: bool(onlooker.resumed))
        _, greeting = onlooker.resumed[0]
        assert greeting["recovered"] is False
        assert greeting["epoch"] != onlooker.first["epoch"]
        assert greeting["payload"]["transcript"]["final_transcript"] == "of the new log"
        nursery.cancel_scope.cancel()


async def put_another_in_place(log: Path, id: str) -> None:
    """A fresh log with longer history of a conversation of this id: `since` alone would not betray it."""
    for path in log.parent.glob(f"{log.name}*"):
        path.unlink()
    configured = from_environment({}, {"store": f"sqlite:///{log}"})
    stream = StreamName.of(Category.CONVERSATION, id)
    async with open_callboard(configured, ScriptedModel([]), blob_store(configured.store)) as system:
        for command in (
            OpenConversation(),
            *[UpdateTranscript(interim="…")] * 9,
            UpdateTranscript(final="of the new log"),
        ):
            assert isinstance(await system.ask(stream, command, system.stamp()), Accepted)


async def test_a_since_of_the_future_gets_a_fresh_snapshot(log: Path) -> None:
    async with running(log) as server:
        id = (await server.call("POST", "/api/v2/conversations", {}))["id"]
        epoch = (await read_log(log, Onlooker(server.port, id))).epoch
        line = await Line.open(server.port, f"/api/ws/conversations/{id}?since=1000&epoch={epoch}")
        greeting, joined = json.decode(await line.next() or ""), json.decode(await line.next() or "")
        assert (greeting["recovered"], greeting["seq"], greeting["epoch"]) == (False, 2, epoch)
        assert (joined["type"], joined["seq"]) == ("connection_status", 2)
        await line.reset()
