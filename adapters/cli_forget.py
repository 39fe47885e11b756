"""`callboard forget`: what one data subject said is made unreadable, for ever."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import trio
import typer

from adapters.cli_options import DEFAULT_STORE, Store, address
from adapters.setting_values import StoreAddress, Unusable

if TYPE_CHECKING:
    from adapters.forgetting import Forgotten

PATIENCE = 600.0
"""Seconds a server may take: it looks through all that the subject said."""


def forget(
    subject: Annotated[str, typer.Argument(help="A person's id, or a stream that is nobody's", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    server: Annotated[
        str | None, typer.Option(help="The server that holds the log; else the file itself", show_default=False)
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="CALLBOARD_TOKEN", help="Of an operator, for --server", show_default=False)
    ] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Destroy the keys of a data subject: what they sealed is gone for ever; the chain and its proofs hold."""
    if not yes:
        _ask(subject)
    done = _at(server, subject, (token or "").strip()) if server else trio.run(_in_file, address(store), subject)
    typer.echo(_told(done))
    stays = (
        (done.in_clear, "were recorded before the log was sealed; their text stays"),
        (done.elsewhere, "are in streams of others; their text stays until those are forgotten, see `audit search`"),
    )
    for count, reason in stays:
        if count:
            typer.echo(f"callboard: {_count(count, 'event')} of {subject} {reason}", err=True)
    if done.in_clear or done.elsewhere:
        sys.exit(1)


def _ask(subject: str) -> None:
    if not sys.stdin.isatty():
        raise Unusable("this cannot be undone, and there is nobody to ask; write --yes")
    typer.confirm(f"What {subject} said can never be read again by anybody. Forget it?", abort=True)


def _told(done: Forgotten) -> str:
    if not done.keys:
        return f"There is no key of {done.subject}: it was forgotten already, or nothing was ever sealed with one"
    keys, streams, blobs = (
        _count(*each) for each in ((done.keys, "key"), (done.streams, "stream"), (done.blobs, "blob"))
    )
    return f"{done.subject} is forgotten: {keys} destroyed, {streams}, {blobs} removed"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


async def _in_file(store: StoreAddress, subject: str) -> Forgotten:
    from adapters import encryption, forgetting, opening  # so that other commands start quickly
    from adapters.deeds import record_in, stamp_here
    from eventstore.locking import ServedElsewhere

    if store.path is None or not store.path.exists():
        raise Unusable(f"there is no log at {store}; name one with --store sqlite:///PATH")
    key_file = encryption.key_file_named()
    if key_file is None and not encryption.has_keys(store.path):
        raise Unusable(forgetting.NOT_SEALED)
    try:
        async with opening.open_store(store, key_file) as opened:
            work = forgetting.Forgetting(opened, store.path, opening.blob_store(store))
            return await work.forget(subject, partial(record_in, opened, stamp_here()), forgetting.nothing_in_memory)
    except ServedElsewhere:
        raise Unusable(f"a server holds {store.path}; forget through it, with --server URL") from None


def _at(server: str, subject: str, token: str) -> Forgotten:
    import httpx
    import msgspec

    from adapters.forgetting import Forgotten

    url = f"{server.rstrip('/')}/api/audit/subjects/{quote(subject, safe='')}/forget"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.post(url, headers=headers, timeout=PATIENCE)
        if answer.status_code == 200:
            return msgspec.json.decode(answer.content, type=Forgotten)
        reason = answer.json()["detail"]
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError, LookupError, TypeError) as fault:
        raise Unusable(f"no Callboard answers at {server} ({fault}); name the one that holds the log") from None
    remedy = "; write the --token of an operator" if answer.status_code in {401, 403} else ""
    raise Unusable(f"{subject} was not forgotten: {reason}{remedy}")
