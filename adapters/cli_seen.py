"""`callboard seen`: what a device had seen at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import trio
import typer
from msgspec import json
from rich.text import Text

from adapters.cli_options import DEFAULT_STORE, AsJSON, Store, address, err, out
from adapters.setting_values import StoreAddress

if TYPE_CHECKING:
    from adapters.seen import SeenBy, SeenStream

Connection = Annotated[
    str | None,
    typer.Argument(help="A connection, as `callboard log show` names it: 7db2ae5f231e.1", show_default=False),
]
Named = Annotated[
    str | None,
    typer.Option("--stream", help="All who heard this one; an id alone means a conversation", show_default=False),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at", help="Then: 2026-11-21T14:03:07, in UTC where it says nothing else; today's 14:03:07; or µs since 1970",
        show_default=False, metavar="TIME",
    ),
]  # fmt: skip


def seen(
    connection: Connection = None, stream: Named = None, at: At = None, store: Store = DEFAULT_STORE,
    as_json: AsJSON = False,
) -> None:  # fmt: skip
    """Tell what a device had seen at a time: received for certain, handed to its connection, and at most.

    Without --at: by now. The server notes how far clients have come every CALLBOARD_SEEN_INTERVAL seconds; for a time
    in between there are bounds.
    """
    if (connection is None) is (stream is None):
        raise typer.BadParameter("write a CONNECTION, or --stream STREAM")
    trio.run(partial(_tell, address(store), connection, stream, at, as_json=as_json))


async def _tell(
    store: StoreAddress, connection: str | None, named: str | None, at: str | None, *, as_json: bool
) -> None:
    from adapters import audit_desk, history, opening  # so that other commands start quickly
    from adapters.auditing import access
    from adapters.seen import runs_of, seen_by, seen_of
    from eventstore.audit import AuditLog, Filters

    time = None if at is None else _microseconds(at)
    async with opening.open_history(store) as log:
        file = AuditLog(store.path or Path(), log.opener)  # in memory: refused above
        try:
            if connection is not None:
                one = await seen_by(log, connection, time)
                found = [] if one is None else [one]
            else:
                found = await seen_of(log, runs_of(file), history.stream_named(named or ""), time or _now())
        finally:
            file.close()
        head = log.head
    asked = {"at": time} if time is not None else {}
    filters = Filters(origin=connection, stream=named)
    await audit_desk.recorded(store, access("seen", filters, len(found), head, **asked), err.print)
    if not found:
        raise history.NoSuchHistory(_nothing(connection, named))
    for each in found:
        if as_json:
            out.out(json.encode(each).decode(), highlight=False)
        else:
            out.print(_told(each))


def _nothing(connection: str | None, named: str | None) -> str:
    if connection is not None:
        return f"the log has no note of a connection {connection[:80]!r} by then; --stream STREAM tells who was there"
    return f"nobody is known to have heard {named} then; `callboard replay` tells who came and went"


def _microseconds(text: str) -> int:
    from adapters.auditing import time_asked

    is_clock = ":" in text[:3] and "-" not in text[:3]
    return time_asked(f"{datetime.now(UTC):%Y-%m-%d}T{text}" if is_clock else text)


def _now() -> int:
    return round(datetime.now(UTC).timestamp() * 1e6)


def _told(each: SeenBy) -> Text:
    """One connection, in some lines."""
    text = Text(each.connection, "bold cyan")
    came = f"  {each.principal or 'somebody'}, {each.dialect or 'by a dialect not noted'}"
    came += f", came {each.opened}" if each.opened else ", whose coming was not noted"
    came += f" back with since={each.since}" if each.since is not None else ""
    text.append(came, "default")
    if each.closed is not None:
        text.append(f"\n  ended       {each.closed}, code {each.code}", "yellow")
    for stream in each.streams:
        text.append_text(_of_stream(stream))
    at_most = "not known" if each.at_most is None else f"{each.at_most:,}"
    bounds = f"received up to {each.acknowledged:,}, written up to {each.written:,}, at most {at_most}"
    text.append(f"\n  in the log  {bounds}", "dim")
    return text.append(f"\n  looked at   {_looks(each)}", "dim")


def _of_stream(stream: SeenStream) -> Text:
    bounds = f"received up to {stream.acknowledged}, written up to {stream.written}"
    bounds += "" if stream.at_most == stream.written else f", at most {stream.at_most}"
    device = f" as {stream.device}" if stream.device else ""
    return Text(f"\n  {stream.stream}{device}: ", "bold").append(bounds, "default")


def _looks(each: SeenBy) -> str:
    if each.noted_from is None:
        return f"first at {each.noted_until}" if each.noted_until else "never: no note was written"
    if each.at is None:
        return f"last at {each.noted_from}"
    return f"at {each.noted_from}, then {f'at {each.noted_until}' if each.noted_until else 'no more'}"
