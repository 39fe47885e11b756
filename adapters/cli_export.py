"""`callboard audit export`: events that meet all conditions as a file, with a manifest; and whether a file is that."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import trio
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from adapters.cli_audit import Server, Token, server_named, warn, with_filters
from adapters.cli_options import DEFAULT_STORE, Store, address, err, out
from adapters.exports.formats import Format, NotExported, format_of, refuse_unwritable
from adapters.setting_values import Unusable
from core.ports import StoreUnavailable

if TYPE_CHECKING:
    from adapters.exports.manifest import Manifest

Advanced = Callable[[int, int | None], None]

File = Annotated[Path, typer.Argument(help="A new file; its manifest is FILE.manifest.json", show_default=False)]
Chosen = Annotated[
    Format | None,
    typer.Option("--format", help="What to write; else as the file's name ends", show_default=False),
]
Compress = Annotated[bool, typer.Option("--compress", help="gzip, or zstd within Parquet")]
Verify = Annotated[bool, typer.Option("--verify", help="Check that FILE is what its manifest says, and export nothing")]


@with_filters
def export(
    filters: Any,
    file: File,
    format: Chosen = None,
    compress: Compress = False,
    verify: Verify = False,
    store: Store = DEFAULT_STORE,
    server: Server = None,
    token: Token = None,
) -> None:
    """Write all events that meet all conditions to a file, with a manifest that says what it is."""
    if verify:
        _verify(file)
        return
    wanted = _format(file, format, compress=compress)
    try:
        with _progress("exporting") as advanced:
            if server is None:
                manifest = trio.run(_from_file, file, filters, wanted, store, advanced)
            else:
                manifest = trio.run(
                    _from_server, file, filters, wanted, server_named(server), (token or "").strip() or None, advanced
                )
    except NotExported as fault:
        raise Unusable(str(fault)) from None
    out.print(Text("Exported", "bold green").append(f": {_content(manifest)}", "default"))


def _format(file: Path, chosen: Format | None, *, compress: bool) -> tuple[Format, bool]:
    """What to write, and whether compressed."""
    named = format_of(file)
    if chosen is None and named is None:
        raise Unusable(f"the name {file.name} does not tell the format; write --format {'|'.join(Format)}")
    format = chosen or (named or (Format.JSONL, False))[0]
    return format, compress or (named is not None and named[1])


async def _from_file(file: Path, filters: Any, wanted: tuple[Format, bool], store: str, advanced: Advanced) -> Manifest:
    from adapters import audit_desk, opening  # so that other commands start quickly
    from adapters.auditing import access
    from adapters.encryption import key_file_named
    from adapters.exports.files import export_to, refuse_present
    from adapters.exports.manifest import digests
    from adapters.exports.writing import Question
    from eventstore.audit import Filters
    from eventstore.index import Index

    (format, compress), named, key_file = wanted, address(store), key_file_named()
    refuse_present(file)
    refuse_unwritable(format)
    async with opening.open_history(named) as log:
        epoch, head = log.epoch, log.head
        if filters != Filters():
            with suppress(StoreUnavailable):  # an index is for speed
                await Index(named.path or Path(), log.opener).level(advanced)
    note = access("export", filters, 0, head, format=format, compress=compress)
    noted = await audit_desk.recorded(named, note, warn)
    question = Question(
        str(named.path), epoch, head, filters, format, file.name, time.time_ns() // 1000, compress,
        noted, None if key_file is None else str(key_file),
    )  # fmt: skip
    manifest = await export_to(file, question, lambda position: advanced(position, head))
    if noted is not None:
        what = access("exported", filters, manifest.entries.count, head, export=noted, **digests(manifest))
        await audit_desk.recorded(named, what, warn)
    return manifest


async def _from_server(
    file: Path, filters: Any, wanted: tuple[Format, bool], server: str, token: str | None, advanced: Advanced
) -> Manifest:
    from adapters.audit_desk import asked_of, web_client
    from adapters.exports.fetching import fetch

    format, compress = wanted
    query = {**asked_of(filters), "format": format, "compress": compress}
    given = {name: value for name, value in query.items() if value is not None}
    async with web_client(server, (token or "").strip() or None) as http:
        return await fetch(http, file, given, lambda size: advanced(size, None))


def _verify(file: Path) -> None:
    from adapters.exports.files import check_file

    try:
        with _progress("verifying") as advanced:
            manifest = check_file(file, lambda count: advanced(count, None))
    except NotExported as fault:
        out.print(Text("Not what was exported", "bold red").append(f": {fault}", "default"))
        sys.exit(1)
    out.print(Text("The file is what was exported", "bold green").append(f": {_content(manifest)}", "default"))


def _content(manifest: Manifest) -> str:
    it, head = manifest.entries, manifest.head
    events = "no events" if not it.count else "one event" if it.count == 1 else f"{it.count:,} events"
    return f"{events}, {manifest.file.bytes:,} bytes; the log ended at {head.position:,}, hash {head.hash[:16]}…"


@contextmanager
def _progress(what: str) -> Iterator[Advanced]:
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
