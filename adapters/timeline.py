"""A stream told as a timeline: when, who, what happened, what it changed in the state. Pure: records in, texts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, json
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from adapters.differences import in_short
from adapters.telling import Devices, channels, describe, shorten
from core import call, conversation, session
from core.decider import AnyDecider
from core.messages import Recorded

__all__ = ["Row", "Teller", "clock_time", "heading", "line", "log_line", "shorten", "tell"]

PIECES = (conversation.ReplyPieceAdded, call.ResponsePieceAdded)
NOT_TOLD = {"message_count", "carried", "known", "connected_at", "created_at", "alone_since", "last_active"}
"""Fields of states that a timeline leaves out: counts of what it tells of, and times of what it says when it was."""


class Row(Struct, frozen=True):
    """One line of the timeline. `versions` are those of the events it tells of; `after`: µs since the row before."""

    versions: tuple[int, int]
    time: int
    after: int
    who: str
    what: Text
    changes: tuple[str, ...]


def clock_time(time: int) -> str:
    return _moment(time, "%H:%M:%S.%f")[:-3]


def _moment(time: int, form: str) -> str:
    """A stored time; also where somebody stored one that no calendar has."""
    try:
        return datetime.fromtimestamp(time / 1e6, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return f"{time} µs ??"


def log_line(record: Recorded, name: str) -> Text:
    """One event on one line, for `log tail` and `log show`."""
    stamp = record.stamp
    line = Text(f"{record.position:>7} ", "dim")
    line.append(_moment(stamp.time, "%Y-%m-%d ") + clock_time(stamp.time) + " ", "dim")
    line.append(record.id, "cyan").append(" ").append(name, "bold").append(" ")
    line.append(shorten(json.encode(record.event).decode()))
    line.append(f" · {stamp.principal}{' via ' + stamp.origin if stamp.origin else ''}", "dim")
    return line


def tell(records: Sequence[Recorded], decider: AnyDecider, *, states: bool = True) -> Group:
    """The whole story of one stream; with `states`, what each event changed beside what it says."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("event", "time", "after"):
        table.add_column(name, style="dim", no_wrap=True, justify="left" if name == "time" else "right")
    table.add_column("who", no_wrap=True)
    table.add_column("what", ratio=3, overflow="fold")
    if states:
        table.add_column("state", style="dim", ratio=2, overflow="fold")
    for row in Teller(decider).rows(records):
        changes = [Text("; ".join(row.changes))] if states else []
        table.add_row(_numbers(row), clock_time(row.time), _elapsed(row.after), _named(row.who), row.what, *changes)
    return Group(heading(records, decider), table)


def heading(records: Sequence[Recorded], decider: AnyDecider) -> Text:
    seconds = (records[-1].stamp.time - records[0].stamp.time) / 1e6
    ended = decider.is_terminal(decider.fold(decider.initial, (record.event for record in records)))
    began = _moment(records[0].stamp.time, "%Y-%m-%d %H:%M:%S") + " UTC"
    line = Text(str(records[0].stream), "bold cyan")
    return line.append(f"  {began} · {len(records)} events in {seconds:.1f} s · {'over' if ended else 'open'}", "dim")


def line(row: Row) -> Text:
    """A row by itself, where the others have not happened yet."""
    text = Text(f"{_numbers(row):>9}  {clock_time(row.time)}  {_elapsed(row.after):>9}  ", "dim")
    text.append_text(_named(row.who)).append(" " * max(1, 12 - len(row.who))).append_text(row.what)
    return text.append(f"   {'; '.join(row.changes)}" if row.changes else "", "dim")


def _numbers(row: Row) -> str:
    first, last = row.versions
    return str(first) if first == last else f"{first}–{last}"


def _elapsed(microseconds: int) -> str:
    return f"+{microseconds / 1e6:.1f} s" if abs(microseconds) >= 1e6 else f"{microseconds / 1e3:+.0f} ms"


