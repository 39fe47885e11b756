"""What `callboard replay` shows: a story, a state, what changed between two, frames."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, assert_never

from msgspec import UNSET, Struct, json
from rich.console import Console
from rich.text import Text

from adapters import timeline
from adapters.asking_why import opened_audit_log
from adapters.cli_replay import EVERY_STREAM
from adapters.differences import Change
from adapters.history import NoSuchHistory, decider_of, stream_named
from adapters.moments import Moment
from adapters.opening import open_history
from adapters.playback import (
    Pace,
    StateThen,
    Take,
    changes_between,
    follow,
    play,
    play_log,
    refused_commands,
    state_at,
    whole,
)  # fmt: skip
from adapters.records import as_object, iso
from adapters.replaying import Audience, Client, Ended, Sent, Shown, WideAudience, forked_at, hears_others, spoken
from adapters.setting_values import StoreAddress
from adapters.telling.words import shorten
from core.dialect import Reach
from core.identifiers import StreamName
from core.messages import Recorded
from eventstore.sqlite import SQLiteStore


class Wanted(Struct, frozen=True):
    """How it is shown."""

    speed: float | None = None
    follow: bool = False
    as_json: bool = False


class Asked(Struct, frozen=True):
    """Whose frames are wanted. `query` is of their handshakes."""

    dialect: str
    query: Mapping[str, str] = {}
    client: str | None = None
    since: int | None = None
    topic: str | None = None
    raw: bool = False


# --- the story ------------------------------------------------------------------------------------------------------


async def show_story(address: StoreAddress, name: str, out: Console, wanted: Wanted) -> None:
    """As a table, or line by line where it takes its time."""
    stream = stream_named(name)
    decider = decider_of(stream)
    async with open_history(address) as store:
        head, records = store.head, await whole(store, stream)
        if wanted == Wanted():
            out.print(timeline.tell(records, decider))
            return
        if not wanted.as_json:
            out.print(timeline.heading(records, decider))
        teller = timeline.Teller(decider)

        def tell(record: Recorded) -> None:
            row = teller.row((record,))
            if wanted.as_json:
                _print_json(out, {**as_object(record), "what": row.what.plain, "changes": row.changes})
            else:
                out.print(timeline.line(row))

        await play(records, tell, Pace(wanted.speed))
        if wanted.follow:
            await follow(store, head, _only(stream, records[-1].version, tell))


def _only(stream: StreamName, version: int, take: Take) -> Take:
    """Of all records those of this stream above this version."""

    def take_ours(record: Recorded) -> None:
        if record.stream == stream and record.version > version:
            take(record)

    return take_ours


# --- states ---------------------------------------------------------------------------------------------------------


async def show_state(address: StoreAddress, name: str, moment: Moment, out: Console) -> None:
    """The state at a moment, as JSON."""
    stream = stream_named(name)
    async with open_history(address) as store:
        then = state_at(await whole(store, stream), moment)
    body = {
        "stream": str(stream),
        "version": then.version,
        "time": None if then.time is None else iso(then.time),
        "state": then.state,
    }
    out.out(json.format(json.encode(body), indent=2).decode(), highlight=False)


async def show_changes(
    address: StoreAddress, name: str, moments: tuple[Moment, Moment], out: Console, wanted: Wanted
) -> None:
    """What changed between two moments: `path: old → new`, or all of it as one JSON object."""
    stream = stream_named(name)
    async with open_history(address) as store:
        records = await whole(store, stream)
    before, after = (state_at(records, moment) for moment in moments)
    changes = changes_between(before, after)
    if wanted.as_json:
        _print_json(out, {"stream": str(stream), "from": before.version, "to": after.version, "changes": changes})
        return
    out.print(Text(str(stream), "bold cyan").append(f"  from {_when(before)} to {_when(after)}", "dim"))
    for change in changes:
        out.print(_told(change))
    if not changes:
        out.print(Text("nothing changed", "dim"))


def _when(then: StateThen) -> str:
    return f"version {then.version}" + ("" if then.time is None else f" ({timeline.clock_time(then.time)})")


def _told(change: Change) -> Text:
    line = Text(shorten(change.path), "bold").append(": ")
    if change.old is UNSET:
        return line.append(f"+ {_value(change.new)}", "green")
    if change.new is UNSET:
        return line.append(f"– {_value(change.old)}", "red")
    return line.append(_value(change.old), "red").append(" → ").append(_value(change.new), "green")


def _value(value: Any) -> str:
    return shorten(json.encode(value).decode())


# --- frames ---------------------------------------------------------------------------------------------------------


async def show_frames(address: StoreAddress, name: str, asked: Asked, out: Console, wanted: Wanted) -> None:
    """What was sent, frame by frame."""
    async with open_history(address) as store:
        query = asked.query if asked.since is None else {"since": f"{asked.since}", "epoch": store.epoch, **asked.query}
        dialect, page = spoken(asked.dialect, query), Page(out, asked, wanted)
        if asked.topic is not None:
            stream = None if name == EVERY_STREAM else stream_named(name)
            wide = WideAudience(asked.topic, dialect, stream)
            await _play_topic(store, stream, lambda record: page.show(wide.take(record), record), wanted)
        else:
            stream = stream_named(name)
            async with opened_audit_log(address, store) as log:
                refused = await refused_commands(log, stream)
            begin = partial(Audience, stream, decider_of(stream), dialect, store.epoch, refused)
            await _play_stream(store, stream, begin, page, wanted)
    page.finish()


async def _play_topic(store: SQLiteStore, stream: StreamName | None, take: Take, wanted: Wanted) -> None:
    head, pace = store.head, Pace(wanted.speed)
    if stream is None:
        head = await play_log(store, 0, take, pace)
    else:
        records = await whole(store, stream)
        await play(records, take, pace)
        take = _only(stream, records[-1].version, take)
    if wanted.follow:
        await follow(store, head, take)


async def _play_stream(
    store: SQLiteStore, stream: StreamName, begin: Callable[[], Audience], page: Page, wanted: Wanted
) -> None:
    """The stream's own records; all of the log's where its clients hear what happens elsewhere too."""
    head, records, pace = store.head, await whole(store, stream), Pace(wanted.speed)
    if page.asked.client is not None:
        page.client = Client(page.asked.client, stream, page.asked.since, records)
    audience, rehearsal, own = begin(), begin(), forked_at(records)

    def take(record: Recorded) -> None:
        if record.stream != stream or record.version > audience.version:
            shown = list(audience.take(record))
            page.show(shown if record.stream != stream or record.version > own else (), record)

    if hears_others(rehearsal, records):
        head = await play_log(store, records[0].position - 1, take, pace)
    else:
        await play(records, take, pace)
    if wanted.follow:
        await follow(store, head, take)


class Page:
    """Prints what was sent."""

    def __init__(self, out: Console, asked: Asked, wanted: Wanted) -> None:
        self._out, self.asked, self._wanted = out, asked, wanted
        self.client: Client | None = None
        self._printed = 0

    def show(self, all_shown: Iterable[Shown], record: Recorded) -> None:
        """What was sent of one record."""
        for shown in all_shown:
            if self.client is None or self.client.hears(shown):
                self._printed += 1
                self._print(shown)
        if self.client is not None:
            self.client.note(record)

    def finish(self) -> None:
        """Raises NoSuchHistory where there was nothing to show."""
        if self.client is not None and not self.client.has_been:
            raise NoSuchHistory(
                f"no client {self.asked.client} joined; the origins in `callboard log show` are such ids"
            )
        if not self._printed:
            raise NoSuchHistory(f"no client of the dialect {self.asked.dialect} was sent anything of this")

    def _print(self, shown: Shown) -> None:
        match shown:
            case Sent(body=body) if self.asked.raw:
                sys.stdout.buffer.write(body + b"\n")
                sys.stdout.buffer.flush()
            case Sent() if self._wanted.as_json:
                _print_json(self._out, _as_object(shown))
            case Sent():
                self._out.print(self._line(shown, shown.to).append(_printable(shown.body.decode())))
            case Ended(close=close) if not (self.asked.raw or self._wanted.as_json):
                said = f"closed with {close.code} {shorten(close.reason)}"
                self._out.print(self._line(shown, close.to).append(said, "yellow"))

    def _line(self, shown: Shown, to: Reach) -> Text:
        record = shown.record
        line = Text(f"{record.version:>6} {timeline.clock_time(record.stamp.time)} ", "dim")
        return line if self.client is not None else line.append(f"{_whom(to, record.stamp.origin)} ", "blue")


def _whom(to: Reach, origin: str) -> str:
    match to:
        case Reach.EVERYONE:
            return "→ all"
        case Reach.ORIGIN:
            return f"→ {shorten(origin) or 'nobody'}"
        case Reach.OTHERS:
            return f"→ all but {shorten(origin)}" if origin else "→ all"
        case _:
            assert_never(to)


def _as_object(sent: Sent) -> dict[str, Any]:
    record = sent.record
    place = {"stream": str(record.stream), "version": record.version, "position": record.position}
    whom = {"to": sent.to.value, "origin": record.stamp.origin}
    return {**place, "time": iso(record.stamp.time), **whom, "frame": sent.body.decode()}


def _printable(text: str) -> str:
    """Nothing that a terminal would obey; the bytes are to be had with --raw."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _print_json(out: Console, value: Any) -> None:
    out.out(json.encode(value).decode(), highlight=False)
