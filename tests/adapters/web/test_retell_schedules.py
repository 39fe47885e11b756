"""Calls at random on virtual time: whatever happens when, the law of the newest answer holds.

The log takes its time, before it is durable and before anybody hears of it; so most schedules have an answer that was
recorded when a newer one is asked for, and is still on its way.
"""

from __future__ import annotations

import math
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from actors.effects import Tell
from adapters.gateways.call_tools import Tool
from core.call import GreetingGiven
from core.identifiers import Category, StreamName
from core.messages import Decision, Recorded
from core.ports import ModelFailure, Piece, Prompt, Subscription, ToolCall, ToolSpec
from eventstore.memory import MemoryStore
from eventstore.subscription import LogSubscription
from tests.adapters.lines import Exchange, Line, exchange

SCHEDULES = int(os.environ.get("CALLBOARD_SCHEDULES", "2000" if os.environ.get("CI") == "true" else "500"))
KILLED = 5
AT_ONCE = 100
"""Calls of one server, each a schedule of its own."""
KINDS = ("response_required", "response_required", "reminder_required")


class SlowSubscription:
    def __init__(self, inner: Subscription, rng: random.Random) -> None:
        self._inner, self._rng = inner, rng

    @property
    def position(self) -> int:
        return self._inner.position

    async def __aiter__(self) -> AsyncIterator[Sequence[Recorded]]:
        async for records in self._inner:
            await trio.sleep(self._rng.choice((0.0, 0.001, 0.01)))
            yield records


