"""`callboard fork` and `callboard compare`: a past goes on otherwise, and what came of it beside what was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import trio
import typer
from msgspec import json
from rich.text import Text

from adapters.cli_options import DEFAULT_STORE, AsJSON, Store, Stream, address, out
from adapters.config import from_environment
from adapters.posting import Refusal, Unanswered, post
from adapters.setting_values import StoreAddress, Unusable
from core.ports import StoreUnavailable

if TYPE_CHECKING:
    from core.identifiers import StreamName

PATIENCE = 150.0
"""Seconds a server may take for one thing that is said again, with its answer."""
PRINCIPAL = "command line"

At = Annotated[
    int | None, typer.Option(min=1, help="The version to go on from; the newest by default", show_default=False)
]
Name = Annotated[
    str | None, typer.Option("--as", metavar="ID", help="The fork's id; a new one by default", show_default=False)
]
Model = Annotated[str | None, typer.Option(help="Another language model", show_default=False)]
PromptText = Annotated[
    str | None, typer.Option("--prompt", help="What the model is told beside what was said", show_default=False)
]
Personality = Annotated[str | None, typer.Option(help="Another personality, in a conversation", show_default=False)]
Topic = Annotated[str | None, typer.Option(help="Another topic, in a conversation", show_default=False)]
GoOn = Annotated[
    bool, typer.Option("--continue", help="Say to the fork what was said in the source then, and wait for the answers")
]
Server = Annotated[
    str | None, typer.Option(help="The server that holds the log; else the file itself", show_default=False)
]
Token = Annotated[
    str | None, typer.Option(envvar="CALLBOARD_TOKEN", help="Of an operator, for --server", show_default=False)
]


def fork(
    stream: Stream, at: At = None, name: Name = None, model: Model = None, prompt: PromptText = None,
    personality: Personality = None, topic: Topic = None, go_on: GoOn = False, server: Server = None,
    token: Token = None, store: Store = DEFAULT_STORE,
) -> None:  # fmt: skip
    """Continue a conversation's or call's past as a new stream, perhaps with another model or prompt."""
    from adapters.history import stream_named

    source = stream_named(stream)
    body = {"at": at, "as": name, "model": model, "prompt": prompt, "personality": personality, "topic": topic}
    if server is None:
        trio.run(partial(_fork_in_file, address(store), source, body, go_on=go_on))
    else:
        with _refused(f"{source} was not forked"):
            _fork_at(server, (token or "").strip() or None, source, body, go_on=go_on)


@contextmanager
def _refused(what: str) -> Iterator[None]:
    try:
        yield
    except Refusal as reason:
        raise Unusable(f"{what}: {reason}") from None
    except Unanswered as reason:
        raise Unusable(str(reason)) from None


def _fork_at(server: str, token: str | None, source: str, body: dict[str, Any], *, go_on: bool) -> None:
    given = {field: value for field, value in body.items() if value is not None}
    made = post(server, f"/api/audit/streams/{quote(source, safe='')}/fork", given, token)
    _show(made["stream"], made["source"], made["version"], body["at"])
    path, left = f"/api/audit/streams/{quote(made['stream'], safe='')}/continue", int(go_on)
    while left:
        step = post(server, path, {}, token, patience=PATIENCE)
        _show_step(step["said"], step["answer"], step["failure"])
        left = step["left"]


async def _fork_in_file(store: StoreAddress, source: StreamName, body: dict[str, Any], *, go_on: bool) -> None:
    from eventstore.locking import ServedElsewhere

    if store.path is None or not store.path.exists():
        raise StoreUnavailable(f"there is no log at {store}; name one with --store sqlite:///PATH")
    try:
        if go_on:
            await _fork_and_go_on(store, source, body)
        else:
            await _fork_only(store, source, body)
    except ServedElsewhere as fault:
        raise Unusable(f"{fault}; or fork through it, with --server URL") from None


async def _fork_only(store: StoreAddress, source: StreamName, body: dict[str, Any]) -> None:
    from adapters import aside, forking

    with _told():
        async with aside.open_quiet(store) as system:
            target = forking.new_name(source, body["as"] or system.identifiers.new())
            stamp = system.stamp(principal=PRINCIPAL)
            made = await forking.fork(system.store, source, target, stamp, at=body["at"], changes=_changes(body))
    _show(made.stream, made.source, made.version, body["at"])


async def _fork_and_go_on(store: StoreAddress, source: StreamName, body: dict[str, Any]) -> None:
    from adapters import aside, forking
    from adapters.continuing import continue_once

    target: str | None = body["as"]
    settings = from_environment(os.environ, {"store": str(store)})
    with _told():
        async with aside.open_aside(settings) as system:
            name = forking.new_name(source, target or system.identifiers.new())
            stamp = system.stamp(principal=PRINCIPAL)
            made = await forking.fork_live(system, source, name, stamp, at=body["at"], changes=_changes(body))
            _show(made.stream, made.source, made.version, body["at"])
            left = 1
            while left:
                step = await continue_once(system, name, system.stamp(principal=PRINCIPAL))
                _show_step(step.said, step.answer, step.failure)
                left = step.left


@contextmanager
def _told() -> Iterator[None]:
    """Why there is no fork, as a complaint."""
    from adapters.forking import NotForked
    from adapters.server.groups import sole

    try:
        yield
    except (NotForked, BaseExceptionGroup) as error:
        reason = sole(error)
        if not isinstance(reason, NotForked):
            raise
        raise Unusable(str(reason)) from None


def _changes(body: dict[str, Any]) -> Any:
    from adapters.forking import Changes

    return Changes(body["model"], body["prompt"], body["personality"], body["topic"])


def _show(stream: str, source: str, version: int, asked: int | None) -> None:
    rounded = f" ({asked} lies amid a decision, which ends there)" if asked not in (None, version) else ""
    out.print(Text(stream, "bold cyan").append(f" goes on from {source} at version {version}{rounded}", "default"))
    out.print(Text(f"callboard compare {source} {stream}", "dim"))


def _show_step(said: str | None, answer: str | None, failure: str | None) -> None:
    if said is None:
        out.print(Text("nothing was said in the source after that", "dim"))
        return
    out.print(Text("user       ", "bold").append(said, "default"))
    if answer:
        out.print(Text("assistant  ", "green").append(answer, "default"))
    if failure:
        out.print(Text(f"no whole answer: {failure}", "red"))


def compare(
    one: Stream,
    other: Annotated[str, typer.Argument(help="Another one of its kind, mostly a fork", show_default=False)],
    store: Store = DEFAULT_STORE,
    as_json: AsJSON = False,
) -> None:
    """Show two streams side by side from where they part."""
    trio.run(partial(_compare, address(store), one, other, as_json=as_json))


async def _compare(store: StoreAddress, one: str, other: str, *, as_json: bool) -> None:
    from adapters import comparing, history, opening

    names = history.stream_named(one), history.stream_named(other)
    decider = comparing.decider_for(*names)
    if decider is None:
        raise Unusable(f"{names[0]} and {names[1]} are not to be compared: write two conversations, or two calls")
    async with opening.open_history(store) as log:
        told = [comparing.Told(name, await log.read_stream(name)) for name in names]
    for each in told:
        if not each.records:
            raise history.no_stream(each.stream)
    found = comparing.compare(*told)
    if as_json:
        out.out(json.encode(comparing.as_json(found)).decode(), highlight=False)
    else:
        out.print(comparing.tell(found, decider, out.width), soft_wrap=False)
