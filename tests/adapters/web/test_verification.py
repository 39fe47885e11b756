"""What auditors are told over HTTP of whether the log holds."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from msgspec import json

from adapters.verification.messages import Fails, Holds, Message, Progress, Question
from adapters.verification.worker import PAGE, verify
from adapters.web import verification
from adapters.web.turns import Turns
from adapters.web.verification import Verified
from core.audit import Accessed
from core.conversation import OpenConversation
from eventstore.checkpointing import Interval, keeping_checkpoints
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from eventstore.recorder import TABLE
from tests.adapters.web.test_audit import TALK, Mood, Office, heard, opened
from tests.adapters.whole import PATIENCE, Whole, serving
from tests.eventstore.checkpointed import Clock
from tests.eventstore.disks import Disk, commits
from tests.eventstore.logs import say, stream
from tests.eventstore.test_tampering import chain_anew

VERIFY = "/api/audit/verify"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
async def office(path: Path) -> AsyncIterator[Office]:
    """Over a log of three events with a checkpoint."""
    async with open_sqlite(path) as store, opened(store, f"sqlite:///{path}") as office:
        async with keeping_checkpoints(store, path, Clock(), Interval(), None):
            for command in (OpenConversation(), heard("a"), heard("b")):
                await office.system.ask(TALK, command, office.system.stamp(principal="bob"))
        yield office


def tampered(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


async def lines(office: Office) -> list[Any]:
    answer = await office.get(VERIFY)
    assert (answer.status_code, answer.mimetype) == (200, "application/x-ndjson")
    return [json.decode(line) for line in (await answer.get_data(as_text=False)).splitlines()]


async def test_a_log_that_holds_is_told_so_with_its_head_and_that_is_on_record_first(office: Office) -> None:
    begun, verdict = await lines(office)
    (access,) = await office.accesses()
    assert access.event == Accessed("verify", {}, 0, 3)
    assert (access.stamp.principal, access.position) == ("ada", 4)
    assert begun == {"done": 0, "of": 4}
    assert (verdict["ok"], verdict["events"], len(verdict["head"])) == (True, 4, 64)
    assert verdict["checkpoints"] == {"held": 1, "newest": 3, "signed": 0, "keys": []}


async def test_the_first_event_that_was_altered_is_named(office: Office, path: Path) -> None:
    tampered(path, f"UPDATE {TABLE} SET principal = 'eve' WHERE rowid >= 2")  # noqa: S608  # our own
    *_, verdict = await lines(office)
    assert (verdict["ok"], verdict["event"], verdict["position"]) == (False, f"{TALK}@2", 2)
    assert verdict["reason"].startswith(f"The chain is broken at position 2 ({TALK}@2): its content")


@pytest.mark.parametrize("role", ["client", "other"])
async def test_nobody_else_is_told(office: Office, role: str) -> None:
    assert (await office.ask(VERIFY, role=role))[0] == 403
    assert await office.accesses() == []


async def test_asking_for_the_head_alone_looks_at_nothing(office: Office) -> None:
    assert (await office.get(VERIFY, role="operator", method="HEAD")).status_code == 200
    assert await office.accesses() == []


async def test_of_two_who_ask_at_the_same_time_one_is_told_to_come_again(office: Office) -> None:
    statuses = list[int]()

    async def ask() -> None:
        statuses.append((await office.get(VERIFY)).status_code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    assert sorted(statuses) == [200, 429]
    assert len(await office.accesses()) == 1
    assert (await lines(office))[-1]["ok"]


async def test_who_could_not_be_recorded_keeps_nobody_from_asking(path: Path) -> None:
    moods, disk = list[Mood](["well"]), Disk()
    disk.fault = commits(lambda: moods[-1])
    async with open_sqlite(path, connect=disk.connect) as store, opened(store, f"sqlite:///{path}") as office:
        await office.system.ask(TALK, OpenConversation(), office.system.stamp())
        moods.append("lost")
        assert (await office.ask(VERIFY))[0] == 503
        moods.append("well")
        with trio.fail_after(PATIENCE):
            while (answer := await office.get(VERIFY)).status_code == 503:
                await trio.lowlevel.checkpoint()
        assert answer.status_code == 200


def test_a_turn_is_over_when_it_is_given_back_and_when_whoever_has_it_is_no_more() -> None:
    turns, first, second = Turns(1), Verified(Path(), Turns(1)), Verified(Path(), Turns(1))
    assert turns.take(first)
    assert not turns.take(second)
    turns.give_back(first)
    turns.give_back(first)
    assert turns.take(second)
    del second
    assert turns.take(first), "nobody came to fetch the answer"


async def test_a_log_in_memory_has_nothing_to_verify() -> None:
    async with opened(MemoryStore(), "memory:") as office:
        assert (await office.ask(VERIFY))[0] == 404


# --- at a whole server ------------------------------------------------------------------------------------------


def looking() -> int:
    """How many processes of ours verify a log."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            is_ours = parent == os.getpid() and verification.WORKER in (process / "cmdline").read_text()
        except (OSError, ValueError):  # gone meanwhile
            continue
        count += is_ours
    return count


