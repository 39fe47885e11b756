"""`callboard audit search|count`: what the log has that meets all conditions. Being told is recorded in the log."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import trio
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from adapters.cli_options import DEFAULT_STORE, AsJSON, Store, address, err, out
from adapters.setting_values import Unusable, parse_web_url
from core.identifiers import Category

if TYPE_CHECKING:
    from adapters.audit_desk import Desk
    from eventstore.audit import Filters

audit_app = typer.Typer(no_args_is_help=True, help="Ask the log; every answer is recorded in it.")

Server = Annotated[
    str | None, typer.Option("--server", help="Ask this server instead of the file; it records that", metavar="URL")
]
Token = Annotated[str | None, typer.Option(envvar="CALLBOARD_TOKEN", help="An auditor's token for --server")]

_OPTIONS: dict[str, tuple[Any, str]] = {
    "stream": (str, "Of this stream"),
    "category": (Category, "Of streams of this kind"),
    "event": (str, "Of this name, with its version or without, e.g. conversation.message_said"),
    "principal": (str, "Caused by this person or program"),
    "correlation": (str, "With this correlation id"),
    "causation": (str, "Caused by this event, <stream>@<version>"),
    "origin": (str, "Come by this connection"),
    "command_id": (str, "Led to by this command"),
    "since": (str, "From this time on (ISO 8601, UTC where it says nothing else)"),
    "until": (str, "Before this time"),
    "text": (str, 'With these words, "phrases" or beginnings* in the event or its command'),
    "rejected": (bool, "Refusals alone, or all but those"),
}


def with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """A command of the command line with an option for each filter. `command` gets them first, as Filters."""

    def run(**options: Any) -> None:
        command(_filters({name: options.pop(name) for name in _OPTIONS}), **options)

    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    parameters = [*map(_option, _OPTIONS), *(it.replace(kind=inspect.Parameter.KEYWORD_ONLY) for it in own)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # how typer reads its options
    run.__annotations__ = {it.name: it.annotation for it in inspect.signature(run).parameters.values()}
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run


def _option(name: str) -> inspect.Parameter:
    kind, told = _OPTIONS[name]
    flags = ("--rejected/--accepted",) if name == "rejected" else (f"--{name.replace('_', '-')}",)
    option = typer.Option(*flags, help=told, show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _filters(options: dict[str, Any]) -> Filters:
    """Raises Unusable."""
    from adapters.auditing import time_asked  # so that other commands start quickly
    from eventstore.audit import Filters
    from eventstore.words import objection

    written = {name: _storable(value) for name, value in options.items() if value is not None}
    for name in written.keys() & {"since", "until"}:
        try:
            written[name] = time_asked(written[name])
        except Unusable as fault:
            raise Unusable(f"--{name}: {fault}") from None
    if "text" in written and (complaint := objection(written["text"])):
        raise Unusable(f"--text: {complaint}")
    return Filters(**written)


def _storable(value: Any) -> Any:
    """What a terminal sent that is no UTF-8 can be in no log."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


@audit_app.callback()
def audit() -> None:
    """Ask the log; every answer is recorded in it."""


@with_filters
def search(
    filters: Any,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Events at most")] = 100,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Begin at the end")] = False,
    cursor: Annotated[str | None, typer.Option(help="Go on where an answer ended", show_default=False)] = None,
    as_json: AsJSON = False,
    store: Store = DEFAULT_STORE,
    server: Server = None,
    token: Token = None,
) -> None:
    """The events that meet all conditions."""

    async def ask(desk: Desk) -> None:
        place = cursor
        while True:
            page = await desk.page(filters, place, limit, newest_first=newest_first)
            if page.entries or page.next_cursor is None:
                break
            place = page.next_cursor
        for entry in page.entries:
            out.out(msgspec.json.encode(entry).decode(), highlight=False) if as_json else out.print(line(entry))
        if page.next_cursor is not None:
            typer.echo(f"There is more; go on with --cursor {page.next_cursor}", err=True)

    _at_desk(ask, store, server, token)


@with_filters
def count(
    filters: Any,
    at_most: Annotated[int, typer.Option(min=1, max=1_000_000, help="Count no further")] = 100_000,
    store: Store = DEFAULT_STORE,
    server: Server = None,
    token: Token = None,
) -> None:
    """How many events meet all conditions."""

    async def ask(desk: Desk) -> None:
        counted, complete = await desk.count(filters, at_most)
        out.print(f"{counted:,}" if complete else f"{counted:,} or more")

    _at_desk(ask, store, server, token)


audit_app.command("search")(search)
audit_app.command("count")(count)


def _at_desk(ask: Callable[[Desk], Awaitable[None]], store: str, server: str | None, token: str | None) -> None:
    """Raises Unusable, StoreUnavailable."""
    from eventstore.audit import TooBroad
    from eventstore.cursors import BadCursor

    async def work() -> None:
        async with _desk(store, server, (token or "").strip() or None) as desk:
            await ask(desk)

    try:
        trio.run(work)
    except BadCursor as fault:
        raise Unusable(f"--cursor: {fault}") from None
    except TooBroad as fault:
        raise Unusable(str(fault)) from None


@asynccontextmanager
async def _desk(store: str, server: str | None, token: str | None) -> AsyncIterator[Desk]:
    from adapters import audit_desk

    if server is not None:
        async with audit_desk.at_server(server_named(server), token) as desk:
            yield desk
        return
    columns = TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        tell = partial(_advance, bar, bar.add_task("", total=None))
        async with audit_desk.at_file(address(store), warn, tell) as desk:
            bar.stop()
            yield desk


def _advance(bar: Progress, task: Any, position: int, head: int) -> None:
    bar.update(task, completed=position, total=head)


def server_named(text: str) -> str:
    """The URL in --server. Raises Unusable."""
    try:
        return parse_web_url(text)
    except Unusable as fault:
        raise Unusable(f"--server: {fault}") from None


def warn(what: str) -> None:
    """Tell on stderr what does not keep the work from being done."""
    typer.echo(f"callboard: {what}", err=True)


def line(entry: dict[str, Any]) -> Text:
    """One event on one line."""
    from adapters.timeline import shorten

    text = Text(f"{entry['position']:>7} ", "dim")
    text.append(f"{str(entry['time'])[:23].replace('T', ' ')} ", "dim")
    text.append(shorten(f"{entry['stream']}@{entry['version']}"), "cyan").append(" ")
    text.append(shorten(entry["event"]), "bold").append(" ")
    text.append(shorten(msgspec.json.encode(entry["payload"]).decode()))
    via = f" via {entry['origin']}" if entry["origin"] else ""
    return text.append(" · " + shorten(f"{entry['principal']}{via}"), "dim")
