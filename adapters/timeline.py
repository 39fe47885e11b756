"""A stream told as a timeline: when, who, what happened, what it changed. Pure: records in, rich renderables out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, json, to_builtins
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from core import conversation as c
from core.decider import AnyDecider, CommandRejected
from core.messages import Recorded

MOST_SHOWN = 160
"""Characters of one text that are shown; the log has the rest."""


class Row(Struct, frozen=True):
    """One line of the timeline. `versions` are those of the events it tells of."""

    versions: tuple[int, int]
    time: int
    who: str
    what: Text


def clock_time(time: int) -> str:
    return _moment(time, "%H:%M:%S.%f")[:-3]


def _moment(time: int, form: str) -> str:
    """A stored time; also where somebody stored one that no calendar has."""
    try:
        return datetime.fromtimestamp(time / 1e6, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return f"{time} µs ??"


def shorten(text: str) -> str:
    """One line of at most MOST_SHOWN characters, none of which a terminal would obey."""
    flat = "".join(character if character.isprintable() else "�" for character in " ".join(text.split()))
    return flat if len(flat) <= MOST_SHOWN else f"{flat[: MOST_SHOWN - 1]}…"


def log_line(record: Recorded, name: str) -> Text:
    """One event on one line, for `log tail` and `log show`."""
    stamp = record.stamp
    line = Text(f"{record.position:>7} ", "dim")
    line.append(_moment(stamp.time, "%Y-%m-%d ") + clock_time(stamp.time) + " ", "dim")
    line.append(record.id, "cyan").append(" ").append(name, "bold").append(" ")
    line.append(shorten(json.encode(record.event).decode()))
    line.append(f" · {stamp.principal}{' via ' + stamp.origin if stamp.origin else ''}", "dim")
    return line


def tell(records: Sequence[Recorded], decider: AnyDecider) -> Group:
    """The whole story of one stream."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("event", justify="right", style="dim", no_wrap=True)
    table.add_column("time", style="dim", no_wrap=True)
    table.add_column("after", justify="right", style="dim", no_wrap=True)
    table.add_column("who", no_wrap=True)
    table.add_column("what")
    before = records[0].stamp.time
    for row in rows(records):
        first, last = row.versions
        numbers = str(first) if first == last else f"{first}–{last}"
        who = Text(row.who, _COLOURS.get(row.who, "yellow"))
        table.add_row(numbers, clock_time(row.time), _elapsed(row.time - before), who, row.what)
        before = row.time
    return Group(_heading(records, decider), table)


def _heading(records: Sequence[Recorded], decider: AnyDecider) -> Text:
    seconds = (records[-1].stamp.time - records[0].stamp.time) / 1e6
    ended = decider.is_terminal(decider.fold(decider.initial, (record.event for record in records)))
    began = _moment(records[0].stamp.time, "%Y-%m-%d %H:%M:%S") + " UTC"
    line = Text(str(records[0].stream), "bold cyan")
    return line.append(f"  {began} · {len(records)} events in {seconds:.1f} s · {'over' if ended else 'open'}", "dim")


def _elapsed(microseconds: int) -> str:
    return f"+{microseconds / 1e6:.1f} s" if microseconds >= 1e6 else f"+{microseconds / 1e3:.0f} ms"


_COLOURS = {"assistant": "green", "user": "bold", "system": "dim"}


def rows(records: Sequence[Recorded]) -> Iterator[Row]:
    """The lines of the story: one an event; but the pieces of one streamed answer share one, and so do interims."""
    devices: dict[str, str] = {}
    at = 0
    while at < len(records):
        run = _run_length(records, at)
        first, last = records[at], records[at + run - 1]
        event = first.event
        if isinstance(event, c.ReplyPieceAdded):
            text = "".join(record.event.text for record in records[at : at + run])
            what = Text(f"… {shorten(text)}", "green").append(f"  ({run} piece{'s' * (run > 1)})", "dim")
        else:
            what = describe(last.event, devices)
            if run > 1:
                what.append(f"  ({run} versions)", "dim")
        yield Row((first.version, last.version), first.stamp.time, _who(first, devices), what)
        at += run


def _run_length(records: Sequence[Recorded], at: int) -> int:
    """How many events from here on are told together."""
    kind, end = type(records[at].event), at + 1
    if kind in (c.ReplyPieceAdded, c.InterimHeard):
        while end < len(records) and type(records[end].event) is kind:
            end += 1
    return end - at


def _who(record: Recorded, devices: dict[str, str]) -> str:
    event, stamp = record.event, record.stamp
    match event:
        case c.ReplyPieceAdded() | c.ReplyBegun() | c.MessageSaid(role=c.Role.ASSISTANT):
            return "assistant"
        case c.MessageSaid():
            return "user"
        case c.ClientLeft(reason="server_restarted"):
            return "system"
        case _ if stamp.principal == "system":
            return "system"
        case _:
            return _device(stamp.origin, devices) if stamp.origin else "api"


def _device(connection_id: str, devices: dict[str, str]) -> str:
    """Devices are numbered as they appear: connection ids say nothing to people."""
    return devices.setdefault(connection_id, f"device {len(devices) + 1}")


def describe(event: Any, devices: dict[str, str]) -> Text:
    """What happened, in words."""
    match event:
        case c.PhaseEntered(phase, left, metadata):
            line = Text(left.value, "dim").append(" → ").append(phase.value, "bold magenta")
            return line.append(f"  {json.encode(metadata).decode()}" if metadata else "", "dim")
        case c.MessageSaid(content=content):
            return Text(f"“{shorten(content)}”", "green" if event.role is c.Role.ASSISTANT else "bold")
        case c.FinalHeard(text):
            return Text(f"heard “{shorten(text)}”")
        case c.InterimHeard(text):
            return Text(f"hears “{shorten(text or '')}…”", "dim")
        case c.ReplyBegun(_, attempt, model):
            again = " again, from the start: the attempt before was cut off" if attempt > 1 else ""
            return Text(f"{model} begins to answer{again}", "yellow" if again else "dim")
        case c.ReplyFailed(_, reason):
            return Text(f"no answer: {reason}", "bold red")
        case c.ReplyInterrupted(_, text):
            return Text(f"interrupted after “{shorten(text)}”", "yellow")
        case c.ClientJoined(connection_id, count):
            return Text(f"{_device(connection_id, devices)} joins, {count} listening", "blue")
        case c.ClientLeft(connection_id, count, reason):
            return Text(f"{_device(connection_id, devices)} is gone ({reason}), {count} listening", "blue")
        case c.ConversationOpened(personality, session_type, topic):
            return Text(f"opened: {personality}, {session_type}{', about ' + topic if topic else ''}", "bold")
        case CommandRejected(code, message):
            return Text(f"refused ({code}): {message}", "red")
        case _:
            return Text(f"{type(event).__name__} ").append(shorten(json.encode(to_builtins(event)).decode()), "dim")
