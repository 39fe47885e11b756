"""`callboard archive`: the texts of ended streams leave the log for compressed files beside it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import trio
import typer
from rich.text import Text

from adapters.cli_options import DEFAULT_STORE, Store, address, err, out
from adapters.setting_values import StoreAddress, Unusable
from core.identifiers import Category

if TYPE_CHECKING:
    from adapters.archiving import Archiver
    from core.audit import Command

OlderThan = Annotated[float, typer.Option(help="Days since the last event; 0: however new", min=0.0, metavar="DAYS")]
Only = Annotated[
    list[Category] | None,
    typer.Option("--category", help="These alone; several times", show_default=False),
]


def archive(
    older_than: OlderThan = 30.0,
    only: Only = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell which streams, and do nothing")] = False,
    compact: Annotated[bool, typer.Option(help="Give the room that is free then back to the disk")] = True,
    store: Store = DEFAULT_STORE,
) -> None:
    """Put the texts of ended streams into compressed files beside the log; all that reads the log reads them there.

    For a log that no server holds; a server does it by itself, with CALLBOARD_ARCHIVE_AFTER.
    """
    from adapters.archiving import ARCHIVED, DAY

    place, categories = address(store), tuple(only or ARCHIVED)
    if others := [category.value for category in categories if category not in ARCHIVED]:
        ends = ", ".join(category.value for category in ARCHIVED)
        raise Unusable(f"--category: streams of {', '.join(others)} do not end; write {ends}")
    if place.path is None or not place.path.exists():
        raise Unusable(f"there is no log at {place}; name one with --store sqlite:///PATH")
    before = time.time_ns() // 1000 - int(older_than * DAY)
    if dry_run:
        trio.run(_tell, place, place.path, before, categories)
    elif trio.run(_archive, place.path, before, categories) and compact:
        _compact(place.path)


async def _archive(path: Path, before: int, categories: tuple[Category, ...]) -> int:
    """How many archives were made."""
    from adapters import encryption, opening  # so that other commands start quickly
    from adapters.archiving import Archiver
    from adapters.deeds import record_in, stamp_here
    from eventstore.locking import ServedElsewhere
    from eventstore.sqlite import SQLiteStore

    try:
        async with opening.open_store(StoreAddress(path), encryption.key_file_named(), apart=False) as opened:
            if not isinstance(opened, SQLiteStore):
                raise Unusable("a log in memory has no archives; name one with --store sqlite:///PATH")

            async def record(command: Command) -> None:
                await record_in(opened, stamp_here(), command)

            return await _do(Archiver(opened, path, opening.DECIDERS, record), before, categories)
    except ServedElsewhere:
        remedy = "it archives by itself with CALLBOARD_ARCHIVE_AFTER; or stop it first"
        raise Unusable(f"a server holds {path}; {remedy}") from None


async def _tell(store: StoreAddress, path: Path, before: int, categories: tuple[Category, ...]) -> None:
    from adapters import opening
    from adapters.archiving import ended

    count = 0
    async with opening.open_history(store) as opened:
        async for streams in ended(opened, path, opening.DECIDERS, before, categories):
            for stream in streams:
                out.print(str(stream), markup=False)
            count += len(streams)
    out.print(f"{count:,} streams have ended and would be archived")


async def _do(archiver: Archiver, before: int, categories: tuple[Category, ...]) -> int:
    count = 0
    async for archived in archiver.archive(before, categories):
        count += 1
        what = f": {archived.events:,} events of {archived.streams:,} streams, {archived.bytes / 1e6:,.1f} MB, "
        told = f"{what}SHA-256 {archived.sha256[:16]}…"
        out.print(Text(f"Archive {archived.name}", "bold green").append(told, "default"))
    if not count:
        out.print("No stream has ended that long ago and is not archived yet")
    return count


def _compact(path: Path) -> None:
    from eventstore.archived import compact
    from eventstore.archiving import NotArchived

    try:
        before, after = compact(path)
    except NotArchived as fault:  # what was asked for is done all the same
        err.print(Text("callboard: ").append(str(fault)), soft_wrap=True)
        return
    out.print(f"The log's file had {before / 1e6:,.1f} MB, and has {after / 1e6:,.1f} MB")
