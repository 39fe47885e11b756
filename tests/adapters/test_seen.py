"""What devices had seen at a time, as the log tells it, beside what they really had: over real sockets."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from msgspec import Struct, json

from actors.system import System
from adapters import cli
from adapters.opening import open_history
from adapters.seen import SeenBy, runs_of, seen_by, seen_of
from adapters.setting_values import StoreAddress
from adapters.web import lookout
from core.delivery import Noted
from core.identifiers import Category, StreamName
from core.messages import Outcome, Recorded, Stamp, Unavailable
from eventstore.audit import AuditLog
from eventstore.sqlite import SQLiteStore
from tests.adapters.server.process import ServerProcess
from tests.adapters.server.raw import Gone, Wire, connected, speech
from tests.adapters.whole import Whole, serving

LARGE = "x" * 9_000_000
"""More than any kernel takes of one connection: of such a frame a part waits."""
INTERVAL = 0.05
LOOKS = list[bool]()
SECRET = "an-example-of-a-signing-key-with-enough-bytes"


def now() -> int:
    return time.time_ns() // 1000


class Got(Struct):
    """A client had received a version at this time, µs."""

    time: int
    version: int


class Reader:
    """A client of a conversation that writes down when it got what."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.got = wire, list[Got]()

    async def read(self) -> None:
        try:
            while True:
                frame = await self.wire.told()
                if "seq" in frame:
                    self.got.append(Got(now(), frame["seq"]))
        except (Gone, trio.TooSlowError):
            pass

    def had(self, at: int) -> int:
        """The version it had received by then."""
        return max((got.version for got in self.got if got.time <= at), default=0)

    async def has(self, version: int) -> None:
        with trio.fail_after(5):
            while self.had(now()) < version:  # noqa: ASYNC110  # a socket's reader sets no event
                await trio.sleep(0.005)


@asynccontextmanager
async def reading(port: int, id: str) -> AsyncIterator[Reader]:
    async with connected(port) as wire, trio.open_nursery() as nursery:
        assert (await wire.shake(f"/api/ws/conversations/{id}")).status == 101
        reader = Reader(wire)
        nursery.start_soon(reader.read)
        await reader.has(1)
        yield reader
        nursery.cancel_scope.cancel()


def port_of(server: Whole) -> int:
    return int(server.urls[0].rpartition(":")[2])


@asynccontextmanager
async def noting(path: Path, **settings: str) -> AsyncIterator[Whole]:
    store = {"CALLBOARD_STORE": f"sqlite:///{path}", "CALLBOARD_SEEN_INTERVAL": str(INTERVAL)}
    async with serving(**{**store, **settings}) as server:
        yield server


@asynccontextmanager
async def looking(path: Path) -> AsyncIterator[SQLiteStore]:
    async with open_history(StoreAddress(path)) as store:
        yield store


def talk(id: str) -> StreamName:
    return StreamName.of(Category.CONVERSATION, id)


async def connections(store: SQLiteStore, id: str) -> list[str]:
    """In the order they joined in."""
    events = await store.read_events(talk(id))
    return [event.connection_id for event in events if type(event).__name__ == "ClientJoined"]


async def seen(store: SQLiteStore, connection: str, at: int | None = None) -> SeenBy:
    found = await seen_by(store, connection, at)
    assert found is not None
    return found


