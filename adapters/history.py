"""What the command line can tell of a log: tail, show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import trio
from rich.console import Console

from adapters import timeline
from adapters.opening import DECIDERS, open_history
from adapters.records import json_line
from adapters.setting_values import StoreAddress
from core.decider import AnyDecider
from core.identifiers import Category, StreamName
from core.messages import Recorded
from eventstore.codec import events
from eventstore.sqlite import SQLiteStore

PAGE = 2000
"""Events read at a time."""
POLL = 0.25
"""Seconds between two looks at a log that somebody else writes."""


class NoSuchHistory(LookupError):
    """The log has no such stream, or the stream no such version."""


def stream_named(text: str) -> StreamName:
    """The stream meant; an id alone means a conversation. Raises MalformedStreamName."""
    if re.match(rf"({'|'.join(Category)})-", text):
        return StreamName.parse(text)
    return StreamName.of(Category.CONVERSATION, text)


def _printer(out: Console, as_json: bool) -> Callable[[Iterable[Recorded]], None]:
    def print_json(records: Iterable[Recorded]) -> None:
        for record in records:
            out.out(json_line(record).decode(), highlight=False)

    def print_lines(records: Iterable[Recorded]) -> None:
        for record in records:
            out.print(timeline.log_line(record, events.name_of(type(record.event))))

    return print_json if as_json else print_lines


async def tail(address: StoreAddress, last: int, out: Console, *, follow: bool, as_json: bool) -> None:
    """The last events, and with `follow` those to come, for ever."""
    show = _printer(out, as_json)
    async with open_history(address) as store:
        position = max(0, store.head - last)
        while records := await store.read_all(after=position, limit=PAGE):
            show(records)
            position = records[-1].position
        if follow:
            await follow_log(store, position, show)


async def follow_log(store: SQLiteStore, position: int, show: Callable[[Iterable[Recorded]], None]) -> None:
    """Show what comes behind a position, for ever, also by the doing of another process."""

    async def look() -> None:
        while True:
            await store.poll()
            await trio.sleep(POLL)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        async for batch in store.subscribe(after=position):
            show(batch)


def no_stream(stream: StreamName) -> NoSuchHistory:
    """What to raise for a stream that is not in the log."""
    return NoSuchHistory(f"the log has no stream {stream}; `callboard log tail` shows which there are")


async def _read(store: SQLiteStore, stream: StreamName) -> list[Recorded]:
    records = await store.read_stream(stream)
    if not records:
        raise no_stream(stream)
    return records


async def show(address: StoreAddress, name: str, out: Console, *, as_json: bool) -> None:
    stream = stream_named(name)
    async with open_history(address) as store:
        _printer(out, as_json)(await _read(store, stream))


def decider_of(stream: StreamName) -> AnyDecider:
    return DECIDERS[stream.category]
