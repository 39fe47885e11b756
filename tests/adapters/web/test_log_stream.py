"""The log as Server-Sent Events: over real sockets, and, where time or memory matter, the body alone."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import h11
import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.audience import Audiences
from actors.backoff import Backoff
from actors.projector import follow
from adapters.clock import SystemClock
from adapters.records import as_object
from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits
from adapters.web.auth import Role, Visitor, check_requests
from adapters.web.log_feeds import Feed, OneStream, WholeLog
from adapters.web.log_stream import CHUNK, HEARTBEAT, Asked, LogStream, begin
from adapters.web.log_stream import Start as Begun
from core.conversation import MessageSaid, Say
from core.conversation import Role as Speaker
from core.identifiers import Category, StreamName
from core.messages import Decision, Recorded, Stamp
from core.ports import EventStore, StoreUnavailable
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.adapters.web.conftest import PATIENCE, Server, Start, starting
from tests.adapters.web.event_source import EventSource, Message, Parser
from tests.eventstore.logs import say, stream

ADA, BEN = stream("ada"), stream("ben")
CALL = StreamName.of(Category.CALL, "c1")
LOG = "/api/log/stream"


def one(name: StreamName) -> str:
    return f"/api/log/streams/{name}"


async def heard(messages: AsyncIterator[Message], count: int) -> list[Message]:
    with trio.fail_after(PATIENCE):
        return [await anext(messages) for _ in range(count)]


async def contents(messages: AsyncIterator[Message], count: int) -> list[str]:
    """What the next `count` records say."""
    return [message.content["payload"]["content"] for message in await heard(messages, count)]


async def ended(messages: AsyncIterator[Message]) -> list[Message]:
    """What comes until the answer ends as it should: h11 raises for one that is cut off."""
    with trio.fail_after(PATIENCE):
        return [message async for message in messages]


# --- the first event, and where a client goes on from -------------------------------------------------------------


async def test_the_first_event_says_where_the_client_goes_on_from_and_what_comes_later_follows(server: Server) -> None:
    await say(server.system.store, ADA, "before")
    source = EventSource(server.url, LOG)
    async with source.connected() as messages:
        (hello,) = await heard(messages, 1)
        assert (hello.event, hello.content) == ("hello", {"epoch": "memory", "seq": 1, "recovered": False})
        assert source.parser.retry == 2000
        await say(server.system.store, ADA, "after")
        assert await contents(messages, 1) == ["after"]


async def test_an_answer_is_an_event_stream_that_nothing_on_the_way_keeps(server: Server) -> None:
    answer = await server.http.head(LOG)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_record_says_all_that_the_log_says_of_it(server: Server) -> None:
    stamp = Stamp("the correlation", 1_700_000_000_123_456, "the command", "call-c1@1", "ada", "boot.1")
    decision = Decision(stamp, Say("m", "r", "Hi"), (MessageSaid("m", Speaker.USER, "two\nlines"),))
    (record,) = await server.system.store.append(ADA, [decision], expected_version=0)
    async with EventSource(server.url, f"{LOG}?after=0").connected() as messages:
        message = (await heard(messages, 2))[1]
    assert (message.event, message.id) == ("record", "memory.1")
    assert message.content == msgspec.to_builtins(as_object(record))
    assert message.content["payload"]["content"] == "two\nlines"
    assert {name: value for name, value in message.content.items() if name != "payload"} == {
        "position": 1,
        "stream": "conversation-ada",
        "version": 1,
        "event": "conversation.message_said/1",
        "time": "2023-11-14T22:13:20.123456+00:00",
        "correlation_id": "the correlation",
        "causation_id": "call-c1@1",
        "command_id": "the command",
        "principal": "ada",
        "origin": "boot.1",
    }


async def test_the_whole_log_comes_in_commit_order_and_goes_on_live(server: Server) -> None:
    for at, text in ((ADA, "1"), (BEN, "2"), (ADA, "3")):
        await say(server.system.store, at, text)
    async with EventSource(server.url, f"{LOG}?after=0").connected() as messages:
        (hello,) = await heard(messages, 1)
        assert hello.content["recovered"] is True
        assert await contents(messages, 3) == ["1", "2", "3"]
        await say(server.system.store, BEN, "4")
        assert await contents(messages, 1) == ["4"]


async def test_one_stream_comes_by_its_versions(server: Server) -> None:
    for at, text in ((ADA, "1"), (BEN, "other"), (ADA, "2")):
        await say(server.system.store, at, text)
    async with EventSource(server.url, f"{one(ADA)}?after=1").connected() as messages:
        assert [message.id for message in await heard(messages, 2)] == ["memory.1", "memory.2"]
        await say(server.system.store, BEN, "other")
        await say(server.system.store, ADA, "3")
        (live,) = await heard(messages, 1)
    assert (live.id, live.content["version"], live.content["position"]) == ("memory.3", 3, 5)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9])
async def test_one_stream_from_now_on_leaves_out_all_that_was_before(server: Server, count: int) -> None:
    await say(server.system.store, ADA, *map(str, range(count)))
    async with EventSource(server.url, one(ADA)).connected() as messages:
        (hello,) = await heard(messages, 1)
        assert hello.content == {"epoch": "memory", "seq": count, "recovered": False}
        await say(server.system.store, ADA, "new")
        assert await contents(messages, 1) == ["new"]


@pytest.mark.parametrize("path", [LOG, one(ADA)])
async def test_who_comes_back_with_the_last_id_misses_nothing_and_hears_nothing_twice(
    server: Server, path: str
) -> None:
    await say(server.system.store, ADA, "1", "2", "3")
    source = EventSource(server.url, f"{path}?after=0")
    async with source.connected() as messages:
        assert await contents(await skipped(messages), 2) == ["1", "2"]
    await say(server.system.store, ADA, "4")
    async with source.connected() as messages:
        (hello,) = await heard(messages, 1)
        assert hello.content == {"epoch": "memory", "seq": 2, "recovered": True}
        assert await contents(messages, 2) == ["3", "4"]


async def skipped(messages: AsyncIterator[Message]) -> AsyncIterator[Message]:
    """The same behind its hello."""
    (hello,) = await heard(messages, 1)
    assert hello.event == "hello"
    return messages


@pytest.mark.parametrize("path", [LOG, one(ADA)])
async def test_who_was_cut_off_before_the_first_record_misses_nothing_either(server: Server, path: str) -> None:
    await say(server.system.store, ADA, "before")
    source = EventSource(server.url, path)
    async with source.connected() as messages:
        await skipped(messages)
    await say(server.system.store, ADA, "meanwhile")
    async with source.connected() as messages:
        assert await contents(await skipped(messages), 1) == ["meanwhile"]


@pytest.mark.parametrize("path", [LOG, one(ADA)])
@pytest.mark.parametrize(
    ("query", "last_id"),
    [
        ("?after=1&epoch=another", ""),
        ("?after=3&epoch=memory", ""),
        ("?after=999999999999999999", ""),
        ("", "another.1"),
        ("?after=0", "memory.3"),
    ],
)
async def test_a_place_this_log_does_not_have_goes_on_from_now(
    server: Server, path: str, query: str, last_id: str
) -> None:
    await say(server.system.store, ADA, "1", "2")
    source = EventSource(server.url, path + query, Parser(last_id))
    async with source.connected() as messages:
        (hello,) = await heard(messages, 1)
    assert hello.content == {"epoch": "memory", "seq": 2, "recovered": False}


@pytest.mark.parametrize(
    ("query", "headers", "place"),
    [
        ("?after=x", {}, "query"),
        ("?after=-1", {}, "query"),
        ("?after=", {}, "query"),
        ("?after=1.5", {}, "query"),
        ("?after=٣", {}, "query"),
        (f"?after={'9' * 5000}", {}, "query"),
        ("", {"Last-Event-ID": "7"}, "header"),
        ("", {"Last-Event-ID": ".7"}, "header"),
        ("?after=0", {"Last-Event-ID": "memory.x"}, "header"),
        ("", {"Last-Event-ID": "memory.-1"}, "header"),
    ],
)
async def test_a_malformed_place_is_refused_with_422(
    server: Server, query: str, headers: dict[str, str], place: str
) -> None:
    answer = await server.http.get(LOG + query, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == place


@pytest.mark.parametrize("name", ["conversation-nobody", "conversation-", "nothing-x", "ada", "conversation-a%20b"])
async def test_an_unknown_stream_is_not_found(server: Server, name: str) -> None:
    for query in ("", "?after=0", "?after=7"):
        answer = await server.http.get(f"/api/log/streams/{name}{query}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "The log has no such stream"})


async def test_a_stream_whose_id_has_slashes_is_found(server: Server) -> None:
    await say(server.system.store, stream("a/b//c"), "1")
    async with EventSource(server.url, "/api/log/streams/conversation-a/b%2F%2Fc?after=0").connected() as messages:
        assert await contents(await skipped(messages), 1) == ["1"]


async def test_an_answer_is_not_cut_off_by_the_time_that_others_have(server: Server) -> None:
    server.app.config["RESPONSE_TIMEOUT"] = 0
    async with EventSource(server.url, LOG).connected() as messages:
        await skipped(messages)
        await say(server.system.store, ADA, "live")
        assert await contents(messages, 1) == ["live"]


async def test_asking_for_the_head_alone_ends_at_once(server: Server) -> None:
    with trio.fail_after(PATIENCE):
        answer = await server.http.head(LOG)
        again = await server.http.get("/health")
    assert (answer.status_code, again.status_code) == (200, 200)
    assert answer.headers["content-type"] == "text/event-stream"


# --- filters ------------------------------------------------------------------------------------------------------


async def test_filters_leave_out_what_is_not_asked_for(server: Server) -> None:
    id = await server.opened(topic="boats")
    await say(server.system.store, CALL, "a call's")
    await say(server.system.store, ADA, "a conversation's")
    asked = {
        "category=conversation&event=conversation.message": ["a conversation's"],
        "event=conversation.message_said/1": ["a call's", "a conversation's"],
        "category=call": ["a call's"],
        "category=call&category=conversation&event=conversation.m": ["a call's", "a conversation's"],
    }
    for query, expected in asked.items():
        async with EventSource(server.url, f"{LOG}?after=0&{query}").connected() as messages:
            assert await contents(await skipped(messages), len(expected)) == expected
    query = "event=session.&event=conversation.opened"
    async with EventSource(server.url, f"{LOG}?after=0&{query}").connected() as messages:
        (opened,) = await heard(await skipped(messages), 1)
    assert (opened.content["stream"], opened.content["payload"]["topic"]) == (f"conversation-{id}", "boats")


async def test_an_unknown_category_is_refused_with_422(server: Server) -> None:
    answer = await server.http.get(f"{LOG}?category=call&category=meeting")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "category"]


# --- who may, and for how long ------------------------------------------------------------------------------------


class DoorFor:
    """Lets everybody in as one visitor."""

    def __init__(self, role: Role) -> None:
        self._visitor = Visitor("eve", frozenset({role}), None)

    def admit(self, headers: Mapping[str, str], query: Mapping[str, str], subprotocols: Sequence[str], now: int) -> Any:
        return self._visitor


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
async def test_auditors_and_operators_may_follow_the_log(server: Server, role: Role) -> None:
    check_requests(server.app, DoorFor(role), SystemClock())
    async with EventSource(server.url, LOG).connected() as messages:
        await skipped(messages)


async def test_a_client_may_not_and_learns_nothing_of_which_streams_there_are(server: Server) -> None:
    check_requests(server.app, DoorFor(Role.CLIENT), SystemClock())
    await say(server.system.store, ADA, "secret")
    for path in (LOG, one(ADA), one(BEN), "/api/log/streams/nothing-x"):
        answer = await server.http.get(path)
        assert answer.status_code == 403
        assert "roles" in answer.json()["detail"]


# --- how an answer ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [LOG, one(ADA)])
async def test_an_answer_ends_in_good_order_when_the_server_drains(start: Start, path: str) -> None:
    server = await start()
    await say(server.system.store, ADA, "1")
    async with EventSource(server.url, path).connected() as messages:
        await skipped(messages)
        server.shutdown.set()
        assert await ended(messages) == []


async def test_an_answer_ends_in_good_order_when_the_log_cannot_be_read(start: Start) -> None:
    store = MemoryStore()
    server = await start(store=store)
    async with EventSource(server.url, LOG).connected() as messages:
        await skipped(messages)
        store.close()
        assert await ended(messages) == []


@pytest.mark.parametrize("path", [LOG, one(ADA)])
async def test_a_client_that_does_not_read_is_dropped_and_nothing_of_it_stays(start: Start, path: str) -> None:
    limits = ServerLimits(LinkLimits(write_deadline=0.2), graceful_timeout=0.1)
    server = await start(limits=limits)
    await say(server.system.store, ADA, *("x" * 100_000 for _ in range(200)))
    living = trio.lowlevel.current_statistics().tasks_living
    async with EventSource(server.url, f"{path}?after=0").connected() as messages:
        await skipped(messages)
        with trio.fail_after(PATIENCE):
            while trio.lowlevel.current_statistics().tasks_living > living:  # noqa: ASYNC110  # nothing tells
                await trio.sleep(0.02)
        with pytest.raises((h11.RemoteProtocolError, trio.BrokenResourceError)):
            await ended(messages)


class BlindStore(MemoryStore):
    """Cannot read a stream when it is told so."""

    blind = False

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        if self.blind:
            raise StoreUnavailable("the disk is gone")
        return await super().read_stream(stream, after=after, limit=limit)


async def test_a_log_that_cannot_be_read_at_the_start_is_a_503_that_says_when_to_come_back(start: Start) -> None:
    store = BlindStore()
    server = await start(store=store)
    store.blind = True
    answer = await server.http.get(one(ADA))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


# --- the body alone, in virtual time ------------------------------------------------------------------------------


class CountedAudiences(Audiences):
    """Knows how many watch."""

    watching = 0

    @contextmanager
    def watch(self, stream: StreamName) -> Iterator[trio.MemoryReceiveChannel[Recorded]]:
        with super().watch(stream) as news:
            self.watching += 1
            try:
                yield news
            finally:
                self.watching -= 1


@dataclass
class Log:
    """A log that is followed as in the server."""

    store: EventStore
    audiences: CountedAudiences = field(default_factory=lambda: CountedAudiences({}))
    drain: trio.Event = field(default_factory=trio.Event)

    def feed(self, stream: StreamName | None = None) -> Feed:
        return WholeLog(self.store) if stream is None else OneStream(self.store, self.audiences, stream)

    async def body(
        self, stream: StreamName | None = None, last_id: str = "", *, seconds: float = math.inf,
        without: Sequence[StreamName] = (),
    ) -> LogStream:  # fmt: skip
        feed = self.feed(stream)
        epoch, _, seq = last_id.rpartition(".")
        begun = await begin(feed, Asked(int(seq), epoch) if last_id else Asked(0), self.store.epoch)
        assert begun.recovered
        return LogStream(feed, begun, lambda record: record.stream not in without, self.drain.wait, seconds)


@asynccontextmanager
async def followed(store: EventStore | None = None) -> AsyncIterator[Log]:
    log = Log(store or MemoryStore())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, log.store, log.store.head, log.audiences.deliver, Backoff(lambda: 0.5))
        yield log
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("at", [None, ADA])
async def test_silence_is_broken_by_a_comment_every_15_seconds(
    at: StreamName | None, autojump_clock: trio.testing.MockClock
) -> None:
    async with followed() as log:
        await say(log.store, ADA, "1")
        parser = Parser()
        async with await log.body(at) as body:
            assert len([*parser.feed(await anext(body)), *parser.feed(await anext(body))]) == 2
            for _ in range(3):
                before = trio.current_time()
                assert await anext(body) == b": alive\n\n"
                assert trio.current_time() - before == pytest.approx(HEARTBEAT)
            await say(log.store, ADA, "2")
            before = trio.current_time()
            assert [message.content["position"] for message in parser.feed(await anext(body))] == [2]
            assert trio.current_time() == pytest.approx(before)


async def test_what_is_left_out_moves_the_id_on_with_a_comment_also_when_it_never_stops(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with followed() as log, trio.open_nursery() as nursery:

        async def chatter() -> None:
            while True:
                await say(log.store, BEN, "left out")
                await trio.sleep(1.0)

        parser = Parser()
        async with await log.body(without=(BEN,)) as body:
            assert len(list(parser.feed(await anext(body)))) == 1
            nursery.start_soon(chatter)
            for seconds in (15, 30):
                assert list(parser.feed(await anext(body))) == []
                assert trio.current_time() == pytest.approx(seconds, abs=1.1)
                assert seconds - 1 <= int(parser.last_id.removeprefix("memory.")) <= seconds + 2
        nursery.cancel_scope.cancel()


async def test_an_answer_ends_when_the_token_does(autojump_clock: trio.testing.MockClock) -> None:
    async with followed() as log, await log.body(seconds=40.0) as body:
        began = trio.current_time()
        pieces = [piece async for piece in body]
        assert trio.current_time() - began == pytest.approx(40.0)
        assert len(pieces) == 3


@pytest.mark.parametrize("at", [None, ADA])
async def test_an_answer_ends_at_the_drain_also_in_the_middle_of_a_backlog(
    at: StreamName | None, autojump_clock: trio.testing.MockClock
) -> None:
    async with followed() as log:
        await say(log.store, ADA, *("x" * 1000 for _ in range(500)))
        async with await log.body(at) as body:
            await anext(body)
            await anext(body)
            log.drain.set()
            await trio.testing.wait_all_tasks_blocked()
            assert [piece async for piece in body] == []


@pytest.mark.parametrize("at", [None, ADA])
async def test_an_answer_that_waits_ends_at_the_drain_at_once(
    at: StreamName | None, autojump_clock: trio.testing.MockClock
) -> None:
    async with followed() as log:
        await say(log.store, ADA, "1")
        async with await log.body(at) as body, trio.open_nursery() as nursery:
            await anext(body)
            await anext(body)
            nursery.start_soon(_soon, log.drain.set)
            began = trio.current_time()
            assert [piece async for piece in body] == []
            assert trio.current_time() - began == pytest.approx(1.0)


async def _soon(act: Callable[[], None]) -> None:
    await trio.sleep(1.0)
    act()


async def test_a_backlog_to_a_client_that_has_gone_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending to it returns at once and never waits, so nothing but the body itself lets anybody else run."""
    monkeypatch.setattr("adapters.web.log_stream.CHUNK", 1)
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with followed() as log, trio.open_nursery() as nursery:
        await say(log.store, ADA, *("x" for _ in range(400)))
        nursery.start_soon(another)
        async with await log.body() as body:
            for _ in range(400):
                await anext(body)
        assert turns >= 399
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("at", [None, ADA])
async def test_a_backlog_comes_in_few_large_writes(at: StreamName | None) -> None:
    async with followed() as log:
        await say(log.store, ADA, *(f"{number} {'x' * 300}" for number in range(2000)))
        parser, sizes, count = Parser(), list[int](), -1
        async with await log.body(at) as body:
            while count < 2000:
                piece = await anext(body)
                sizes.append(len(piece))
                count += len(list(parser.feed(piece)))
        assert max(sizes) <= CHUNK
        assert len(sizes) < 2 + 1.5 * sum(sizes) / CHUNK


