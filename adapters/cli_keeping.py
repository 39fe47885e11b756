"""`callboard backup` and `callboard restore`: a log kept safe while it is served, and put in its place again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import trio
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from adapters.cli_options import DEFAULT_STORE, Store, address, err, out
from adapters.setting_values import StoreAddress
from eventstore.backups import BLOBS, KEYS, Manifest, NotKept, Tell, beside
from eventstore.keeping import back_up, check_backup
from eventstore.restoring import Restored
from eventstore.restoring import restore as restore_backup
from eventstore.turns import take_turns

Folder = Annotated[Path, typer.Argument(help="The backup, a folder", show_default=False, metavar="FOLDER")]


def backup(
    folder: Folder,
    store: Store = DEFAULT_STORE,
    verify: Annotated[bool, typer.Option("--verify", help="Check this backup, and make none")] = False,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="The keys of sealed text too: who has such a backup can read all of it")
    ] = False,
) -> None:
    """Back the log up, with what belongs to it, also while a server writes to it; checked to the last event."""
    began = time.monotonic()
    with _progress() as tell:
        if verify:
            manifest = check_backup(folder, tell)
        else:
            log = trio.run(_path_of, address(store))
            take_turns(log)
            manifest = back_up(log, folder, version=version("callboard"), with_keys=with_keys, tell=tell)
            _warn_of_keys(log, manifest)
    done = Text("The backup is whole" if verify else "Backed up", "bold green")
    seconds = time.monotonic() - began
    out.print(done.append(f": {_content(manifest)}, in {folder}, {seconds:.1f} s", "default"))
    _warn_of_lost_blobs(manifest)


def restore(folder: Folder, store: Store = DEFAULT_STORE) -> None:
    """Make a backup the log, where there is none; with another epoch, so that clients begin afresh."""
    where = address(store)
    if where.path is None:
        raise NotKept("a log in memory cannot be restored; give --store sqlite:///PATH")
    with _progress() as tell:
        restored = restore_backup(folder, where.path, tell)
    manifest = restored.manifest
    out.print(Text("Restored", "bold green").append(f": {_content(manifest)}, in {where}", "default"))
    made = datetime.fromtimestamp(manifest.made_at // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    out.print(f"It is the log as it was on {made} UTC. Its epoch was {manifest.epoch} and is now {restored.epoch}:")
    out.print("clients that come back with a place of the old one are told everything afresh.")
    _tell_of_keys(where.path, restored)
    _warn_of_lost_blobs(manifest)


async def _path_of(store: StoreAddress) -> Path:
    """Where the log is, which can be read."""
    from adapters import opening  # so that other commands start quickly

    async with opening.open_history(store):
        return (store.path or Path()).resolve()  # a log in memory is refused by now


def _content(manifest: Manifest) -> str:
    blobs = manifest.blobs
    also = f", {blobs.count:,} blobs ({blobs.bytes / 1e6:,.1f} MB)" if blobs.count else ""
    return f"{manifest.events:,} events, head {manifest.head[:16]}…{also}"


def _warn_of_keys(log: Path, manifest: Manifest) -> None:
    keys = beside(log, KEYS)
    if manifest.has_keys:
        _warn("with these keys and the master key all of the backup can be read, and what is forgotten later too")
    elif keys.exists():
        _warn(f"{keys.name} is not in it, and without those keys no sealed text can be read: keep a copy elsewhere")


def _tell_of_keys(log: Path, restored: Restored) -> None:
    if restored.keys == "place":
        out.print(f"The keys in {beside(log, KEYS).name} were there, and stay.")
    elif restored.keys == "backup":
        _warn("the keys are as old as the backup: see that what was forgotten since is forgotten again")
    elif restored.keys == "missing":
        _warn(f"its sealed text cannot be read before its keys are there: copy them to {beside(log, KEYS)}")


def _warn_of_lost_blobs(manifest: Manifest) -> None:
    if lost := manifest.lost_blobs:
        what = "1 blob that events name was" if len(lost) == 1 else f"{len(lost):,} blobs that events name were"
        _warn(f"{what} not in {manifest.log}{BLOBS}, forgotten or lost; the first: {lost[0]}")


def _warn(what: str) -> None:
    err.print(Text("callboard: ").append(what), soft_wrap=True)


@contextmanager
def _progress() -> Iterator[Tell]:
    """Shows on a terminal how far it is."""
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("")

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield tell
