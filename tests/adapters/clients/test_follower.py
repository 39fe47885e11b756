"""The follower against a scripted server: the real wire protocol over streams in memory, on virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import trio
import trio.lowlevel
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from actors.backoff import Backoff
from adapters.clients.bookmark import Place
from adapters.clients.follower import Closed, Follower, Heard, follow
from adapters.clients.wire import CannotConnect

URL = "ws://server.test/api/ws/conversations/c"
WHOLE = Backoff(lambda: 1.0, first=0.5, cap=30.0)


@dataclass
class Visit:
    """One connection, from the server's side."""

    request: WebSocketRequest
    stream: trio.abc.Stream
    wire: WebSocketConnection
    query: dict[str, str]

    @property
    def since(self) -> int | None:
        return int(self.query["since"]) if self.query.get("epoch") == "e1" else None

    async def greet(self, seq: int, *, recovered: bool | None = None, epoch: str = "e1") -> None:
        recovered = self.since == seq if recovered is None else recovered
        await self.say(seq=seq, epoch=epoch, recovered=recovered)

    async def log(self, *versions: int) -> None:
        for version in versions:
            await self.say(type="said", seq=version)

    async def say(self, **frame: Any) -> None:
        await self.wire.send_message(json.dumps(frame))

    async def cut(self) -> None:
        await trio.aclose_forcefully(self.stream)


Script = Callable[[Visit], Awaitable[None]]


@dataclass
class ScriptedServer:
    """Serves the nth connection by the nth script, and all later ones by the last."""

    scripts: tuple[Script, ...]
    nursery: trio.Nursery
    status: dict[int, int] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    goodbyes: list[int] = field(default_factory=list)

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        number = len(self.times)
        self.times.append(trio.current_time())
        ours, theirs = memory_stream_pair()
        self.nursery.start_soon(self._serve, number, theirs)
        return ours

    async def _serve(self, number: int, stream: trio.abc.Stream) -> None:
        async with stream, trio.open_nursery() as nursery:
            request = await wrap_server_stream(nursery, stream)
            self.headers.append({name.decode().lower(): value.decode() for name, value in request.headers})
            try:
                if number in self.status:
                    await request.reject(self.status[number])
                else:
                    await self._talk(number, Visit(request, stream, await request.accept(), self._query(request)))
            except ConnectionClosed as closed:
                self.goodbyes.append(closed.reason.code if closed.reason else 0)
            nursery.cancel_scope.cancel()

    async def _talk(self, number: int, visit: Visit) -> None:
        self.visits.append(visit)
        await self.scripts[min(number, len(self.scripts) - 1)](visit)

    def _query(self, request: WebSocketRequest) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(request.path).query))


@asynccontextmanager
async def serving(*scripts: Script, **options: Any) -> AsyncIterator[ScriptedServer]:
    async with trio.open_nursery() as nursery:
        yield ScriptedServer(scripts, nursery, **options)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def following(*scripts: Script, **terms: Any) -> AsyncIterator[tuple[Follower, ScriptedServer]]:
    status = terms.pop("status", {})
    async with (
        serving(*scripts, status=status) as server,
        follow(URL, dial=server.dial, **{"backoff": WHOLE, **terms}) as follower,
    ):
        yield follower, server


def closes(code: int, reason: str = "") -> Script:
    async def close(visit: Visit) -> None:
        await visit.greet(0)
        await visit.wire.aclose(code, reason)

    return close


async def stays(visit: Visit) -> None:
    """Greets, and takes what comes until the client goes."""
    await visit.greet(visit.since or 0)
    while True:
        await visit.wire.get_message()


async def take(follower: Follower, times: int) -> list[Heard]:
    return [await anext(follower) for _ in range(times)]


def places(heard: list[Heard]) -> list[tuple[Place, int | None]]:
    return [(one.place, one.frame.get("seq")) for one in heard]