async def notes(store: SQLiteStore) -> list[Recorded]:
    return [record for record in await store.read_all() if isinstance(record.event, Noted)]


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes down of each look that servers in this process have, whether it found nothing new."""
    LOOKS.clear()
    note = lookout.Lookout.note

    async def look(self: lookout.Lookout) -> None:
        before = self._part, self._notes
        await note(self)
        LOOKS.append((self._part, self._notes) == before)

    monkeypatch.setattr(lookout.Lookout, "note", look)


async def rest() -> None:
    """Until some looks in a row found nothing new."""
    began = len(LOOKS)
    with trio.fail_after(10):
        while LOOKS[began:][-3:] != [True] * 3:  # noqa: ASYNC110  # the server says it to nobody
            await trio.sleep(INTERVAL)


# --- what clients had, and what is told ------------------------------------------------------------------------


async def test_at_any_time_a_client_had_what_lies_within_the_bounds_and_at_rest_they_meet(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with noting(path) as server:
        id = await server.opened()
        async with reading(port_of(server), id) as reader, reading(port_of(server), id):
            begun, rests = now(), list[tuple[int, int]]()
            for burst in range(3):
                for number in range(5):
                    await reader.wire.send(speech(number=number))
                    await trio.sleep(INTERVAL / 7)
                await reader.has(3 + 5 * (burst + 1))
                await rest()
                rests.append((now(), 3 + 5 * (burst + 1)))
                await rest()
            ended = now()
        await rest()
    async with looking(path) as store:
        first = (await connections(store, id))[0]
        for at in range(begun, ended, (ended - begun) // 60):
            (told,) = (await seen(store, first, at)).streams
            assert told.acknowledged <= reader.had(at) <= told.at_most
            assert told.acknowledged <= told.written <= told.at_most
        for at, version in rests:
            found = await seen(store, first, at)
            (told,) = found.streams
            assert (told.acknowledged, told.written, told.at_most) == (version,) * 3 == (reader.had(at),) * 3
            assert (found.principal, found.dialect, found.closed) == ("anonymous", "conversations", None)
            assert (told.stream, told.device) == (talk(id), "device 1")


async def test_of_a_stalled_client_the_written_position_stays_while_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with noting(path, CALLBOARD_OUTLET_BYTES="64 MiB") as server:
        id = await server.opened()
        async with (
            reading(port_of(server), id) as reader,
            connected(port_of(server), receive_buffer=4096) as stalled,
        ):
            assert (await stalled.shake(f"/api/ws/conversations/{id}")).status == 101
            await reader.has(3)
            await rest()
            await reader.wire.send(speech(pad=LARGE))
            await reader.has(4)
            await rest()
            middle = now()
            for number in range(10):
                await reader.wire.send(speech(number=number))
            await reader.has(14)
            await rest()
            later = now()
            stalled.vanish()
            await rest()
    async with looking(path) as store:
        who, stuck = await connections(store, id)
        (at_rest,) = (await seen(store, who, later)).streams
        assert (at_rest.acknowledged, at_rest.written, at_rest.at_most) == (14, 14, 14)
        for at in (middle, later, None):
            (told,) = (await seen(store, stuck, at)).streams
            assert (told.acknowledged, told.written, told.at_most) == (0, 3, 4)
        assert (await seen(store, stuck)).code == 1006


async def test_a_client_that_was_killed_had_at_least_what_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with noting(path) as server:
        id = await server.opened()
        async with reading(port_of(server), id) as reader, reading(port_of(server), id) as killed:
            await reader.has(3)
            await rest()
            await reader.wire.send(speech(number=1))
            await killed.has(4)
            died = now()
            killed.wire.vanish()
            await reader.has(5)  # that it left
            await reader.wire.send(speech(number=2))
            await reader.has(6)
            await rest()
    async with looking(path) as store:
        _, dead = await connections(store, id)
        found = await seen(store, dead)
        assert found.code == 1006
        (told,) = found.streams
        assert 3 <= told.acknowledged <= killed.had(died) == 4 <= told.at_most <= 5
        assert (await seen(store, dead, now())).closed == found.closed

        async def unknown(at: int) -> str | None:  # where no run is known
            return None

        assert [each.connection for each in await seen_of(store, unknown, talk(id), died)] == [
            *await connections(store, id)
        ]


async def test_after_the_server_was_killed_nothing_is_claimed_beyond_the_last_note(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    settings = {"CALLBOARD_STORE": f"sqlite:///{path}", "CALLBOARD_SEEN_INTERVAL": "0.3"}
    server = ServerProcess(tmp_path, **settings)
    server.start()
    try:
        id = await server.opened()
        async with reading(server.port, id) as reader:
            await reader.wire.send(speech(number=0))
            await reader.has(3)
            await trio.sleep(0.8)
            rested = now()
            await reader.wire.send(*(speech(number=number) for number in range(20)))
            await reader.has(5)
            os.kill(server.pid, signal.SIGKILL)
            with trio.fail_after(5):
                while server.is_alive:  # noqa: ASYNC110  # another process sets no event of ours
                    await trio.sleep(0.01)
            died = now()
            await trio.sleep(0.05)
    finally:
        server.stop()
    async with looking(path) as store:
        (only,) = await connections(store, id)
        (told,) = (await seen(store, only, rested)).streams
        assert (told.acknowledged, told.written, told.at_most) == (3, 3, 3)
        found = await seen(store, only, died)
        assert (found.noted_until, found.closed) == (None, None)
        assert found.streams[0].acknowledged <= reader.had(died) <= found.streams[0].at_most


async def test_who_hears_a_channel_is_told_by_its_stream(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with noting(path) as server:
        async with server.connect("/ws/channels") as ear, server.connect("/ws/channels") as mouth:
            await ear.send("subscribe", {"channel": "news"})
            await ear.frame("subscribed")
            await mouth.send("news", {"number": 1})
            await ear.frame()
            await rest()
            at = now()
            await rest()
        await rest()
    async with looking(path) as store:
        log = AuditLog(path)
        try:
            channel = StreamName.of(Category.CHANNEL, "news")
            found = await seen_of(store, runs_of(log), channel, at)
        finally:
            log.close()
        last = len(await store.read_stream(channel))
        (heard,) = found
        assert (heard.dialect, heard.connection[-2:]) == ("channels", ".1")
        assert (heard.streams[0].acknowledged, heard.streams[0].at_most) == (last, last)


# --- when notes are written, and when not ----------------------------------------------------------------------


async def test_nothing_moves_and_nothing_is_written_and_no_note_is_about_a_note(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with noting(path) as server:
        id = await server.opened()
        async with reading(port_of(server), id) as reader:
            other = await server.opened()
            await rest()
            async with looking(path) as store:
                quiet = store.head
            await rest()
            await server.http.post(f"/api/v2/conversations/{other}/end")
            await rest()
            assert {got.version for got in reader.got} == {2}
            async with looking(path) as store:
                assert [record.stream for record in await store.read_all(after=quiet)] in ([], [talk(other)])


async def test_without_an_interval_there_are_no_notes(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with noting(path, CALLBOARD_SEEN_INTERVAL="0") as server:
        id = await server.opened()
        async with reading(port_of(server), id):
            await trio.sleep(INTERVAL * 4)
    assert LOOKS == []
    async with looking(path) as store:
        assert await notes(store) == []


async def test_a_run_that_goes_on_long_has_its_notes_in_parts_and_each_tells_of_all_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "NOTES_IN_PART", 3)
    path, times = tmp_path / "log.db", list[tuple[int, int]]()
    async with noting(path) as server:
        id = await server.opened()
        async with reading(port_of(server), id) as reader:
            async with reading(port_of(server), id):
                await reader.has(3)
                await rest()
            for number in range(8):
                await reader.wire.send(speech(number=number))
                await reader.has(5 + number)
                await rest()
                times.append((now(), 5 + number))
    async with looking(path) as store:
        streams = {record.stream for record in await notes(store)}
        assert len(streams) > 4
        who, gone = await connections(store, id)
        for at, version in times:
            assert [(one.acknowledged, one.at_most) for one in (await seen(store, who, at)).streams] == [(version,) * 2]
            assert (await seen(store, gone, at)).code == 1006  # in a part of long ago
        assert await seen_by(store, f"{who}0", now()) is None


async def test_what_cannot_be_noted_now_is_noted_later_but_for_too_many_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "MOST_ENDED", 1)
    path, ask, is_full = tmp_path / "log.db", System.ask, [True]

    async def ask_or_not(self: System, stream: StreamName, command: Any, stamp: Stamp) -> Outcome:
        if is_full[0] and stream.category is Category.DELIVERY:
            return Unavailable("the disk is full")
        return await ask(self, stream, command, stamp)

    monkeypatch.setattr(System, "ask", ask_or_not)
    async with noting(path) as server:
        id = await server.opened()
        async with reading(port_of(server), id) as reader:
            for left in (4, 6):
                async with reading(port_of(server), id):
                    await reader.has(left - 1)
                await reader.has(left)
            await rest()
            async with looking(path) as store:
                assert await notes(store) == []
            is_full[0] = False
            await rest()
    async with looking(path) as store:
        stayed, forgotten, gone = await connections(store, id)
        assert (await seen(store, stayed)).streams[0].acknowledged == 6
        assert (await seen(store, gone)).code == 1006
        assert await seen_by(store, forgotten) is None


# --- who asks --------------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`callboard seen` as typed: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", "seen", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def test_the_command_line_tells_it_for_people_and_for_programs(
    tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    path = tmp_path / "log.db"

    async def one_client() -> tuple[str, int]:
        async with noting(path) as server:
            id = await server.opened()
            async with reading(port_of(server), id):
                await rest()
                return id, now()

    id, at = trio.run(one_client)
    store = ["--store", f"sqlite:///{path}"]
    status, told, _ = run("--stream", id, "--at", str(at), *store)
    assert status == 0
    assert f"conversation-{id} as device 1: received up to 2, written up to 2" in told
    status, told, _ = run("--stream", id, "--at", str(at), "--json", *store)
    connection = json.decode(told)["connection"]
    status, told, _ = run(connection, *store)
    assert "ended" in told
    status, told, complaint = run("nobody.7", *store)
    assert (status, told, complaint.count("\n")) == (1, "", 1)
    assert run(*store)[0] == run(connection, "--stream", id, *store)[0] == 2


async def test_auditors_are_told_over_http_and_that_they_were_is_on_record(tmp_path: Path) -> None:
    settings = {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": SECRET}

    def bearer(role: str) -> dict[str, str]:
        claims = {"sub": "ada", "exp": 2**32, "roles": [role]}
        return {"Authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}

    async with noting(tmp_path / "log.db", **settings) as server:
        opened = await server.http.post("/api/v2/conversations", json={}, headers=bearer("client"))
        id = opened.json()["id"]
        token = bearer("client")["Authorization"].removeprefix("Bearer ")
        async with server.connect(f"/api/ws/conversations/{id}?token={token}") as socket:
            await socket.frame("state_update")
            await rest()

            async def get(path: str, role: str = "auditor", **query: str) -> tuple[int, Any]:
                answer = await server.http.get(path, headers=bearer(role), params=query)
                return answer.status_code, answer.json()

            everyone = "/api/audit/connections"
            status, told = await get(everyone, stream=talk(id))
            assert status == 200
            (found,) = told["connections"]
            assert found["principal"] == "ada"
            assert found["streams"][0]["at_most"] == 2
            status, one = await get(f"{everyone}/{found['connection']}")
            assert (status, one["connection"], one["streams"]) == (200, found["connection"], found["streams"])
            assert (await get(everyone, stream=talk(id), at="2020-01-01"))[1]["connections"] == []
            for path, query, expected in (
                (everyone, {}, 422),
                (everyone, {"stream": "no stream"}, 422),
                (everyone, {"stream": talk(id), "at": "noon"}, 422),
                (f"{everyone}/nobody.1", {}, 404),
                (f"{everyone}/nobody", {}, 404),
            ):
                assert (await get(path, **query))[0] == expected
            assert (await get(everyone, "client", stream=talk(id)))[0] == 403
    async with looking(tmp_path / "log.db") as store:
        events = [record.event for record in await store.read_all() if record.stream.startswith("audit-")]
        assert [event.question for event in events[:2]] == [{"stream": talk(id)}, {"origin": found["connection"]}]
        assert {event.way for event in events} == {"seen"}
        assert len(events) == 5  # three were told something, two that there is nothing
