"""The WebSocket shell with dialects made up for one purpose each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from trio_websocket import ConnectionRejected

from adapters.web.app import sockets_of
from core.conversation import InterimHeard, JoinClient, LeaveClient, OpenConversation, ReportSpeech, UpdateTranscript
from core.dialect import (
    Close,
    Frame,
    Handshake,
    Hear,
    Listen,
    Output,
    Reach,
    Recall,
    Tell,
    Tune,
    Untune,
    Write,
)  # fmt: skip
from core.identifiers import Category, StreamName
from core.messages import Outcome, Recorded

STREAM = StreamName.of(Category.CONVERSATION, "00000000-0000-4000-8000-000000000001")

Receive = Callable[["Scripted", str | bytes], Sequence[Output]]


@dataclass
class Scripted:
    """A connection that does what a test says."""

    handshake: Handshake
    dialect: Odd
    settlements: list[Outcome] = field(default_factory=list)

    def opened(self, now: int) -> Sequence[Output]:
        return self.dialect.at_first

    def received(self, frame: str | bytes, now: int) -> Sequence[Output]:
        return self.dialect.receive(self, frame)

    def throttled(self, retry_after: float, now: int) -> Sequence[Output]:
        return (Write(f"come back in {retry_after:.1f} s".encode()),)

    def tuned(self, topic: str, position: int, now: int) -> Sequence[Output]:
        return (Write(f"tuned at {position}".encode()), *self.dialect.at_tuning)

    def settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:
        return self.dialect.settle(outcome)

    def recalled(self, stream: StreamName, state: Any, version: int, now: int) -> Sequence[Output]:
        return (Write(f"recalled at {version}: {state.interim}".encode()),)

    def closed(self, now: int) -> Sequence[Output]:
        return self.dialect.at_last(self.handshake)


def nothing(*_: Any) -> Sequence[Output]:
    return ()


def crash(*_: Any) -> Any:
    raise RuntimeError("a fault of the dialect")


@dataclass
class Odd:
    """A dialect that does what a test says."""

    at_first: Sequence[Output] = ()
    receive: Receive = nothing
    settle: Callable[[Outcome], Sequence[Output]] = nothing
    at_last: Callable[[Handshake], Sequence[Output]] = nothing
    at_tuning: Sequence[Output] = ()
    reach: Reach = Reach.EVERYONE
    name: str = "odd"

    def connect(self, handshake: Handshake) -> Scripted:
        return Scripted(handshake, self)

    def render(self, record: Recorded, state: Any) -> Frame | None:
        match record.event:
            case InterimHeard(text):
                return Frame(f"{record.version}: {text}".encode(), self.reach)
            case _:
                return None

    def farewell(self, record: Recorded, state: Any) -> Close | None:
        return None

    def topics(self, record: Recorded) -> Sequence[str]:
        return ("interims",) if isinstance(record.event, InterimHeard) else ()

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:
        return Frame(f"{topic} {record.event.text}".encode(), self.reach)


class Unconnectable(Odd):
    def connect(self, handshake: Handshake) -> Scripted:
        raise RuntimeError("a fault of the dialect")


def mount(server: Any, dialect: Odd, path: str = "/odd") -> None:
    async def talk() -> None:
        await sockets_of(server.app).talk(dialect, {})

    server.app.add_websocket(path, f"talk{path}", talk)


async def tell(server: Any, command: Any) -> None:
    await server.system.ask(STREAM, command, server.system.stamp())


async def test_a_crash_in_received_closes_with_1011_and_hurts_nobody_else(server: Any) -> None:
    mount(server, Odd(receive=crash))
    async with server.connect("/odd") as socket, server.connect("/odd") as other:
        await socket.wire.send_message("boom")
        assert await socket.closed() == (1011, "Server error")
        await other.wire.ping()
    assert (await server.http.get("/health")).status_code == 200


async def test_a_crash_in_connect_closes_with_1011(server: Any) -> None:
    mount(server, Unconnectable())
    async with server.connect("/odd") as socket:
        assert await socket.closed() == (1011, "Server error")


async def test_a_crash_in_settled_closes_with_1011_and_leaves_the_actor_alone(server: Any) -> None:
    mount(server, Odd(at_first=(Tell(STREAM, OpenConversation()),), settle=crash))
    async with server.connect("/odd") as socket:
        assert await socket.closed() == (1011, "Server error")
    assert server.system.statistics().restarts == 0


async def test_a_crash_in_closed_hurts_nobody_else(server: Any) -> None:
    mount(server, Odd(at_last=crash))
    async with server.connect("/odd"):
        pass
    assert (await server.http.get("/health")).status_code == 200


async def test_outputs_are_done_in_their_order_and_none_after_a_close(server: Any) -> None:
    mount(server, Odd(at_first=(Write(b"one"), Write(b"two"), Close(4500, "enough"), Write(b"three"))))
    async with server.connect("/odd") as socket:
        assert [await socket.wire.get_message(), await socket.wire.get_message()] == ["one", "two"]
        assert await socket.closed() == (4500, "enough")


async def test_what_a_command_led_to_comes_back_to_the_connection(server: Any) -> None:
    at_first = (Tell(STREAM, ReportSpeech("start")),)
    mount(server, Odd(at_first=at_first, settle=lambda outcome: (Write(type(outcome).__name__.encode()),)))
    async with server.connect("/odd") as socket:
        assert await socket.wire.get_message() == "Refused"


async def test_listening_keeps_what_is_recorded_until_it_is_heard(server: Any) -> None:
    await tell(server, OpenConversation())
    state, version = await server.system.look(STREAM)
    mount(server, Odd(at_first=(Listen(STREAM),), receive=lambda *_: (Write(b"now"), Hear(STREAM, state, version))))
    async with server.connect("/odd") as socket:
        await tell(server, UpdateTranscript(interim="kept"))
        await socket.wire.send_message("hear")
        await tell(server, UpdateTranscript(interim="live"))
        assert [await socket.wire.get_message() for _ in range(3)] == ["now", "2: kept", "3: live"]


async def test_a_recall_shows_the_state_then_then_what_came_after_and_later_outputs_wait(server: Any) -> None:
    await tell(server, OpenConversation())
    for text in ("a", "b", "c", "d"):
        await tell(server, UpdateTranscript(interim=text))
    mount(server, Odd(at_first=(Recall(STREAM, 3, 5), Write(b"after")), receive=lambda *_: (Write(b"later"),)))
    async with server.connect("/odd") as socket:
        await socket.wire.send_message("go on")
        heard = [await socket.wire.get_message() for _ in range(5)]
    assert heard == ["recalled at 3: b", "4: c", "5: d", "after", "later"]


async def test_a_recall_from_the_beginning_starts_with_the_initial_state(server: Any) -> None:
    await tell(server, OpenConversation())
    await tell(server, UpdateTranscript(interim="a"))
    mount(server, Odd(at_first=(Recall(STREAM, 0, 2),)))
    async with server.connect("/odd") as socket:
        assert [await socket.wire.get_message() for _ in range(2)] == ["recalled at 0: None", "2: a"]


async def test_a_recall_shows_only_what_reaches_this_connection(server: Any) -> None:
    await tell(server, OpenConversation())
    await tell(server, UpdateTranscript(interim="of no connection"))
    mount(server, Odd(at_first=(Recall(STREAM, 1, 2), Write(b"end")), reach=Reach.ORIGIN))
    async with server.connect("/odd") as socket:
        assert [await socket.wire.get_message() for _ in range(2)] == ["recalled at 1: None", "end"]


async def test_at_its_end_a_connection_leaves_also_when_the_actor_was_busy(server: Any) -> None:
    await tell(server, OpenConversation())
    mount(
        server,
        Odd(
            receive=lambda connection, _: (
                Tell(STREAM, JoinClient(connection.handshake.connection_id)),
                *[Tell(STREAM, ReportSpeech("flood"))] * 400,
                Close(4500, "gone in the middle of it"),
            ),
            at_last=lambda handshake: (Tell(STREAM, LeaveClient(handshake.connection_id)),),
        ),
    )
    async with server.connect("/odd") as socket:
        await socket.wire.send_message("join")
        await socket.closed()
    await server.until(STREAM.id, lambda state: not state.clients)
    records = await server.system.store.read_stream(STREAM)
    assert [type(record.event).__name__ for record in records if "Client" in type(record.event).__name__] == [
        "ClientJoined",
        "ClientLeft",
    ]


async def test_the_handshake_knows_path_query_and_a_connection_id_of_this_run(server: Any) -> None:
    def tell_all(connection: Scripted, _: str | bytes) -> Sequence[Output]:
        handshake = connection.handshake
        shown = f"{handshake.connection_id} {dict(handshake.query)} {handshake.principal} {handshake.epoch}"
        return (Write(shown.encode()),)

    mount(server, Odd(receive=tell_all))
    async with server.connect("/odd?since=3") as socket:
        await socket.wire.send_message("who am I?")
        assert await socket.wire.get_message() == (
            f"{server.system.boot}.1 {{'since': '3'}} anonymous {server.system.store.epoch}"
        )


async def test_a_socket_to_nowhere_is_refused_with_404(server: Any) -> None:
    with pytest.raises(ConnectionRejected) as rejected:
        async with server.connect("/nowhere"):
            pass
    assert rejected.value.status_code == 404


async def say(server: Any, *texts: str) -> None:
    for text in texts:
        await tell(server, UpdateTranscript(interim=text))


async def heard(socket: Any, count: int) -> list[str]:
    return [await socket.wire.get_message() for _ in range(count)]


async def test_a_wide_topic_is_heard_from_a_position_on_without_gap_or_repeat(server: Any) -> None:
    await tell(server, OpenConversation())
    await say(server, "one", "two", "three")
    mount(server, Odd(receive=lambda _, after: (Tune("interims", int(after)), Write(b"tuned in"))))
    async with server.connect("/odd") as socket:
        await socket.wire.send_message("2")
        assert await heard(socket, 4) == ["tuned at 2", "interims two", "interims three", "tuned in"]
        await say(server, "four")
        assert await heard(socket, 1) == ["interims four"]


async def test_a_wide_topic_tuned_to_without_a_position_is_heard_from_now_on(server: Any) -> None:
    await tell(server, OpenConversation())
    await say(server, "one")
    mount(server, Odd(receive=lambda _, frame: (Tune("interims"),) if frame == "tune" else (Untune("interims"),)))
    async with server.connect("/odd") as socket:
        await socket.wire.send_message("tune")
        assert (await heard(socket, 1))[0].startswith("tuned at ")
        await say(server, "two")
        assert await heard(socket, 1) == ["interims two"]
        await socket.wire.send_message("untune")
        await socket.wire.ping()
        await say(server, "three")
        await socket.wire.send_message("tune")
        assert (await heard(socket, 1))[0].startswith("tuned at ")
    assert server.system.audiences.listeners == 0


async def test_what_is_said_where_a_wide_topic_begins_is_done_in_its_order_and_before_all_that_waits(
    server: Any,
) -> None:
    await tell(server, OpenConversation())
    await say(server, "one", "two", "three")
    recalls = (Recall(STREAM, 1, 2), Recall(STREAM, 2, 3), Write(b"done"))
    mount(server, Odd(at_first=(Tune("interims", 3), Write(b"last")), at_tuning=recalls))
    async with server.connect("/odd") as socket:
        assert await heard(socket, 7) == [
            "tuned at 3", "recalled at 1: None", "2: one", "recalled at 2: one", "3: two", "done", "interims three",
        ]  # fmt: skip
        assert await heard(socket, 1) == ["last"]


async def test_a_wide_topic_left_while_it_is_said_where_it_begins_is_not_heard(server: Any) -> None:
    await tell(server, OpenConversation())
    await say(server, "one", "two")
    mount(server, Odd(at_first=(Tune("interims", 0), Write(b"last")), at_tuning=(Untune("interims"),)))
    async with server.connect("/odd") as socket:
        assert await heard(socket, 2) == ["tuned at 0", "last"]
        assert server.system.audiences.listeners == 0


class ForOthers(Odd):
    """Who speaks last is heard alone: all others are closed."""

    def farewell(self, record: Recorded, state: Any) -> Close | None:
        return Close(4409, "somebody else speaks", Reach.OTHERS) if isinstance(record.event, InterimHeard) else None


async def test_a_farewell_may_be_for_the_others_than_the_one_it_comes_from(server: Any) -> None:
    await tell(server, OpenConversation())
    listen = (Listen(STREAM), Hear(STREAM, (await server.system.look(STREAM))[0], 1))

    def repeat(_: Scripted, text: str | bytes) -> Sequence[Output]:
        return (Tell(STREAM, UpdateTranscript(interim=str(text))),)

    mount(server, ForOthers(at_first=listen, receive=repeat))
    async with server.connect("/odd") as one, server.connect("/odd") as other:
        await one.wire.ping()
        await other.wire.send_message("mine")
        assert await one.closed() == (4409, "somebody else speaks")
        await other.wire.ping()