class SlowStore(MemoryStore):
    """Takes up to 10 ms for an append, and up to 10 more to show it. While it is `dead` nothing comes of an append."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng, self.dead = rng, False

    async def append(
        self, stream: StreamName, decisions: Sequence[Decision], *, expected_version: int
    ) -> tuple[Recorded, ...]:
        await self._take_time()
        records = await super().append(stream, decisions, expected_version=expected_version)
        await self._take_time()
        return records

    async def _take_time(self) -> None:
        await trio.sleep(self._rng.choice((0.0, 0.001, 0.01)))
        if self.dead:
            await trio.sleep_forever()

    def subscribe(self, *, after: int = 0) -> LogSubscription:
        return cast(LogSubscription, SlowSubscription(super().subscribe(after=after), self._rng))


class Moody:
    """A model that talks, stops, fails and calls tools as it likes."""

    name = "moody"

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._calls = rng, 0

    def draft(self, prompt: Prompt) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        return self._drafted()

    @asynccontextmanager
    async def _drafted(self) -> AsyncIterator[AsyncIterator[Piece]]:
        yield self._pieces()

    async def _pieces(self) -> AsyncIterator[Piece]:
        for _ in range(self._rng.randrange(5)):
            await trio.sleep(self._rng.choice((0.0, 0.005, 0.03, 0.06)))
            yield "word "
        match self._rng.randrange(8):
            case 0:
                raise ModelFailure("moody")
            case 1:
                await trio.sleep(math.inf)
            case 2 | 3:
                self._calls += 1
                yield ToolCall(f"t{self._calls}", "count", f'{{"number": {self._calls}}}')
            case _:
                yield "end."


class Counting:
    """A tool that counts its runs by their calls."""

    def __init__(self, rng: random.Random) -> None:
        self.runs: Counter[int] = Counter()
        self._rng = rng
        self.tool = Tool(ToolSpec("count", "Counts.", {"type": "object"}), self.run)

    async def run(self, arguments: Mapping[str, Any], tell: Tell) -> str:
        self.runs[arguments["number"]] += 1
        await trio.sleep(self._rng.choice((0.0, 0.01, 0.1)))
        return "counted"


async def talk(server: Exchange, call_id: str, rng: random.Random, lines: list[Line]) -> None:
    """One caller: asks, interrupts itself, says the same again, pings, hangs up and comes back."""
    line, asked = server.dial(call_id), 0
    lines.append(line)
    for _ in range(rng.randrange(4, 12)):
        await trio.sleep(rng.choice((0.0, 0.001, 0.005, 0.02, 0.05, 0.2, 2.0)))
        match rng.randrange(12):
            case 0:
                line.send("call_details", call={"call_id": call_id})
            case 1:
                line.send("ping_pong", timestamp=rng.randrange(10**12))
            case 2:
                line.send("update_only", transcript=[{"role": "user", "content": "Hm" * rng.randrange(3)}])
            case 3:
                line.require(max(1, asked - rng.randrange(2)), "Again.")
            case 4:
                if rng.random() < 0.5:
                    line.leave()
                line = server.dial(call_id)
                lines.append(line)
                line.require(max(1, asked), "Again.")
            case _:
                asked += rng.choice((1, 1, 2))
                line.require(asked, "Next.", kind=rng.choice(KINDS))
    await trio.sleep(20)


def newest_only(line: Line) -> None:
    """The law, on one line: what it got, in the order of what it had sent until then."""
    newest, complete = -1, set[int]()
    assert line.story[0] == ("<", {"response_type": "config", "config": {"auto_reconnect": True, "call_details": True}})
    for n, (mark, frame) in enumerate(line.story):
        if mark == ">" and "response_id" in frame:
            newest = max(newest, frame["response_id"])
        elif mark == ">" and frame["interaction_type"] == "ping_pong":
            assert line.story[n + 1] == ("<", {"response_type": "ping_pong", "timestamp": frame["timestamp"]})
        elif mark == "<" and frame["response_type"] == "response":
            assert frame["response_id"] >= newest, "a stale frame left"
            assert frame["response_id"] not in complete, "an answer went on behind its end"
            if frame["content_complete"]:
                complete.add(frame["response_id"])


def all_answered(line: Line, last_of_call: bool) -> None:
    """The last thing that was asked has its end, unless the line went before."""
    asked = [frame["response_id"] for mark, frame in line.story if mark == ">" and "response_id" in frame]
    if asked and last_of_call and line.code is None:
        first_time = max(asked)
        assert line.answered(first_time) is not None or _was_answered_before(line, first_time)


def _was_answered_before(line: Line, response_id: int) -> bool:
    """On an earlier socket: asked again on this one, it is old."""
    return line.story[1][0] == ">" and line.story[1][1].get("response_id") == response_id


async def schedules(seed: int) -> None:
    rng = random.Random(seed)
    store, counting = SlowStore(rng), Counting(rng)
    calls: dict[str, list[Line]] = {f"c{n}": [] for n in range(AT_ONCE)}
    async with (
        exchange(store, Moody(rng), [counting.tool], response_timeout=5.0) as server,
        trio.open_nursery() as nursery,
    ):
        for call_id, lines in calls.items():
            nursery.start_soon(partial(talk, server, call_id, random.Random(f"{seed} {call_id}"), lines))
    for lines in calls.values():
        for line in lines:
            newest_only(line)
            all_answered(line, line is lines[-1])
        assert sum(len(line.answers(0)) for line in lines) <= 1
        assert all(line.code in {1006, 4409} for line in lines[:-1])
    assert set(counting.runs.values()) == {1}


@pytest.mark.parametrize("seed", range(SCHEDULES // AT_ONCE))
async def test_behind_a_newer_question_not_one_older_frame_leaves(seed: int, autojump_clock: MockClock) -> None:
    await schedules(seed)


async def run_and_kill(store: SlowStore, model: Moody, counting: Counting, seed: str) -> list[Line]:
    """A server that is killed somewhere in its callers' talk: whatever was not durable then never is."""
    lines, rng = list[Line](), random.Random(seed)
    store.dead = False
    with trio.CancelScope() as kill:
        async with (
            exchange(store, model, [counting.tool], response_timeout=5.0) as server,
            trio.open_nursery() as nursery,
        ):
            for n in range(20):
                nursery.start_soon(partial(talk, server, f"c{n}", random.Random(f"{seed} {n}"), lines))
            await trio.sleep(rng.uniform(0.0, 3.0))
            store.dead = True
            kill.cancel()
    return lines


@pytest.mark.parametrize("seed", range(KILLED))
async def test_over_kills_a_tool_never_runs_twice_and_nobody_is_greeted_twice(
    seed: int, autojump_clock: MockClock
) -> None:
    rng = random.Random(seed)
    store, model, counting, lines = SlowStore(rng), Moody(rng), Counting(rng), list[Line]()
    for life in range(4):
        lines += await run_and_kill(store, model, counting, f"{seed} {life}")
    for line in lines:
        newest_only(line)
    assert max(counting.runs.values(), default=1) == 1
    for n in range(20):
        stream = StreamName.of(Category.CALL, f"c{n}")
        events = Counter(type(event) for event in await store.read_events(stream))
        assert events[GreetingGiven] <= 1
