"""`callboard replay`: what happened in a stream, what its state was, what its clients were sent."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qsl

import trio
import typer

from adapters.cli_options import DEFAULT_STORE, AsJSON, Store, Stream, address, out
from adapters.moments import moment
from adapters.setting_values import Unusable

EVERY_STREAM = "all"
"""In place of a stream, for what is heard across them."""


def _moment(text: str) -> Any:
    try:
        return moment(text)
    except Unusable as reason:
        raise typer.BadParameter(str(reason)) from None


def _option(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, show_default=False, **more)


At = Annotated[Any, _option("--at", help="The state then, as JSON", parser=_moment, metavar="N|TIME")]
Diff = Annotated[
    tuple[str, str] | None,
    _option("--diff", help="What changed in the state from one moment to the other", metavar="N|TIME N|TIME"),
]
Frames = Annotated[str | None, _option("--frames", help="What its clients were sent, byte for byte", metavar="DIALECT")]
Query = Annotated[str, _option("--query", help="With --frames: what those clients asked for, e.g. deltas=true")]
One = Annotated[str | None, _option("--client", help="With --frames: what this one was sent", metavar="CONNECTION")]
Since = Annotated[int | None, _option("--since", help="With --client: the version it came back with", min=0)]
Topic = Annotated[
    str | None, _option("--topic", help=f"With --frames: what is heard across streams, e.g. chat of {EVERY_STREAM}")
]
Raw = Annotated[bool, _option("--raw", help="With --frames: the bare bytes, a frame a line")]
Speed = Annotated[
    float | None, _option("--speed", help="So many times as fast as it was; 1: as it was", min=0.001, metavar="X")
]
Follow = Annotated[bool, _option("--follow", "-f", help="Go on as the log grows, until Ctrl-C")]


def replay(
    stream: Stream, store: Store = DEFAULT_STORE, at: At = None, diff: Diff = None, frames: Frames = None,
    query: Query = "", client: One = None, since: Since = None, topic: Topic = None, raw: Raw = False,
    speed: Speed = None, follow: Follow = False, as_json: AsJSON = False,
) -> None:  # fmt: skip
    """Tell what happened in a stream, and what each event changed; or its state then; or what its clients were sent.

    A moment is a version (12), a time (2026-11-21T14:03:07, or 14:03:07 on the stream's first day; UTC where it says
    nothing else) or so long after the stream's begin (+2.5s).
    """
    from adapters import cli_playing as playing  # only this command needs it

    if sum(way is not None for way in (at, diff, frames)) > 1:
        raise typer.BadParameter("one of --at, --diff and --frames at a time")
    if frames is None and (query or client or topic or raw or since is not None):
        raise typer.BadParameter("--query, --client, --since, --topic and --raw go with --frames DIALECT")
    if since is not None and client is None:
        raise typer.BadParameter("--since goes with --client CONNECTION")
    place, wanted = address(store), playing.Wanted(speed, follow, as_json)
    if at is not None:
        trio.run(partial(playing.show_state, place, stream, at, out))
    elif diff is not None:
        trio.run(partial(playing.show_changes, place, stream, (_moment(diff[0]), _moment(diff[1])), out, wanted))
    elif frames is not None:
        asked = playing.Asked(frames, dict(parse_qsl(query)), client, since, topic, raw)
        trio.run(partial(playing.show_frames, place, stream, asked, out, wanted))
    else:
        trio.run(partial(playing.show_story, place, stream, out, wanted))
