"""Of conversations, sessions, calls and channels that are over nothing runs on, and nothing stays in memory.

But for the board's row of each conversation; and for what is bounded for the whole server, whatever lives on it.
"""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar, cast

import httpx
import pytest
import trio
import trio.testing

from actors.system import System
from adapters.bootstrap import serve
from adapters.config import from_environment
from adapters.server.guard import GuardedServer
from adapters.web.resume import Recollection
from adapters.web.sockets import Sockets
from tests.end_to_end.lives import CONVERSATIONS, LIVES, PATIENCE, Life, Site

LIVED = int(os.environ.get("CALLBOARD_LIVES", "4"))
"""Lives of each kind in a wave."""
AT_ONCE = 26
ROW = 2000
"""Bytes that the board may keep of a conversation."""
SLACK = 500_000
"""Bytes that are new after a wave and stay: in bounded stores the newest records, in the interpreter its free lists."""
REMEMBERED = 50
"""Records that the tail keeps for its subscribers here, instead of thousands, and what other stores are cut down to."""

OURS = ("actors.", "adapters.", "core.", "eventstore.")
THEIRS = ("trio.", "quart.", "quart_trio.", "hypercorn.", "wsproto.", "h11.", "werkzeug.")
RUNNING = frozenset(f"builtins.{kind}" for kind in ("coroutine", "async_generator", "generator", "frame", "traceback"))
BOUNDED = {
    "trio.CancelScope": 2 * REMEMBERED,  # Trio's heap of deadlines
    "trio._core._run.CancelReason": 2 * REMEMBERED,
    "trio._core._thread_cache.WorkerThread": 40,
    "builtins.frame": 30,  # of the exception that ended a sleep just now
    "builtins.traceback": 30,
}
"""By type, how many more there may be that live on, since something bounded keeps them."""

T = TypeVar("T")


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a server does to its process is undone; and what is bounded is small, so that it is full at once."""
    monkeypatch.setattr("eventstore.subscription.KEPT", REMEMBERED)
    monkeypatch.setattr("trio._core._run.DEADLINE_HEAP_MIN_PRUNE_THRESHOLD", REMEMBERED)
    monkeypatch.setitem(cast("dict[str, int]", Recollection.__init__.__kwdefaults__), "most_kept", REMEMBERED)
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)
    tracemalloc.stop()


def all_of(kind: type[T]) -> list[T]:
    return [one for one in gc.get_objects() if type(one) is kind]


def census() -> Counter[str]:
    """How many objects there are of each type that the server is made of."""
    gc.collect()
    names = (f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return Counter(name for name in names if name.startswith((*OURS, *THEIRS)) or name in RUNNING)


def may_grow(name: str) -> int:
    """How many more of a type there may be after a wave. Less than one of each life, but for what is bounded."""
    if name.startswith("core."):  # the records that the tail keeps, and the board's rows
        return 2 * REMEMBERED + (CONVERSATIONS + 1) * LIVED
    return BOUNDED.get(name, LIVED - 1)


def tasks() -> Counter[str]:
    """The tasks there are, by their names."""
    found, root = Counter[str](), trio.lowlevel.current_root_task()
    nurseries = [] if root is None else list(root.child_nurseries)
    while nurseries:
        for task in nurseries.pop().child_tasks:
            found[task.name] += 1
            nurseries.extend(task.child_nurseries)
    return found


async def live(url: str, wave: str, count: int) -> None:
    """So many lives of each kind, AT_ONCE of them at a time."""
    client = httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_keepalive_connections=0))
    room = trio.CapacityLimiter(AT_ONCE)

    async def lead(life: Life, name: str) -> None:
        async with room:
            with trio.fail_after(PATIENCE):
                await life(Site(http), name)

    async with client as http, trio.open_nursery() as nursery:
        for n in range(count):
            for life in LIVES:
                nursery.start_soon(lead, life, f"{life.__name__}-{wave}-{n}")


async def over(idle: Counter[str]) -> None:
    """Wait until no task runs but those of an idle server. There is no event for that."""
    with trio.fail_after(PATIENCE):
        while tasks() != idle:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def test_of_what_is_over_nothing_runs_on_and_nothing_stays(tmp_path: Path, interpreter: None) -> None:
    env = {
        "CALLBOARD_BIND": "127.0.0.1:0", "CALLBOARD_STORE": f"sqlite:///{tmp_path / 'log.db'}",
        "CALLBOARD_PASSIVATE_AFTER": "0.3", "CALLBOARD_SESSION_MAX_AGE": "0.3", "CALLBOARD_SEEN_INTERVAL": "0.2",
    }  # fmt: skip
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(serve, from_environment(env, {}), shutdown)
        await trio.testing.wait_all_tasks_blocked(0.02)  # what runs at the start alone is done
        (system,), (sockets,), idle = all_of(System), all_of(Sockets), tasks()
        for wave, count in (("warm-up", 1), ("one", LIVED)):
            await live(url, wave, count)
            await over(idle)
        before = census()
        tracemalloc.start()
        await live(url, "two", LIVED)
        await over(idle)
        more, kept = census() - before, tracemalloc.get_traced_memory()[0]
        check_nobody_is_left(system, sockets)
        assert {name: count for name, count in more.items() if count > may_grow(name)} == {}
        assert kept < ROW * CONVERSATIONS * LIVED + SLACK
        shutdown.set()


def check_nobody_is_left(system: System, sockets: Sockets) -> None:
    now = system.statistics()
    assert (now.actors, now.letters, now.effects, now.topics, now.listeners, now.tail_lag) == (0, 0, 0, 0, 0, 0)
    assert len(sockets) == 0
    assert set(sockets.tally.open.values()) == {0}
    assert all_of(GuardedServer) == []