_COLOURS = {"assistant": "green", "user": "bold", "system": "dim", "caller": "bold"}


def _named(who: str) -> Text:
    return Text(who, _COLOURS.get(who, "yellow"))


class Teller:
    """Tells a stream from its begin, as it goes on."""

    def __init__(self, decider: AnyDecider) -> None:
        self._decider, self._state = decider, decider.initial
        self._devices = Devices()
        self._before: int | None = None

    def rows(self, records: Sequence[Recorded]) -> Iterator[Row]:
        """One an event; but the pieces of one streamed answer share one, and so does what only goes on."""
        at = 0
        while at < len(records):
            run = _run_length(records, at)
            yield self.row(records[at : at + run])
            at += run

    def row(self, run: Sequence[Recorded]) -> Row:
        first, last = run[0], run[-1]
        state, self._state = self._state, self._decider.fold(self._state, (record.event for record in run))
        after = 0 if self._before is None else first.stamp.time - self._before
        self._before = first.stamp.time
        who, what = self._who(first), self._what([record.event for record in run])
        return Row(
            (first.version, last.version), first.stamp.time, after, who, what, _changes(first.event, state, self._state)
        )

    def _what(self, run: Sequence[Any]) -> Text:
        if isinstance(run[0], PIECES):
            text = "".join(event.text for event in run)
            return Text(f"… {shorten(text)}", "green").append(f"  ({len(run)} pieces)" if len(run) > 1 else "", "dim")
        if len(run) > 1 and isinstance(run[0], session.MediaReceived):
            size = sum(event.media.size for event in run)
            return Text(f"{run[0].kind.value}, {size:,} bytes").append(f"  ({len(run)} clips)", "dim")
        what = describe(run[-1], self._devices)
        return what.append(f"  ({len(run)} versions)", "dim") if len(run) > 1 else what

    def _who(self, record: Recorded) -> str:
        """Who did it: for what comes of an effect, in whose name the system did it."""
        event, stamp = record.event, record.stamp
        if isinstance(event, _ASSISTANTS) or (
            isinstance(event, conversation.MessageSaid) and event.role is conversation.Role.ASSISTANT
        ):
            return "assistant"
        if getattr(event, "reason", None) == "server_restarted" or stamp.principal == "system":
            return "system"
        if isinstance(event, conversation.MessageSaid) and not stamp.origin:
            return "user"
        who = self._devices.name(stamp.origin) if stamp.origin else "api"
        return who if stamp.principal == "anonymous" else f"{shorten(stamp.principal, 24)}, {who}"


_ASSISTANTS = (
    conversation.ReplyPieceAdded, conversation.ReplyBegun, conversation.ReplyToolBegun,
    call.ResponsePieceAdded, call.ResponseBegun, call.ResponseCompleted, call.ResponsePaused, call.ToolRequested,
    call.GreetingGiven, call.CallerInterrupted,
)  # fmt: skip


def _changes(event: Any, before: Any, after: Any) -> tuple[str, ...]:
    """What the event itself does not say."""
    said = {"phase"} if isinstance(event, conversation.PhaseEntered) else set[str]()
    return tuple(change for change in in_short(before, after) if change.split(" ")[0] not in NOT_TOLD | said)


def _run_length(records: Sequence[Recorded], at: int) -> int:
    """How many events from here on are told together."""
    end = at + 1
    while end < len(records) and _goes_on(records[end - 1].event, records[end].event):
        end += 1
    return end - at


def _goes_on(event: Any, following: Any) -> bool:
    """Whether what follows is more of the same."""
    if type(event) is not type(following):
        return False
    match event:
        case conversation.ReplyPieceAdded() | conversation.InterimHeard():
            return True
        case call.ResponsePieceAdded(number, attempt):
            return bool((number, attempt) == (following.response_id, following.attempt))
        case session.MediaReceived(kind):
            return bool(kind is following.kind)
        case _:
            return channels.goes_on(event, following)
