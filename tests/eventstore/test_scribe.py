"""The process that commits: what it is told, what becomes of it, and of the log when it or its server is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from core.messages import Decision, Stamp
from core.ports import DuplicateCommand, StoreUnavailable, WrongExpectedVersion
from eventstore import locking
from eventstore.opening import open_sqlite
from eventstore.scribe import Unframer, framed
from eventstore.sqlite import SQLiteStore
from tests.eventstore.logs import (
    PATIENCE,
    Follower,
    assert_chained,
    assert_sound,
    locked,
    said,
    say,
    stream,
    texts,
    whole,
)

A, B = stream("a"), stream("b")


@pytest.fixture
async def apart(path: Path) -> AsyncIterator[SQLiteStore]:
    """The log in `path`, committed to by a process of its own."""
    async with open_sqlite(path, apart=True, lock_timeout=1) as store:
        yield store


def scribes_of(parent: int) -> list[int]:
    """The processes that commit for this one."""
    found = list[int]()
    for entry in Path("/proc").iterdir():
        try:
            parents = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            is_scribe = b"eventstore.scribe" in (entry / "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue
        if parents == parent and is_scribe:
            found.append(int(entry.name))
    return found


@given(contents=st.lists(st.binary(max_size=40)), cuts=st.lists(st.integers(1, 30)))
def test_however_the_bytes_are_cut_the_contents_come_out_whole_and_in_order(
    contents: list[bytes], cuts: list[int]
) -> None:
    unframer, out, rest = Unframer(), list[bytes](), b"".join(map(framed, contents))
    for size in cuts:
        out += unframer.feed(rest[:size])
        rest = rest[size:]
    assert out + unframer.feed(rest) == contents


async def test_each_append_of_a_batch_gets_its_own_outcome(apart: SQLiteStore) -> None:
    await apart.append(A, [said("one", command_id="c")], expected_version=0)
    with pytest.raises(WrongExpectedVersion) as conflict:
        await apart.append(A, [said("no")], expected_version=0)
    assert (conflict.value.stream, conflict.value.expected, conflict.value.actual) == (A, 0, 1)
    with pytest.raises(DuplicateCommand) as repeat:
        await apart.append(A, [said("again", command_id="c")], expected_version=1)
    assert (repeat.value.stream, repeat.value.command_id) == (A, "c")
    assert texts(await whole(apart)) == ["one"]


UNWRITABLE = [
    (Stamp("c", 1, "half a pair \ud83c"), ValueError),
    (Stamp("c", 1 << 63), OverflowError),
    (Stamp("c", 1 << 70), OverflowError),
]


@pytest.mark.parametrize(("unwritable", "error"), UNWRITABLE)
async def test_what_cannot_be_stored_fails_alone(apart: SQLiteStore, unwritable: Stamp, error: type[Exception]) -> None:
    async def fail() -> None:
        with pytest.raises(error):
            await apart.append(A, [Decision(unwritable, said("-").command, said("never").events)], expected_version=0)

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, apart, B, "before")
            nursery.start_soon(fail)
            nursery.start_soon(say, apart, stream("c"), "after")
    assert sorted(texts(await whole(apart))) == ["after", "before"]
    await assert_chained(apart)


async def test_more_than_a_socket_holds_goes_through_whole(apart: SQLiteStore) -> None:
    large = ["x" * 3_000_000, "y" * 5_000_000]
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            for n, text in enumerate(large):
                nursery.start_soon(say, apart, stream(n), text)
    assert sorted(texts(await whole(apart))) == large


async def test_a_lost_process_is_a_fault_like_any_other_and_the_next_one_goes_on(apart: SQLiteStore) -> None:
    follower = Follower(apart)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follower.run)
        known = list[str]()
        for turn in range(2):
            known += await _said_around_a_kill(apart, turn)
        with trio.fail_after(PATIENCE):
            log = await follower.has(len(await whole(apart)))
        nursery.cancel_scope.cancel()
    assert set(known) <= set(texts(log))
    assert_sound(log)
    await assert_chained(apart)


async def _said_around_a_kill(store: SQLiteStore, turn: int) -> list[str]:
    """What was acknowledged before and after the process that commits was killed."""
    acknowledged = list[str]()
    talks, was_refused = trio.Event(), trio.Event()

    async def talk(n: int) -> None:
        for i in count():
            text = f"{turn}.{n}.{i}"
            try:
                await say(store, stream(n), text)
            except StoreUnavailable:
                was_refused.set()
            else:
                acknowledged.append(text)
                talks.set()
                if was_refused.is_set():
                    return

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            for n in range(4):
                nursery.start_soon(talk, n)
            await talks.wait()
            (scribe,) = scribes_of(os.getpid())
            os.kill(scribe, signal.SIGSTOP)
            os.waitid(os.P_PID, scribe, os.WSTOPPED | os.WNOWAIT)  # noqa: ASYNC222  # it takes microseconds
            await trio.testing.wait_all_tasks_blocked()  # now there is a batch that gets no report
            os.kill(scribe, signal.SIGKILL)
    return acknowledged


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_for_the_whole_group_leaves_the_end_to_the_server(
    apart: SQLiteStore, number: signal.Signals
) -> None:
    await say(apart, A, "before")
    (scribe,) = scribes_of(os.getpid())
    os.kill(scribe, number)
    await say(apart, A, "after")
    assert scribes_of(os.getpid()) == [scribe]
    assert apart.statistics.failed == 0


async def test_a_locked_log_tells_no_and_works_again_when_the_lock_is_gone(apart: SQLiteStore, path: Path) -> None:
    await say(apart, A, "before")
    with locked(path), trio.fail_after(PATIENCE), pytest.raises(StoreUnavailable, match="locked"):
        await say(apart, A, "in vain")
    assert apart.statistics.in_doubt
    await say(apart, A, "after")
    assert texts(await whole(apart)) == ["before", "after"]


async def test_when_the_store_is_closed_its_process_has_ended(path: Path) -> None:
    async with open_sqlite(path, apart=True) as store:
        await say(store, A, "one")
        assert len(scribes_of(os.getpid())) == 1
    assert scribes_of(os.getpid()) == []


SERVER = """
import pathlib, sys, trio
from eventstore.opening import open_sqlite
from tests.eventstore.logs import say, stream