async def test_nothing_is_read_before_the_client_has_taken_what_was(monkeypatch: pytest.MonkeyPatch) -> None:
    store, read = MemoryStore(), list[int]()
    of_memory = store.read_stream

    async def read_stream(stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        records = await of_memory(stream, after=after, limit=limit)
        read.append(len(records))
        return records

    async with followed(store) as log:
        await say(store, ADA, *("x" * 1000 for _ in range(5000)))
        monkeypatch.setattr(store, "read_stream", read_stream)
        async with await log.body(ADA) as body:
            for _ in range(3):
                await anext(body)
            await trio.testing.wait_all_tasks_blocked()
        assert sum(read) <= 501


async def test_a_reader_a_thousand_records_behind_catches_up_from_the_log() -> None:
    async with followed() as log:
        await say(log.store, ADA, "0")
        parser, heard = Parser(), list[int]()
        async with await log.body(ADA) as body:
            await anext(body)
            heard += positions(parser, await anext(body))  # its channel is open from here on, and nobody reads it
            for _ in range(29):
                await say(log.store, ADA, *("x" for _ in range(100)))
                await trio.testing.wait_all_tasks_blocked()
            while len(heard) < 2901:
                heard += positions(parser, await anext(body))
            await say(log.store, ADA, "and live again")
            heard += positions(parser, await anext(body))
        assert heard == list(range(1, 2903))


def positions(parser: Parser, piece: bytes) -> list[int]:
    return [message.content["position"] for message in parser.feed(piece)]


@pytest.mark.parametrize("at", [None, ADA])
async def test_a_client_that_goes_leaves_nothing_behind(at: StreamName | None) -> None:
    async with followed() as log:
        await say(log.store, ADA, "1")
        living = trio.lowlevel.current_statistics().tasks_living
        with trio.CancelScope() as scope:
            async with await log.body(at) as body:
                await anext(body)
                await anext(body)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(body.__anext__)
                    await trio.testing.wait_all_tasks_blocked()
                    assert log.audiences.watching == (at is not None)
                    scope.cancel()
        assert scope.cancelled_caught
        assert log.audiences.watching == 0
        assert trio.lowlevel.current_statistics().tasks_living == living


class LateStore(MemoryStore):
    """Hands out what is durable before its head has moved."""

    @property
    def head(self) -> int:
        return 0


async def test_a_reader_ahead_of_the_head_is_not_taken_for_one_from_the_future() -> None:
    store = LateStore()
    await say(store, ADA, "1", "2")
    assert await begin(WholeLog(store), Asked(2), "memory") == Begun("memory", 2, recovered=True)
    assert await begin(WholeLog(store), Asked(3), "memory") == Begun("memory", 0, recovered=False)


async def test_where_news_leave_something_out_the_log_is_read() -> None:
    store, audiences = MemoryStore(), Audiences({})
    feed = OneStream(store, audiences, ADA)
    await say(store, ADA, "1")
    assert [record.version for record in await feed.batch(0)] == [1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_later, store, audiences)
        with trio.fail_after(PATIENCE):
            assert [record.version for record in await feed.batch(1)] == [2, 3]
    feed.close()


async def _later(store: EventStore, audiences: Audiences) -> None:
    """Two records, of which the second alone is delivered."""
    await trio.testing.wait_all_tasks_blocked()
    audiences.deliver((await say(store, ADA, "2", "3"))[1])


# --- no gap, no repeat --------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([ADA, BEN]), st.integers(1, 9)),  # append
        st.tuples(st.just("read"), st.integers(1, 4)),  # that many pieces
        st.tuples(st.just("cut"), st.integers(0, 400)),  # the connection breaks so many bytes into the next piece
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from([None, ADA]), st.booleans())
@settings(max_examples=200)
def test_whatever_is_appended_and_however_often_it_breaks_a_client_gets_the_log_in_order_and_once(
    steps: list[tuple[Any, int]], at: StreamName | None, leaves_out: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:  # small enough for every limit to be met
        patch.setattr("actors.audience.WATCHED", 3)
        patch.setattr("adapters.web.log_feeds.PAGE", 2)
        patch.setattr("adapters.web.log_stream.CHUNK", 700)
        without = (BEN,) if leaves_out else ()
        trio.run(Assembly(at, without).check, steps, clock=trio.testing.MockClock(autojump_threshold=0))


class Assembly:
    """What a client puts together over many connections."""

    def __init__(self, at: StreamName | None, without: Sequence[StreamName]) -> None:
        self._at, self._without = at, without
        self._last_id = ""
        self.positions: list[int] = []

    async def check(self, steps: list[tuple[Any, int]]) -> None:
        async with followed() as log:
            await say(log.store, ADA, "so that it exists")
            waiting = list(steps)
            while waiting:
                await self._connect(log, waiting)
            await self._connect(log, [("rest", 0)])
            log_has = [
                record.position
                for record in await log.store.read_all()
                if record.stream not in self._without and self._at in (None, record.stream)
            ]
        assert self.positions == log_has

    async def _connect(self, log: Log, steps: list[tuple[Any, int]]) -> None:
        """One connection, from the last id on, until it breaks or no steps are left."""
        parser = Parser(self._last_id)
        async with await log.body(self._at, self._last_id, without=self._without) as body:
            while steps:
                match steps.pop(0):
                    case ("read", count):
                        for _ in range(count):
                            self._take(parser, await self._piece(body))
                    case ("cut", length):
                        self._take(parser, (await self._piece(body))[:length])
                        break
                    case ("rest", _):
                        while piece := await self._piece(body):
                            self._take(parser, piece)
                    case (name, count):
                        await say(log.store, name, *("x" * number for number in range(count)))
        self._last_id = parser.last_id

    async def _piece(self, body: LogStream) -> bytes:
        """The next piece, b"" when there is none for now: so a wait is cancelled now and then as well."""
        with trio.move_on_after(1.0):
            return await anext(body)
        return b""

    def _take(self, parser: Parser, piece: bytes) -> None:
        self.positions += [m.content["position"] for m in parser.feed(piece) if m.event == "record"]


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[EventStore]:
    async with open_sqlite(tmp_path / "log.db") as store:
        yield store


@pytest.fixture
async def durable_server(durable: EventStore) -> AsyncIterator[Server]:
    """A server that ends before its log is closed."""
    async with starting() as start:
        yield await start(store=durable)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("at", [None, ADA])
async def test_the_same_over_sockets_with_a_durable_log(
    durable_server: Server, at: StreamName | None, seed: int
) -> None:
    random, positions, store = Random(seed), list[int](), durable_server.system.store
    await say(store, ADA, "first")
    source = EventSource(durable_server.url, f"{one(at) if at else LOG}?after=0")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_append_much, store, Random(seed + 100))
        with trio.fail_after(4 * PATIENCE):
            while nursery.child_tasks or positions[-1:] != [await _end(store, at)]:
                positions += await _some(source, random.randint(1, 60))
    assert positions == [record.position for record in await store.read_all(limit=5000) if at in (None, record.stream)]


async def _append_much(store: EventStore, random: Random) -> None:
    for _ in range(120):
        await say(
            store, random.choice([ADA, BEN]), *("x" * random.randint(0, 2000) for _ in range(random.randint(1, 9)))
        )


async def _end(store: EventStore, at: StreamName | None) -> int:
    records = await (store.read_all(limit=5000) if at is None else store.read_stream(at))
    return records[-1].position


async def _some(source: EventSource, count: int) -> list[int]:
    """Up to `count` records of one more connection, fewer where no more come for a while."""
    positions = list[int]()
    async with source.connected() as messages:
        with trio.move_on_after(0.3):
            while len(positions) < count:
                message = await anext(messages)
                if message.event == "record":
                    positions.append(message.content["position"])
    return positions
