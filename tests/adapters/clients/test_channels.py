"""The channels client against a scripted server: the real wire protocol over streams in memory, on virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock, memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from actors.backoff import Backoff
from adapters.clients.channels import SubscriptionFailed, WebSocketManager
from adapters.clients.follower import Closed
from adapters.clients.hearing import MOST_UNTAKEN
from adapters.clients.outbox import MOST_UNDER_WAY, Outbox
from adapters.clients.wire import CannotConnect

URI = "ws://server.test"
WHOLE = Backoff(lambda: 1.0, first=0.5, cap=30.0)


@dataclass
class Visit:
    """One connection, from the server's side."""

    stream: trio.abc.Stream
    wire: WebSocketConnection
    got: list[dict[str, Any]] = field(default_factory=list)

    async def get(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(await self.wire.get_message())
        self.got.append(frame)
        return frame

    async def say(self, type: str, payload: Any, **more: Any) -> None:
        await self.wire.send_message(json.dumps({"type": type, "payload": payload, **more}))

    async def subscribed(self, **more: Any) -> dict[str, Any]:
        """Answer a subscription; returns what was asked."""
        asked = await self.get()
        assert asked["type"] == "subscribe"
        await self.say("subscribed", {"channel": "news", "message": "subscribed", **more})
        return dict(asked["payload"])

    async def resumed(self, position: int, *, recovered: bool = False, epoch: str = "e1") -> dict[str, Any]:
        return await self.subscribed(position=position, epoch=epoch, recovered=recovered)

    async def news(self, *numbers: int) -> None:
        for number in numbers:
            await self.say("news", {"n": number}, position=number)

    async def serve(self) -> None:
        """Take what comes until the client goes."""
        while True:
            frame = await self.get()
            if frame["type"] == "unsubscribe":
                await self.say("unsubscribed", {"channel": frame["payload"]["channel"], "message": "unsubscribed"})

    async def cut(self) -> None:
        await trio.aclose_forcefully(self.stream)

    @property
    def published(self) -> list[Any]:
        return [frame["payload"]["n"] for frame in self.got if frame["type"] == "news"]


Script = Callable[[Visit], Awaitable[None]]


@dataclass
class ScriptedServer:
    """Serves the nth connection by the nth script, and all later ones by the last; those that are refused count too."""

    scripts: tuple[Script | int | None, ...]
    nursery: trio.Nursery
    visits: list[Visit] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    goodbyes: list[int] = field(default_factory=list)

    async def dial(self, host: str, port: int) -> trio.abc.Stream:  # as trio.open_tcp_stream
        await trio.lowlevel.checkpoint()
        script = self.scripts[min(len(self.times), len(self.scripts) - 1)]
        self.times.append(trio.current_time())
        if script is None:
            raise OSError("nobody there")
        ours, theirs = memory_stream_pair()
        self.nursery.start_soon(self._serve, script, theirs)
        return ours

    async def _serve(self, script: Script | int, stream: trio.abc.Stream) -> None:
        async with stream, trio.open_nursery() as nursery:
            request = await wrap_server_stream(nursery, stream)
            self.headers.append({name.decode().lower(): value.decode() for name, value in request.headers})
            try:
                if isinstance(script, int):
                    await request.reject(script)
                else:
                    self.visits.append(visit := Visit(stream, await request.accept()))
                    await script(visit)
            except ConnectionClosed as closed:
                self.goodbyes.append(closed.reason.code if closed.reason else 0)
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def managing(
    *scripts: Script | int | None, channel: str = "news", **options: Any
) -> AsyncIterator[tuple[WebSocketManager, ScriptedServer]]:
    async with trio.open_nursery() as nursery:
        server = ScriptedServer(scripts, nursery)
        terms = {"dial": server.dial, "backoff": WHOLE, **options}
        async with WebSocketManager(URI, channel, **terms) as manager:
            yield manager, server
        nursery.cancel_scope.cancel()


async def plain(visit: Visit) -> None:
    """A server of the seed: it knows no positions."""
    await visit.subscribed()
    await visit.serve()


async def stays(visit: Visit) -> None:
    await visit.resumed(0)
    await visit.serve()


def resumes(position: int, *, recovered: bool = True) -> Script:
    async def resume(visit: Visit) -> None:
        await visit.resumed(position, recovered=recovered)
        await visit.serve()

    return resume


def refuses(code: str, **more: Any) -> Script:
    async def refuse(visit: Visit) -> None:
        await visit.get()
        await visit.say("error", {"message": "no", "code": code, **more})
        await visit.serve()

    return refuse


def closes(code: int) -> Script:
    async def close(visit: Visit) -> None:
        await visit.resumed(0)
        await visit.wire.aclose(code, "so it is")

    return close


async def taken(manager: WebSocketManager, count: int) -> list[Any]:
    return [(await anext(manager)).payload["n"] for _ in range(count)]


async def until(is_so: Callable[[], bool]) -> None:
    with trio.fail_after(1000):
        while not is_so():  # noqa: ASYNC110  # virtual time is cheap
            await trio.sleep(0.01)


# --- subscribing ------------------------------------------------------------------------------------------------


async def test_it_connects_subscribes_publishes_unsubscribes_and_closes(autojump_clock: MockClock) -> None:
    async with managing(plain) as (manager, server):
        await manager.connect()
        manager.publish({"n": 1})
        manager.publish({"n": 2})
    [visit] = server.visits
    assert [frame["type"] for frame in visit.got] == ["subscribe", "news", "news", "unsubscribe"]
    assert visit.got[0]["payload"] == {"channel": "news", "envelope": True}
    assert visit.published == [1, 2]
    assert len({frame["command_id"] for frame in visit.got if frame["type"] == "news"}) == 2
    assert server.goodbyes == [1000]
    assert not manager.is_subscribed
    assert manager.dropped == []


async def test_it_hears_what_others_publish(autojump_clock: MockClock) -> None:
    async def talk(visit: Visit) -> None:
        await visit.subscribed()
        await visit.say("news", {"n": 1})
        await visit.say("sport", {"n": 2})
        await visit.wire.send_message("nonsense")
        await visit.say("news", {"n": 3})
        await visit.serve()

    async with managing(talk) as (manager, _):
        assert await taken(manager, 2) == [1, 3]


async def test_a_failed_connect_is_told_when_the_time_is_over(autojump_clock: MockClock) -> None:
    async with managing(None) as (manager, server):
        with pytest.raises(CannotConnect, match="nobody answers"):
            await manager.connect(within=5.0)
        assert autojump_clock.current_time() == 5.0
        assert len(server.times) > 1


async def test_a_connect_that_fails_at_first_is_done_when_it_works(autojump_clock: MockClock) -> None:
    async with managing(None, 503, stays) as (manager, server):
        await manager.connect()
        assert len(server.times) == 3


async def test_a_refusal_that_does_not_pass_is_told_at_once(autojump_clock: MockClock) -> None:
    async with managing(403) as (manager, server):
        with pytest.raises(CannotConnect) as caught:
            await manager.connect(within=100.0)
        assert caught.value.status == 403
        with pytest.raises(CannotConnect):
            manager.publish({"n": 1})
        with pytest.raises(CannotConnect):
            await anext(manager)
        assert len(server.times) == 1


async def test_a_refused_subscription_is_told_with_its_code(autojump_clock: MockClock) -> None:
    async with managing(refuses("reserved_channel")) as (manager, server):
        with pytest.raises(SubscriptionFailed) as caught:
            await manager.connect(within=100.0)
        assert (caught.value.code, len(server.times)) == ("reserved_channel", 1)


async def test_a_busy_server_is_asked_again_when_it_said(autojump_clock: MockClock) -> None:
    async with managing(refuses("busy", retry_after=20.0), stays) as (manager, server):
        await manager.connect(within=60.0)
        assert server.times[1] >= 20.0


async def test_a_subscription_nobody_answers_is_given_up_and_tried_again(autojump_clock: MockClock) -> None:
    async def silent(visit: Visit) -> None:
        await visit.serve()

    async with managing(silent, stays, within=3.0) as (manager, server):
        await manager.connect()
        assert server.times[1] == 3.5


async def test_a_token_is_shown(autojump_clock: MockClock) -> None:
    async with managing(stays, token="t") as (manager, server):
        await manager.connect()
        assert server.headers[0]["authorization"] == "Bearer t"


# --- losses -----------------------------------------------------------------------------------------------------


async def test_after_a_loss_it_subscribes_from_where_it_was(autojump_clock: MockClock) -> None:
    async def first(visit: Visit) -> None:
        await visit.resumed(4)
        await visit.news(5, 6)
        await visit.cut()

    async def second(visit: Visit) -> None:
        asked = await visit.resumed(6, recovered=True)
        assert asked == {"channel": "news", "envelope": True, "since": 6, "epoch": "e1"}
        await visit.news(6, 7)
        await visit.serve()

    async with managing(first, second) as (manager, server):
        assert await taken(manager, 3) == [5, 6, 7]
        assert (manager.losses, manager.gaps, manager.position) == (1, 0, 7)
        assert server.times[1] == 0.5


async def test_a_loss_before_anything_was_heard_resumes_from_where_it_subscribed(autojump_clock: MockClock) -> None:
    async def first(visit: Visit) -> None:
        await visit.resumed(4)
        await visit.cut()

    async def second(visit: Visit) -> None:
        assert (await visit.resumed(4, recovered=True))["since"] == 4
        await visit.news(5)
        await visit.serve()

    async with managing(first, second) as (manager, _):
        assert await taken(manager, 1) == [5]


async def test_what_cannot_be_heard_any_more_is_counted_as_a_gap(autojump_clock: MockClock) -> None:
    async def again(visit: Visit) -> None:
        await visit.resumed(2, epoch="e2")
        await visit.news(3)
        await visit.serve()

    async def first(visit: Visit) -> None:
        await visit.resumed(7)
        await visit.cut()

    async with managing(first, again) as (manager, _):
        assert await taken(manager, 1) == [3]
        assert manager.gaps == 1


async def test_it_comes_back_later_and_later(autojump_clock: MockClock) -> None:
    async with managing(None, None, None, None, stays) as (manager, server):
        await manager.connect(within=60.0)
        assert server.times == [0.0, 0.5, 1.5, 3.5, 7.5]


@pytest.mark.parametrize("code", [1012, 4008, 4009, 1011])
async def test_a_close_that_says_come_back_is_a_loss(autojump_clock: MockClock, code: int) -> None:
    async with managing(closes(code), resumes(0)) as (manager, server):
        await until(lambda: len(server.visits) == 2 and manager.is_subscribed)
        assert manager.losses == 1


@pytest.mark.parametrize("code", [1008, 4500, 3000])
async def test_a_close_that_says_stay_away_is_the_end(autojump_clock: MockClock, code: int) -> None:
    async with managing(closes(code)) as (manager, server):
        with pytest.raises(Closed, match=f"{code} so it is"):
            await anext(manager)
        with pytest.raises(Closed):
            manager.publish({"n": 1})
        assert len(server.times) == 1


async def test_a_close_with_1000_ends_the_iteration(autojump_clock: MockClock) -> None:
    async with managing(closes(1000)) as (manager, _):
        assert [message async for message in manager] == []


# --- publishing through losses ----------------------------------------------------------------------------------


async def test_what_is_published_before_there_is_a_connection_is_sent_in_order(autojump_clock: MockClock) -> None:
    async with managing(None, None, stays) as (manager, server):
        for n in range(5):
            manager.publish({"n": n})
        assert manager.waiting == 5
        await until(lambda: manager.waiting == 0)
    assert server.visits[0].published == [0, 1, 2, 3, 4]


async def test_what_does_not_fit_is_dropped_the_oldest_first_and_it_is_said(autojump_clock: MockClock) -> None:
    async with managing(None, stays, outbox=Outbox(most=2)) as (manager, server):
        for n in range(5):
            manager.publish({"n": n})
        assert manager.dropped == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert manager.dropped_count == 3
        await until(lambda: manager.waiting == 0)
    assert server.visits[0].published == [3, 4]


async def test_what_may_have_been_lost_is_sent_again_under_the_same_ids(autojump_clock: MockClock) -> None:
    async def dies(visit: Visit) -> None:
        await visit.resumed(0)
        await visit.get()
        await visit.get()
        await visit.cut()

    async with managing(dies, resumes(0)) as (manager, server):
        manager.publish({"n": 1})
        manager.publish({"n": 2})
        await until(lambda: len(server.visits) == 2 and len(server.visits[1].published) == 2)
    first, second = server.visits
    ids = [[frame["command_id"] for frame in visit.got if frame["type"] == "news"] for visit in (first, second)]
    assert ids[0] == ids[1]
    assert second.published == [1, 2]


async def test_what_the_server_gave_a_receipt_for_is_not_sent_again(autojump_clock: MockClock) -> None:
    async def lives_for_a_minute(visit: Visit) -> None:
        await visit.resumed(0)
        with trio.move_on_after(60.0):
            await visit.serve()
        await visit.cut()

    async with managing(lives_for_a_minute, resumes(0)) as (manager, server):
        manager.publish({"n": 1})
        await until(lambda: len(server.visits) == 2 and manager.is_subscribed)
        manager.publish({"n": 2})
        await until(lambda: manager.waiting == 0)
    assert server.visits[1].published == [2]


async def test_what_was_read_but_may_not_be_in_the_log_is_sent_again(autojump_clock: MockClock) -> None:
    async def reads_and_dies(visit: Visit) -> None:
        await visit.resumed(0)
        with trio.move_on_after(60.0):  # pings are answered all the time
            while True:
                await visit.get()
        await visit.cut()

    async with managing(reads_and_dies, resumes(0)) as (manager, server):
        manager.publish({"n": 1})
        await until(lambda: len(server.visits) == 2 and len(server.visits[1].published) == 1)
    assert manager.unsure == []


async def test_however_much_is_under_way_at_a_loss_all_of_it_is_sent_again(autojump_clock: MockClock) -> None:
    async def reads_and_dies(visit: Visit) -> None:
        await visit.resumed(0)
        with trio.move_on_after(10.0):
            while True:
                await visit.get()
        await visit.cut()

    everything = list(range(3 * MOST_UNDER_WAY))
    async with managing(reads_and_dies, stays, outbox=Outbox(most=len(everything))) as (manager, server):
        for n in everything:
            manager.publish({"n": n})
        await until(lambda: len(server.visits) == 2)
        assert server.visits[0].published == everything[:MOST_UNDER_WAY]
        await until(lambda: manager.waiting == 0)
    assert server.visits[1].published == everything
    assert (manager.dropped, manager.unsure) == ([], [])


async def test_what_was_sent_last_without_a_receipt_is_said_to_be_unsure(autojump_clock: MockClock) -> None:
    async def reads(visit: Visit) -> None:
        await visit.resumed(0)
        while True:
            await visit.get()

    async with managing(reads) as (manager, _):
        manager.publish({"n": 1})
        await until(lambda: manager.waiting == 0)
    assert (manager.unsure, manager.unsure_count, manager.dropped) == ([{"n": 1}], 1, [])


async def test_a_server_that_knows_no_ids_is_sent_nothing_twice(autojump_clock: MockClock) -> None:
    async def dies(visit: Visit) -> None:
        await visit.subscribed()
        await visit.get()
        await visit.cut()

    async with managing(dies, plain) as (manager, server):
        manager.publish({"n": 1})
        await until(lambda: len(server.visits) == 2 and manager.is_subscribed)
    assert server.visits[0].published == [1]
    assert server.visits[1].published == []
    assert manager.unsure == [{"n": 1}]


@pytest.mark.parametrize("code", ["busy", "rate_limited"])
async def test_what_the_server_could_not_take_is_sent_again_when_it_said(autojump_clock: MockClock, code: str) -> None:
    async def is_busy_once(visit: Visit) -> None:
        await visit.resumed(0)
        await visit.get()
        await visit.say("error", {"message": "busy", "code": code, "retry_after": 7.0})
        await visit.serve()

    async with managing(is_busy_once) as (manager, server):
        await manager.connect()
        manager.publish({"n": 1})
        await until(lambda: server.visits[0].published == [1, 1])
        assert trio.current_time() >= 7.0
    one, two = (frame["command_id"] for frame in server.visits[0].got if frame["type"] == "news")
    assert one == two


async def test_leaving_without_a_connection_says_what_is_dropped(autojump_clock: MockClock) -> None:
    async with managing(None) as (manager, _):
        manager.publish({"n": 1})
        await trio.sleep(3)
    assert manager.dropped == [{"n": 1}]


async def test_leaving_a_server_that_does_not_answer_takes_bounded_time(autojump_clock: MockClock) -> None:
    async def deaf(visit: Visit) -> None:
        await visit.resumed(0)
        await trio.sleep_forever()

    async with managing(deaf) as (manager, _):
        await manager.connect()
        left = trio.current_time()
    assert trio.current_time() - left <= 10


async def test_what_its_block_raises_comes_out_as_it_is(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    server = ScriptedServer((stays,), nursery)

    async def stumble() -> None:
        async with WebSocketManager(URI, "news", dial=server.dial) as manager:
            await manager.connect()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await stumble()


# --- slow takers ------------------------------------------------------------------------------------------------


async def test_who_only_publishes_need_not_take_anything(autojump_clock: MockClock) -> None:
    async def talkative(visit: Visit) -> None:
        await visit.resumed(0)
        await visit.news(*range(1, 2 * MOST_UNTAKEN))
        await visit.serve()

    async with managing(talkative) as (manager, server):
        await manager.connect()
        manager.publish({"n": -1})
        await until(lambda: bool(server.visits[0].published))


async def test_who_takes_slowly_misses_nothing(autojump_clock: MockClock) -> None:
    async def talkative(visit: Visit) -> None:
        await visit.resumed(0)
        await visit.news(*range(1, 2 * MOST_UNTAKEN))
        await visit.serve()

    async with managing(talkative) as (manager, _):
        assert await taken(manager, 1) == [1]
        await trio.sleep(100)
        assert await taken(manager, 2 * MOST_UNTAKEN - 2) == list(range(2, 2 * MOST_UNTAKEN))