async def talk(store, n):
    for i in range(100_000):
        await say(store, stream(n), f"{n}.{i}")
        print(f"{n}.{i}", flush=True)

async def main():
    async with open_sqlite(pathlib.Path(sys.argv[1]), apart=True) as store, trio.open_nursery() as nursery:
        for n in range(5):
            nursery.start_soon(talk, store, n)

trio.run(main)
"""


@contextmanager
def killed_server(path: Path) -> Iterator[tuple[list[str], int]]:
    """What a server acknowledged before it was killed, and the process that committed for it, stopped before that."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    command = [sys.executable, "-c", SERVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as server:
        assert server.stdout is not None
        acknowledged = [server.stdout.readline() for _ in range(50)]
        (scribe,) = scribes_of(server.pid)
        os.kill(scribe, signal.SIGSTOP)
        server.kill()
        acknowledged += server.stdout
        server.wait()
        try:
            yield [line.strip() for line in acknowledged if line.endswith("\n")], scribe
        finally:
            with suppress(ProcessLookupError):
                os.kill(scribe, signal.SIGKILL)


async def test_the_last_batch_of_a_killed_server_is_waited_for_and_nothing_acknowledged_is_lost(path: Path) -> None:
    with killed_server(path) as (acknowledged, scribe):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_go_on, scribe)
            with trio.fail_after(PATIENCE):
                async with open_sqlite(path, apart=True) as store:
                    log = await whole(store)
                    assert set(acknowledged) <= set(texts(log))
                    assert len(await say(store, A, "the next server")) == 1
                    assert len(await whole(store)) == len(log) + 1  # and nobody else wrote meanwhile
                    assert_sound(log)
                    await assert_chained(store)


async def _go_on(scribe: int) -> None:
    await trio.sleep(0.1)
    os.kill(scribe, signal.SIGCONT)


async def test_what_a_killed_server_left_is_not_tidied_away_behind_it(path: Path) -> None:
    """By then another log may be in its place, and the files beside that are not the old one's to remove."""
    with killed_server(path) as (_, scribe):
        os.kill(scribe, signal.SIGCONT)
        with trio.fail_after(PATIENCE):
            while Path(f"/proc/{scribe}/exe").exists():  # noqa: ASYNC110  # nobody tells us: it is not our child
                await trio.sleep(0.01)
        assert path.with_name(f"{path.name}-wal").stat().st_size > 0


async def test_a_last_batch_that_takes_for_ever_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "LAST_BATCH", 0.05)
    with killed_server(path), pytest.raises(StoreUnavailable, match="another process is serving"):
        async with open_sqlite(path, apart=True):
            pass
