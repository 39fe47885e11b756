"""What the console is told first: who looks, what lives, how the server is, and which streams there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.system import System
from adapters.opening import DECIDERS
from adapters.protocols.channels.frames import topic_of as channel_topic
from adapters.protocols.console.frames import topic_of as console_topic
from adapters.server.statistics import Tally
from adapters.web import board_now
from adapters.web.board_now import label_of, on_board, vitals_of
from core.call import (
    CallEnded,
    ConnectSocket,
    ResponseRequired,
    ShowMetadata,
    SocketConnected,
    SocketDisconnected,
    WebhookReceived,
)
from core.channel import ChannelOpened, Publish
from core.channel import stream_of as channel_named
from core.conversation import (
    ConversationOpened,
    EndConversation,
    OpenConversation,
    Phase,
    PhaseEntered,
    RequestPhase,
    UpdateTranscript,
)
from core.identifiers import Category, StreamName
from core.messages import Recorded
from core.session import DeviceJoined, RatesRequested, SessionExpired, SessionOpened
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.actors.test_audience import Ear, Plain
from tests.adapters.web.conftest import Server
from tests.adapters.web.test_audit import Office, opened
from tests.adapters.web.test_console_commands import PERFORMERS
from tests.adapters.whole import serving

TALK = StreamName.of(Category.CONVERSATION, "talk")
ME, BOARD, STREAMS = "/api/console/me", "/api/console/board", "/api/console/streams"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each board is made anew."""
    monkeypatch.setattr(board_now, "KEPT", 0.0)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Over a log with one conversation, in which somebody is listened to, and one thing was refused."""
    path = tmp_path / "log.db"
    async with open_sqlite(path) as store, opened(store, f"sqlite:///{path}") as office:
        for command in OpenConversation(), RequestPhase(Phase.LISTENING), OpenConversation():
            await office.system.ask(TALK, command, office.system.stamp(principal="bob"))
        yield office


async def shown(office: Office) -> Any:
    """The board, once all that is recorded was shown."""
    with trio.fail_after(5):
        while True:
            board = await office.told(BOARD)
            if not board["vitals"]["tail_lag"] and not board["vitals"]["board_lag"]:
                return board
            await trio.lowlevel.checkpoint()


# --- who looks --------------------------------------------------------------------------------------------------


async def test_one_is_told_who_one_is_and_what_runs(office: Office) -> None:
    assert await office.told(ME, role="operator") == {
        "principal": "ada",
        "roles": ["client", "operator"],
        "auth": "jwt",
        "version": version("callboard"),
        "epoch": office.system.store.epoch,
    }


async def test_where_nobody_is_asked_everybody_is_all() -> None:
    async with serving() as server:
        me = (await server.http.get(ME)).json()
    assert (me["principal"], me["roles"], me["auth"]) == ("anonymous", ["auditor", "client", "operator"], "none")


@pytest.mark.parametrize("path", [ME, BOARD, STREAMS])
async def test_nothing_is_told_to_strangers_and_clients(office: Office, path: str) -> None:
    assert (await office.http.get(path, headers={"Host": "127.0.0.1"})).status_code == 401
    statuses = {role: (await office.ask(path, role=role))[0] for role in ("client", "auditor", "operator")}
    assert statuses == {"client": 403, "auditor": 200, "operator": 200}


async def test_looking_at_the_console_s_own_pages_is_not_recorded(office: Office) -> None:
    for path in ME, BOARD, STREAMS:
        await office.told(path)
    assert await office.accesses() == []


# --- the board --------------------------------------------------------------------------------------------------


async def test_what_lives_is_on_the_board_with_its_last_event(office: Office) -> None:
    board = await shown(office)
    newest = (await office.system.store.read_stream(TALK))[-1]
    assert (board["head"], board["truncated"]) == (3, False)
    assert board["at"] >= newest.stamp.time
    assert board["streams"] == [
        {
            "stream": TALK,
            "kind": "conversation",
            "label": "listening",
            "version": 3,
            "last_event": "command.rejected",
            "last_time": newest.stamp.time,
            "watchers": 0,
            "mailbox": 0,
            "effects": 0,
        }
    ]


async def test_the_vital_signs_are_counts_of_what_was_done(office: Office) -> None:
    vitals = (await shown(office))["vitals"]
    assert (vitals["commands"], vitals["rows"], vitals["commits"]) == (3, 3, 3)
    assert (vitals["rejections"], vitals["actors"], vitals["ready"]) == (1, 1, True)
    assert vitals["commit_seconds"] > 0
    await office.system.look(TALK)
    assert (await shown(office))["vitals"]["commands"] == 3  # to look is no command


async def test_what_is_listened_to_stays_on_the_board_when_its_actor_has_gone(server: Server) -> None:
    id = await server.opened()
    stream = StreamName.of(Category.CONVERSATION, id)
    async with server.talk(id) as socket:
        await socket.frame()
        await server.system.look(stream)
        (before,), _ = on_board(server.system)
        with trio.fail_after(5):
            while stream in server.system.directory:
                server.system.directory.let_go(stream)
                await trio.lowlevel.checkpoint()
        assert on_board(server.system) == ([before], False)
        assert (before.stream, before.label, before.watchers) == (stream, "idle", 1)
        assert (before.version, before.last_event) == (2, "conversation.client_joined")
        sockets = Tally()
        sockets.open["conversations"], sockets.frames_out = 1, 7
        vitals = vitals_of(server.system, sockets, draining=True)
        assert (vitals.actors, vitals.listeners, vitals.ready) == (0, 1, False)
        assert (vitals.sockets, vitals.frames) == ({"conversations": 1}, 7)


async def test_sockets_are_counted_by_dialect_on_the_real_server() -> None:
    async with serving() as server, server.connect(f"/api/ws/conversations/{await server.opened()}") as socket:
        await socket.frame()
        board = (await server.http.get(BOARD)).json()
    assert (board["vitals"]["sockets"], [row["watchers"] for row in board["streams"]]) == ({"conversations": 1}, [1])
    assert board["vitals"]["frames"] >= 1


async def test_where_there_is_no_room_for_all_those_of_late_are_shown(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_now, "MOST_STREAMS", 2)
    for number in range(3):
        await office.system.ask(StreamName.parse(f"conversation-{number}"), OpenConversation(), office.system.stamp())
    await office.system.ask(TALK, EndConversation(), office.system.stamp())  # ends its actor
    board = await shown(office)
    assert board["truncated"] is True
    assert {row["stream"] for row in board["streams"]} == {"conversation-1", "conversation-2"}


async def test_where_there_is_no_room_it_is_filled_also_where_nothing_was_recorded(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_now, "MOST_STREAMS", 2)
    for number in range(3):
        await office.system.look(StreamName.parse(f"call-{number}"))
    board = await shown(office)
    assert (board["truncated"], len(board["streams"]), board["streams"][0]["stream"]) == (True, 2, TALK)


async def test_all_who_ask_within_half_a_second_are_told_one_board(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shown(office)
    made: list[System] = []

    def make(system: System) -> tuple[list[board_now.OnBoard], bool]:
        made.append(system)
        return [], False

    monkeypatch.setattr(board_now, "on_board", make)
    for kept, boards in (0.0, 2), (60.0, 2), (0.0, 4):
        monkeypatch.setattr(board_now, "KEPT", kept)
        assert (await office.told(BOARD))["head"] == 3
        assert (await office.told(BOARD))["streams"] == []
        assert len(made) == boards


@pytest.mark.parametrize("name", ["news", "a name that is not plain"])
async def test_a_channel_that_is_subscribed_to_is_on_the_board_with_its_subscribers(office: Office, name: str) -> None:
    wide = office.system.audiences.wide
    for envelope in False, True, True:
        wide.tune(channel_topic(name, envelope=envelope), Plain(), Ear())
    (row,) = [row for row in (await shown(office))["streams"] if row["kind"] == "channel"]
    assert (row["stream"], row["watchers"], row["label"], row["version"]) == (channel_named(name), 3, "open", 0)
    await office.system.ask(channel_named(name), Publish(name, {}), office.system.stamp())
    await shown(office)
    office.system.directory.let_go(channel_named(name))
    (row,) = [row for row in (await shown(office))["streams"] if row["kind"] == "channel"]
    assert (row["watchers"], row["version"], row["last_event"]) == (3, 2, "channel.published")


async def test_consoles_that_watch_a_stream_are_among_its_watchers(office: Office) -> None:
    tuned = office.system.audiences.wide.tune(console_topic(TALK), Plain(), Ear())
    assert [row["watchers"] for row in (await shown(office))["streams"]] == [1]
    tuned.leave()
    assert [row["watchers"] for row in (await shown(office))["streams"]] == [0]


async def test_what_nobody_has_opened_has_a_label_too(office: Office) -> None:
    await office.system.look(StreamName.parse("conversation-unborn"))
    rows = {row["stream"]: row for row in (await shown(office))["streams"]}
    unborn = rows["conversation-unborn"]
    assert (unborn["label"], unborn["version"], unborn["last_event"], unborn["last_time"]) == (
        "unopened",
        0,
        None,
        None,
    )


CONNECTED, JOINED = SocketConnected("boot.1", 1), DeviceJoined("boot.1", 1, 1)
OPENED = SessionOpened("bob", "shipping", 1, None, {})


@pytest.mark.parametrize(
    "category, events, label",
    [
        (Category.CONVERSATION, [], "unopened"),
        (Category.CONVERSATION, [ConversationOpened("kind", "daily", None, None, "api")], "idle"),
        (Category.CONVERSATION, [PhaseEntered(Phase.WAITING_FOR_USER, Phase.SPEAKING)], "waiting_for_user"),
        (Category.CALL, [], "unopened"),
        (Category.CALL, [WebhookReceived("call_started", {})], "disconnected"),
        (Category.CALL, [CONNECTED], "listening"),
        (Category.CALL, [CONNECTED, ResponseRequired(0, False)], "responding"),
        (Category.CALL, [CONNECTED, SocketDisconnected("boot.1", "gone", 1.0)], "disconnected"),
        (Category.CALL, [CONNECTED, CallEnded("enough", 1)], "ended"),
        (Category.SESSION, [], "unopened"),
        (Category.SESSION, [OPENED], "idle"),
        (Category.SESSION, [OPENED, JOINED], "open"),
        (Category.SESSION, [OPENED, JOINED, RatesRequested(1, "r", {}, False, 1)], "working"),
        (Category.SESSION, [OPENED, SessionExpired(1)], "expired"),
        (Category.CHANNEL, [ChannelOpened("news")], "open"),
        (Category.AUDIT, [], "open"),
        (Category.DELIVERY, [], "open"),
    ],
)
def test_a_label_says_the_state_in_one_word(category: Category, events: list[Any], label: str) -> None:
    decider = DECIDERS[category]
    assert label_of(decider.fold(decider.initial, events)) == label


def test_what_is_not_known_has_no_label() -> None:
    assert label_of(None) == ""


# --- which streams there are ------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "memory"])
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Office]:
    """Over a log of either kind with a few streams."""
    path = tmp_path / "log.db"
    async with open_sqlite(path) as durable:
        kept = request.param == "sqlite"
        store, address = (durable, f"sqlite:///{path}") if kept else (MemoryStore("epoch"), "memory:")
        async with opened(store, address, performers=PERFORMERS) as office:
            for stream in map(StreamName.parse, NAMES):
                for command in COMMANDS[stream.category]:
                    await office.system.ask(stream, command, office.system.stamp())
            await shown(office)
            yield office


NAMES = ("conversation-apple", "conversation-pear", "conversation-pineapple", "call-apple")
COMMANDS: dict[Category, tuple[Any, ...]] = {
    Category.CONVERSATION: (OpenConversation(), RequestPhase(Phase.LISTENING)),
    Category.CALL: (ConnectSocket("boot.1", 1), ShowMetadata({})),
}


ASKED: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {*NAMES}),
    ({"q": "apple"}, {"conversation-apple", "conversation-pineapple", "call-apple"}),
    ({"q": "conversation-p"}, {"conversation-pear", "conversation-pineapple"}),
    ({"q": "APPLE", "category": "call"}, {"call-apple"}),
    ({"category": "conversation"}, {*NAMES[:3]}),
    ({"category": "session"}, set()),
    ({"q": "plum"}, set()),
    ({"q": "%"}, set()),
]


async def test_streams_are_found_by_a_part_of_their_names(library: Office) -> None:
    for query, found in ASKED:
        told = await library.told(STREAMS, **query)
        assert ({row["stream"] for row in told["streams"]}, told["truncated"]) == (found, False), query


async def test_of_each_stream_it_is_told_how_long_it_is_and_from_when_to_when(library: Office) -> None:
    (row,) = (await library.told(STREAMS, q="pear"))["streams"]
    first, last = await library.system.store.read_stream(StreamName.parse("conversation-pear"))
    assert (row["events"], row["first_time"], row["last_time"]) == (2, first.stamp.time, last.stamp.time)


async def test_the_streams_of_late_come_first_and_no_more_than_are_wanted(library: Office) -> None:
    await library.system.ask(StreamName.parse("conversation-apple"), EndConversation(), library.system.stamp())
    await shown(library)
    told = await library.told(STREAMS, limit=2)
    assert [row["stream"] for row in told["streams"]] == ["conversation-apple", "call-apple"]
    assert told["truncated"] is True


class Counting(MemoryStore):
    """Counts what is read of streams."""

    read = 0

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        records = await super().read_stream(stream, after=after, limit=limit)
        self.read += len(records)
        return records


async def test_of_long_streams_in_memory_two_events_are_read() -> None:
    store = Counting()
    async with opened(store, "memory:") as office:
        await office.system.ask(TALK, OpenConversation(), office.system.stamp())
        for number in range(100):
            await office.system.ask(TALK, UpdateTranscript(interim=str(number)), office.system.stamp())
        await office.system.ask(TALK, EndConversation(), office.system.stamp())  # ends its actor
        await shown(office)
        store.read, length = 0, len(await MemoryStore.read_stream(store, TALK))
        (row,) = (await office.told(STREAMS))["streams"]
        assert (row["events"], store.read) == (length, 2)


async def test_what_is_no_question_is_refused(office: Office) -> None:
    for query in {"limit": 0}, {"limit": 201}, {"category": "dance"}, {"q": "x" * 257}:
        status, told = await office.ask(STREAMS, **query)
        assert (status, told["detail"][0]["loc"]) == (422, ["query", *query])