async def test_each_frame_is_heard_once_and_in_order_through_a_loss(autojump_clock: MockClock) -> None:
    async def first(visit: Visit) -> None:
        await visit.greet(3)
        await visit.log(3, 4, 4, 6)
        await visit.cut()

    async def second(visit: Visit) -> None:
        await visit.greet(6)
        await visit.log(5, 6, 7)
        await visit.wire.aclose(1000)

    async with following(first, second) as (follower, server):
        heard = [one async for one in follower]
    assert places(heard) == [
        (Place.SNAPSHOT, 3), (Place.LOGGED, 3), (Place.LOGGED, 4), (Place.LOGGED, 6),
        (Place.RESUMED, 6), (Place.LOGGED, 7),
    ]  # fmt: skip
    assert server.visits[1].query == {"since": "6", "epoch": "e1"}
    assert (follower.seq, follower.epoch, follower.losses) == (7, "e1", 1)


async def test_who_has_followed_before_goes_on_where_it_was(autojump_clock: MockClock) -> None:
    async with following(stays, since=12, epoch="e1") as (follower, _):
        assert places(await take(follower, 1)) == [(Place.RESUMED, 12)]


async def test_its_place_is_behind_what_was_taken_and_no_further(autojump_clock: MockClock) -> None:
    async def talks(visit: Visit) -> None:
        await visit.greet(0)
        await visit.log(1, 2, 3, 4)
        await trio.sleep_forever()

    async with following(talks) as (follower, _):
        for version in (0, 1, 2):
            await anext(follower)
            await trio.sleep(1)
            assert (follower.seq, follower.epoch) == (version, "e1")


async def test_the_text_is_given_as_it_came(autojump_clock: MockClock) -> None:
    async def say(visit: Visit) -> None:
        await visit.wire.send_message('{"seq":1 ,  "recovered":false,"epoch":"é"}')
        await trio.sleep_forever()

    async with following(say) as (follower, _):
        (heard,) = await take(follower, 1)
    assert heard.text == '{"seq":1 ,  "recovered":false,"epoch":"é"}'


async def test_a_log_of_another_epoch_is_announced_as_a_snapshot(autojump_clock: MockClock) -> None:
    async def restored(visit: Visit) -> None:
        await visit.greet(2, recovered=False, epoch="e2")
        await visit.log(3)
        await trio.sleep_forever()

    async with following(restored, since=9, epoch="e1") as (follower, _):
        assert places(await take(follower, 2)) == [(Place.SNAPSHOT, 2), (Place.LOGGED, 3)]
        assert follower.epoch == "e2"


async def test_a_gap_is_asked_for_again_and_kept_in_mind(autojump_clock: MockClock) -> None:
    async def lossy(visit: Visit) -> None:
        await visit.greet(4)
        await visit.log(5, 7)
        await trio.sleep_forever()

    async def honest(visit: Visit) -> None:
        await visit.greet(5)
        await visit.log(6, 7)
        await trio.sleep_forever()

    async with following(lossy, honest, since=4, epoch="e1", contiguous=True) as (follower, server):
        heard = await take(follower, 5)
    assert [one.frame["seq"] for one in heard if one.place is Place.LOGGED] == [5, 6, 7]
    assert [(gap.after, gap.seq) for gap in follower.gaps] == [(5, 7)]
    assert server.visits[1].query["since"] == "5"