async def test_a_client_that_goes_away_ends_it_and_until_then_others_are_told_to_come_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "REST", 600.0)  # whoever has begun goes on for ever
    async with open_sqlite(path) as store:
        await say(store, stream("a"), *("x" for _ in range(PAGE + 1)))
    async with serving(CALLBOARD_STORE=f"sqlite:///{path}") as server:
        async with server.http.stream("GET", VERIFY):
            await _until_one_looks()
            refused = await server.http.get(VERIFY)
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "10")
        monkeypatch.setattr(verification, "REST", 0.0)
        verdict = await _once_it_is_free(server)
        assert verdict["ok"]
        assert looking() == 0


async def _until_one_looks() -> None:
    with trio.fail_after(PATIENCE):
        while await trio.to_thread.run_sync(looking) != 1:
            pass


async def _once_it_is_free(server: Whole) -> Any:
    """The verdict, as soon as one is given."""
    with trio.fail_after(PATIENCE):
        while (answer := await server.http.get(VERIFY)).status_code == httpx.codes.TOO_MANY_REQUESTS:
            await trio.lowlevel.checkpoint()
    return json.decode(answer.text.splitlines()[-1])


# --- what the process does ----------------------------------------------------------------------------------------


async def told(path: Path) -> list[Message]:
    messages: list[Message] = []
    await verify(Question(str(path)), messages.append)
    return messages


async def test_it_says_how_far_it_is_and_ends_where_the_log_ended_when_it_began(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.verification.worker.TELLING", 0.0)
    async with open_sqlite(path) as store:
        await say(store, stream("a"), *("x" for _ in range(2 * PAGE + 1)))
        *progress, verdict = await told(path)
    assert progress == [Progress(done, 2 * PAGE + 1) for done in (0, PAGE, 2 * PAGE)]
    assert isinstance(verdict, Holds)
    assert verdict.events == 2 * PAGE + 1


async def test_what_is_recorded_meanwhile_is_not_waited_for(path: Path) -> None:
    messages: list[Message] = []
    async with open_sqlite(path) as store:
        await say(store, stream("a"), *("x" for _ in range(PAGE)))

        def tell(message: Message) -> None:
            messages.append(message)
            if isinstance(message, Progress):
                nursery.start_soon(partial(say, store, stream("b"), *("y" for _ in range(10))))

        async with trio.open_nursery() as nursery:
            await verify(Question(str(path), 0.0), tell)
    assert messages[0] == Progress(0, PAGE)
    assert isinstance(messages[-1], Holds)
    assert messages[-1].events == PAGE


async def test_of_a_log_that_cannot_be_read_nobody_is_told_that_it_holds(path: Path) -> None:
    (verdict,) = await told(path)
    assert isinstance(verdict, Fails)
    assert verdict.reason.startswith("Nothing can be said of it: there is no log at ")


async def test_a_log_that_was_cut_off_or_whose_checkpoints_were_altered_does_not_hold(
    office: Office, path: Path
) -> None:
    assert office.system.store.head == 3
    tampered(path, f"DELETE FROM {TABLE} WHERE rowid > 2")  # noqa: S608  # our own
    *_, verdict = await told(path)
    assert isinstance(verdict, Fails)
    assert verdict.reason.startswith("The log was cut off behind position 2: the checkpoint of 3 events of ")
    assert (verdict.position, verdict.event) == (None, None)
    tampered(path, "DELETE FROM chain_checkpoints", "INSERT INTO chain_checkpoints VALUES (1, 'none')")
    (verdict,) = await told(path)
    assert isinstance(verdict, Fails)
    assert verdict.reason.startswith("The log's checkpoints were altered: ")


async def test_events_that_were_replaced_are_named_by_the_first(office: Office, path: Path) -> None:
    assert office.system.store.head == 3
    tampered(path, f"UPDATE {TABLE} SET principal = 'eve' WHERE rowid >= 2")  # noqa: S608  # our own
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        chain_anew(connection, 2, 3)
    *_, verdict = await told(path)
    assert isinstance(verdict, Fails)
    assert verdict.reason.startswith("Events were replaced at position")
    assert verdict.event == f"{TALK}@{verdict.position}"
