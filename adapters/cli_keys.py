"""`callboard keys`: the master key that seals what people say, and the keys of the data subjects under it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import trio
import typer

from adapters.cli_options import DEFAULT_STORE, Store, address
from adapters.setting_values import Unusable

if TYPE_CHECKING:
    from eventstore.keyring import KeyRing
    from eventstore.masterkey import MasterKey

keys_app = typer.Typer(no_args_is_help=True, help="Look after the keys that seal what people say.")

KeyFile = Annotated[
    Path | None,
    typer.Option("--key", envvar="CALLBOARD_ENCRYPTION_KEY", help="File of the master key in use", show_default=False),
]


@keys_app.command("new")
def new(file: Annotated[Path, typer.Argument(help="A file that is not there yet", show_default=False)]) -> None:
    """Make a master key. Keep a copy where the log's copies are not: without it nothing sealed can be read."""
    from eventstore.masterkey import BadMasterKey, make_master_key  # so that other commands start quickly

    try:
        make_master_key(file.expanduser())
    except BadMasterKey as fault:
        raise Unusable(str(fault)) from None
    typer.echo(f"A new key is in {file}; start the server with CALLBOARD_ENCRYPTION_KEY={file}")


@keys_app.command("rotate")
def rotate(
    new: Annotated[Path, typer.Option("--new", help="File of the master key to be used from now on")],
    key: KeyFile = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Wrap all keys of a log with another master key. The log stays as it is; its server must be stopped."""
    count = trio.run(_rotated, store, _master(key), _master(new, "--new"))
    typer.echo(
        f"{count} {'key is' if count == 1 else 'keys are'} wrapped with the key in {new} now; use that from now on"
    )


@keys_app.command("renew")
def renew(
    subject: Annotated[str, typer.Argument(help="A person's id, or a stream", show_default=False)],
    key: KeyFile = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Give one data subject a new key for what is yet to come. The log's server must be stopped."""
    trio.run(_renewed, store, _master(key), subject)
    typer.echo(f"What comes of {subject} is sealed with a new key; what there is stays readable")


def _master(file: Path | None, option: str = "--key") -> MasterKey:
    from eventstore.masterkey import BadMasterKey, read_master_key

    if file is None:
        raise Unusable("no key is named; set CALLBOARD_ENCRYPTION_KEY, or write --key FILE")
    try:
        return read_master_key(file.expanduser())
    except BadMasterKey as fault:
        raise Unusable(f"{option}: {fault}") from None


async def _rotated(store: str, master: MasterKey, other: MasterKey) -> int:
    from eventstore.keyring import WrongMasterKey

    async def wrapped_again(ring: KeyRing) -> int:
        return await trio.to_thread.run_sync(ring.rotate, other)

    try:
        return int(await _with_ring(store, master, wrapped_again))
    except WrongMasterKey:  # perhaps as it was done before, and nobody heard of it
        return int(await _with_ring(store, other, wrapped_again))


async def _renewed(store: str, master: MasterKey, subject: str) -> None:
    from eventstore.subjects import subject_named

    async def renewed(ring: KeyRing) -> int:
        await trio.to_thread.run_sync(ring.renew, subject_named(subject))
        return 1

    await _with_ring(store, master, renewed)


async def _with_ring(store: str, master: MasterKey, work: Callable[[KeyRing], Awaitable[int]]) -> int:
    """What `work` does with the keys of a log that nobody writes to meanwhile."""
    from eventstore.keyring import KeyRing
    from eventstore.locking import sole_writer
    from eventstore.unlocking import keys_file

    path = address(store).path
    if path is None or not keys_file(path).exists():
        raise Unusable(f"{store} has no keys; they come with the first server that has CALLBOARD_ENCRYPTION_KEY set")
    async with sole_writer(path):
        ring = await trio.to_thread.run_sync(KeyRing, keys_file(path), master)
        try:
            return await work(ring)
        finally:
            ring.close()