async def test_waits_double_up_to_half_a_minute(autojump_clock: MockClock) -> None:
    async with following(closes(1012)) as (follower, server):
        await take(follower, 9)
    assert [round(b - a, 3) for a, b in pairwise(server.times)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


async def test_a_connection_that_lived_makes_the_next_wait_short_again(autojump_clock: MockClock) -> None:
    async def lives(visit: Visit) -> None:
        await visit.greet(0)
        await trio.sleep(11)
        await visit.cut()

    async with following(closes(1012), closes(1012), lives, closes(1012)) as (follower, server):
        await take(follower, 4)
    assert [round(b - a, 3) for a, b in pairwise(server.times)] == [0.5, 1, 11.5]


@pytest.mark.parametrize("code", [1001, 1009, 1011, 1012, 1013, 4000, 4008, 4009, 4499])
async def test_codes_that_come_back(code: int, autojump_clock: MockClock) -> None:
    async with following(closes(code), stays) as (follower, server):
        await take(follower, 2)
    assert len(server.visits) == 2


@pytest.mark.parametrize("code", [1002, 1007, 1008, 3000, 4401, 4500, 4999])
async def test_codes_that_end_it_are_told(code: int, autojump_clock: MockClock) -> None:
    async with following(closes(code, "so it is"), token="static") as (follower, server):
        with pytest.raises(Closed) as told:
            await take(follower, 2)
        with pytest.raises(Closed):
            await follower.send("{}")
    assert (told.value.code, told.value.reason, len(server.visits)) == (code, "so it is", 1)


async def test_a_normal_end_ends_the_iteration(autojump_clock: MockClock) -> None:
    async with following(closes(1000)) as (follower, _):
        assert len([heard async for heard in follower]) == 1


async def test_a_token_travels_in_the_header_alone(autojump_clock: MockClock) -> None:
    async with following(stays, token="a.b.c") as (follower, server):
        await take(follower, 1)
    assert server.headers[0]["authorization"] == "Bearer a.b.c"
    assert server.visits[0].query == {}


async def test_an_expired_token_is_replaced_by_a_fresh_one(autojump_clock: MockClock) -> None:
    numbers = count()

    async def ask() -> str:
        await trio.sleep(1)
        return f"t{next(numbers)}"

    async with following(closes(4401), stays, token=ask, status={1: 401}) as (follower, server):
        await take(follower, 2)
    assert [headers["authorization"] for headers in server.headers] == ["Bearer t0", "Bearer t1", "Bearer t2"]


async def test_who_cannot_give_a_token_is_told_to_who_follows(autojump_clock: MockClock) -> None:
    async def refuse() -> str:
        await trio.lowlevel.checkpoint()
        raise LookupError("nobody is logged in")

    async with following(stays, token=refuse) as (follower, _):
        with pytest.raises(LookupError):
            await anext(follower)


async def test_a_server_that_says_when_to_come_back_is_heeded(autojump_clock: MockClock) -> None:
    async def busy(visit: Visit) -> None:
        await visit.say(type="error", payload={"error_type": "busy", "retry_after": 7})
        await visit.wire.aclose(1013)

    async with following(busy, stays) as (follower, server):
        await take(follower, 2)
    assert server.times[1] - server.times[0] == pytest.approx(7.5)


async def test_no_server_sends_a_follower_away_for_long(autojump_clock: MockClock) -> None:
    async def absurd(visit: Visit) -> None:
        await visit.say(type="error", retry_after=1e12)
        await visit.cut()

    async with following(absurd, stays) as (follower, server):
        await take(follower, 2)
    assert server.times[1] - server.times[0] == pytest.approx(300.5)


async def test_a_refusal_that_passes_is_waited_out(autojump_clock: MockClock) -> None:
    async with following(stays, status={0: 503, 1: 429}) as (follower, server):
        assert places(await take(follower, 1)) == [(Place.SNAPSHOT, 0)]
    assert len(server.times) == 3


async def test_a_refusal_that_stays_is_told(autojump_clock: MockClock) -> None:
    async with following(stays, status={0: 404}) as (follower, _):
        with pytest.raises(CannotConnect) as told:
            await anext(follower)
    assert told.value.status == 404


async def test_a_peer_that_falls_silent_is_left(autojump_clock: MockClock) -> None:
    """Its socket is open, it takes what is sent, and answers nothing: no ping either."""

    async def dies(visit: Visit) -> None:
        await visit.greet(0)
        await trio.sleep(5)
        deaf.append(visit.wire)
        await trio.sleep_forever()

    deaf: list[WebSocketConnection] = []
    async with serving(dies, stays) as server:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            return Mute(await server.dial(host, port), deaf)

        async with follow(URL, dial=dial, backoff=WHOLE) as follower:
            await take(follower, 2)
    assert server.times[1] == pytest.approx(60.5)


@dataclass
class Mute(trio.abc.Stream):
    """Swallows what is sent once its peer is dead."""

    stream: trio.abc.Stream
    dead: list[WebSocketConnection]

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if len(self.dead) != 1:
            await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.dead.append(self.dead[0]) if self.dead else None
        await self.stream.aclose()


async def test_a_quiet_peer_that_answers_pings_is_kept(autojump_clock: MockClock) -> None:
    async def quiet(visit: Visit) -> None:
        await visit.greet(0)
        await trio.sleep(1000)
        await visit.log(1)
        await trio.sleep_forever()

    async with following(quiet) as (follower, server):
        await take(follower, 2)
    assert len(server.visits) == 1


async def test_who_takes_its_time_is_not_cut_off_by_itself(autojump_clock: MockClock) -> None:
    async def talks(visit: Visit) -> None:
        await visit.greet(0)
        await visit.log(*range(1, 501))
        await trio.sleep_forever()

    async with following(talks) as (follower, server):
        await trio.sleep(600)
        heard = await take(follower, 501)
    assert [one.frame["seq"] for one in heard] == list(range(501))
    assert len(server.visits) == 1


async def test_what_was_heard_is_not_lost_with_a_connection_that_breaks_in_our_own_hands(
    autojump_clock: MockClock,
) -> None:
    """A fault of the protocol cancels whatever goes on over this connection, the handing over of a frame too."""

    async def talks(visit: Visit) -> None:
        await visit.greet(visit.since or 0)
        await visit.log(*range((visit.since or 0) + 1, 10))
        await trio.sleep_forever()

    async with serving(talks) as server:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            return Faulty(await server.dial(host, port))

        async with follow(URL, dial=dial, backoff=WHOLE, contiguous=True) as follower:
            await take(follower, 3)
            await trio.sleep(20)
            heard = await take(follower, 8)
    assert [one.frame["seq"] for one in heard if one.place is Place.LOGGED] == [3, 4, 5, 6, 7, 8, 9]
    assert len(server.visits) > 1


@dataclass
class Faulty(trio.abc.Stream):
    """Lets trio-websocket's reader trip over a protocol fault after a silence of five seconds."""

    stream: trio.abc.Stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        with trio.move_on_after(5):
            return await self.stream.receive_some(max_bytes)
        raise LocalProtocolError("as after a ping that crossed a close")

    async def aclose(self) -> None:
        await self.stream.aclose()


async def test_what_is_sent_waits_for_a_connection(autojump_clock: MockClock) -> None:
    got: list[str | bytes] = []

    async def listens(visit: Visit) -> None:
        await visit.greet(0)
        got.append(await visit.wire.get_message())
        await trio.sleep_forever()

    async with following(listens, status={0: 503}) as (follower, _):
        await follower.send("hello")
        await take(follower, 1)
        await trio.testing.wait_all_tasks_blocked()
    assert got == ["hello"]


async def test_what_is_sent_into_a_dead_connection_goes_out_on_the_next(autojump_clock: MockClock) -> None:
    """The reader has not come to the loss yet, as what came before it is not taken."""
    got: list[str | bytes] = []

    async def dies(visit: Visit) -> None:
        await visit.greet(0)
        await visit.log(1, 2, 3)
        await visit.cut()

    async def listens(visit: Visit) -> None:
        await visit.greet(3)
        got.append(await visit.wire.get_message())
        await trio.sleep_forever()

    async with following(dies, listens) as (follower, _), trio.open_nursery() as nursery:
        await take(follower, 1)
        await trio.sleep(1)
        nursery.start_soon(follower.send, "hello")
        await trio.sleep(1)
        await take(follower, 4)
    assert got == ["hello"]


async def test_a_frame_may_be_as_large_as_the_server_makes_it(autojump_clock: MockClock) -> None:
    async def large(visit: Visit) -> None:
        await visit.greet(0)
        await visit.say(seq=1, content="x" * 15 * 1024 * 1024)
        await trio.sleep_forever()

    async with following(large) as (follower, _):
        assert places(await take(follower, 2)) == [(Place.SNAPSHOT, 0), (Place.LOGGED, 1)]


async def test_leaving_says_goodbye(autojump_clock: MockClock) -> None:
    async with serving(stays) as server:
        async with follow(URL, dial=server.dial) as follower:
            await take(follower, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert server.goodbyes == [1000]


async def test_what_the_block_raises_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    async with serving(stays) as server:
        with pytest.raises(KeyError, match="mine"):
            async with follow(URL, dial=server.dial):
                raise KeyError("mine")


async def test_what_is_no_object_is_dropped_and_the_talk_goes_on(autojump_clock: MockClock) -> None:
    async def odd(visit: Visit) -> None:
        for text in ("nonsense", "[1]", "3", b"\xff"):
            await visit.wire.send_message(text)
        await visit.greet(0)
        await trio.sleep_forever()

    async with following(odd) as (follower, _):
        assert places(await take(follower, 1)) == [(Place.SNAPSHOT, 0)]


# --- whatever the server does ------------------------------------------------------------------------------

LENGTH = 12
Mishaps = list[list[tuple[str, int]]]

kinds = st.sampled_from(["next", "next", "next", "skip", "repeat", "aside", "forget", "late"])
mishaps = st.lists(st.lists(st.tuples(kinds, st.integers(1, 4)), max_size=10), max_size=6)


def unreliable(faults: list[tuple[str, int]]) -> Script:
    """Greets and goes through the log, with faults, then cuts the connection."""

    async def talk(visit: Visit) -> None:
        kinds = {kind for kind, _ in faults}
        place = LENGTH // 2 if visit.since is None or "forget" in kinds else visit.since
        late = {"late": 1}.get(faults[-1][0], 0) if faults else 0
        await visit.greet(place + late, recovered=visit.since is not None and "forget" not in kinds)
        for kind, times in faults:
            place = await err(visit, kind, times, place)
        await visit.cut()

    return talk


async def err(visit: Visit, kind: str, times: int, place: int) -> int:
    """One step through the log; where it leads to."""
    match kind:
        case "next" if place < LENGTH:
            await visit.log(place + 1)
            return place + 1
        case "skip":
            return min(LENGTH, place + times)
        case "repeat" if place > 0:
            await visit.log(max(1, place - times), place)
        case "aside":
            await visit.say(type="heartbeat_response")
        case _:
            pass
    return place


async def honest(visit: Visit) -> None:
    place = LENGTH // 2 if visit.since is None else visit.since
    await visit.greet(place)
    await visit.log(*range(place + 1, LENGTH + 1))
    await visit.wire.aclose(1000)


@given(mishaps)
def test_whatever_is_dropped_or_repeated_the_log_is_heard_once_in_order_or_a_snapshot_is_announced(
    history: Mishaps,
) -> None:
    async def main() -> list[Heard]:
        async with following(*map(unreliable, history), honest, contiguous=True) as (follower, _):
            return [heard async for heard in follower]

    assembled: list[int] = []
    snapshot = -1
    for heard in trio.run(main, clock=MockClock(autojump_threshold=0)):
        match heard.place, heard.frame.get("seq"):
            case Place.SNAPSHOT, int(version):
                snapshot, assembled = version, list(range(1, version + 1))
            case Place.RESUMED, int(version):
                assert version <= len(assembled)
            case Place.LOGGED, int(version) if version == snapshot == len(assembled):
                snapshot = -1  # the event that made the snapshot may be shown too, once
            case Place.LOGGED, int(version):
                assert version == len(assembled) + 1
                assembled.append(version)
            case place, _:
                assert place is Place.ASIDE
    assert assembled == list(range(1, LENGTH + 1))
