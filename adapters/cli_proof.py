"""`callboard proof …` and `callboard verify`: is the log what was recorded, and how is that shown to others?"""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import trio
import typer
from msgspec import json

from adapters.cli_options import DEFAULT_STORE, Store, address, err, out
from adapters.setting_values import StoreAddress, Unusable

if TYPE_CHECKING:
    from adapters.proving import Prover
    from eventstore.proofs import Select

T = TypeVar("T")

proof_app = typer.Typer(no_args_is_help=True, help="Show others that the log is what was recorded.")
key_app = typer.Typer(no_args_is_help=True, help="The key that signs checkpoints.")
proof_app.add_typer(key_app, name="key")

Size = Annotated[
    int | None, typer.Option(min=1, help="For the checkpoint of so many events, not the newest", show_default=False)
]
Fresh = Annotated[bool, typer.Option("--fresh", help="For a checkpoint made now, signed with CALLBOARD_SIGNING_KEY")]
PublicKey = Annotated[
    str | None, typer.Option(metavar="HEX|FILE", help="The key that must have signed", show_default=False)
]
PublicKeys = Annotated[
    list[str] | None, typer.Option("--public-key", metavar="HEX|FILE", help="A key: says how far it has signed")
]
Noted = Annotated[
    Path | None, typer.Option(help="A file of checkpoints noted elsewhere: the log must be theirs", show_default=False)
]


def verify(
    store: Store = DEFAULT_STORE,
    head: Annotated[
        str | None,
        typer.Option(help="A head noted earlier, 12 digits or more: tells whether events were cut off since"),
    ] = None,
    checkpoint: Noted = None,
    public_key: PublicKeys = None,
) -> None:
    """Check the whole log: nothing altered, missing, inserted or moved, nor anything that a checkpoint has cut off or
    made anew."""
    from adapters import verifying
    from eventstore.turns import take_turns

    place = address(store)
    take_turns(place.path or Path())
    noted = verifying.Noted(
        "" if head is None else verifying.noted_head(head),
        () if checkpoint is None else tuple(verifying.noted_checkpoints(checkpoint)),
        tuple(map(verifying.key_of, public_key or ())),
    )
    if not trio.run(verifying.verify, place, out, noted):
        sys.exit(1)


@proof_app.command("make")
def make(
    event: Annotated[str | None, typer.Argument(help="STREAM@VERSION, or a position", show_default=False)] = None,
    export: Annotated[
        Path | None, typer.Option(help="All events of an export: its manifest, or its file", show_default=False)
    ] = None,
    size: Size = None,
    fresh: Fresh = False,
    store: Store = DEFAULT_STORE,
) -> None:
    """Print a proof that an event, or all of an export, is in the log."""
    if (event is None) == (export is None):
        raise Unusable("write an event (STREAM@VERSION, or a position), or --export FILE")

    def prove(prover: Prover, select: Select) -> dict[str, Any]:
        if export is not None:
            return prover.export(select, export)
        return prover.event(select, event or "")

    proof = _proved(store, _wanted(size, fresh=fresh), prove)
    trio.run(_record, address(store), proof.get("event"))
    _print(proof)


async def _record(store: StoreAddress, event: dict[str, Any] | None) -> None:
    """That somebody is told of an event; a proof of an export tells nothing that the export does not."""
    from adapters import audit_desk
    from adapters.auditing import access
    from eventstore.audit import Filters

    if event is not None:
        note = access("proof", Filters(stream=event["stream"]), 1, event["position"], version=event["version"])
        await audit_desk.recorded(store, note, err.print)


@proof_app.command("consistency")
def consistency(
    old: Annotated[Path, typer.Argument(help="A file with the older checkpoint", show_default=False)],
    size: Size = None,
    fresh: Fresh = False,
    store: Store = DEFAULT_STORE,
) -> None:
    """Print a proof that the log only grew since a checkpoint that was noted; of several, since the last."""
    from adapters.verifying import noted_checkpoints

    checkpoint = noted_checkpoints(old)[-1]
    _print(_proved(store, _wanted(size, fresh=fresh), lambda prover, select: prover.consistency(select, checkpoint)))


@proof_app.command("checkpoint")
def checkpoint(size: Size = None, fresh: Fresh = False, store: Store = DEFAULT_STORE) -> None:
    """Print the newest checkpoint, to be noted elsewhere."""
    made = _proved(store, _wanted(size, fresh=fresh), lambda prover, select: prover.checkpoint(select))
    sys.stdout.write(made.note)


@proof_app.command("check")
def check(
    proof: Annotated[Path, typer.Argument(help="The proof, a JSON file", show_default=False)],
    public_key: PublicKey = None,
    checkpoint: Noted = None,
    file: Annotated[Path | None, typer.Option(help="The exported file, if it is not here", show_default=False)] = None,
) -> None:
    """Check a proof. Needs no log: `callboard proof verifier` prints the same as a program of its own."""
    from adapters import proof_verifier

    options = {"--public-key": public_key, "--checkpoint": checkpoint, "--file": file}
    words = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    sys.exit(proof_verifier.main([str(proof), *words]))


@proof_app.command("verifier")
def verifier() -> None:
    """Print the program that checks proofs; it needs Python alone."""
    from adapters import proof_verifier

    sys.stdout.write(inspect.getsource(proof_verifier))


@key_app.command("new")
def new_key(file: Annotated[Path, typer.Argument(help="Where the private key goes", show_default=False)]) -> None:
    """Make a key that signs checkpoints (CALLBOARD_SIGNING_KEY), and print its public key for those who check them."""
    from eventstore.signing import SigningKey

    try:
        key = SigningKey.new(file)
    except FileExistsError:
        raise Unusable(f"{file} is there already; name another file, keys are not overwritten") from None
    sys.stdout.write(f"{key.public.hex()}\n")


@key_app.command("show")
def show_key(file: Annotated[Path, typer.Argument(help="The file of the private key", show_default=False)]) -> None:
    """Print the public key."""
    from adapters.checkpoints import signing_key

    sys.stdout.write(f"{signing_key(file, str(file)).public.hex()}\n")


def _wanted(size: int | None, *, fresh: bool) -> Any:
    from adapters.checkpoints import signing_key
    from adapters.proving import Fresh

    if not fresh:
        return size
    if size is not None:
        raise Unusable("a fresh checkpoint is of all events; write --size or --fresh")
    file = os.environ.get("CALLBOARD_SIGNING_KEY", "").strip()
    return Fresh(time.time_ns() // 1000, signing_key(Path(file)) if file else None)


def _proved(store: str, wanted: Any, prove: Callable[[Prover, Select], T]) -> T:
    from adapters import opening
    from adapters.proving import Prover
    from eventstore.proofs import Unprovable

    named = address(store)

    async def work() -> T:
        async with opening.open_history(named) as log:
            prover = Prover(log, named.path or Path(), wanted)  # in memory: refused above
            return await log.look(lambda select: prove(prover, select))

    try:
        return trio.run(work)
    except Unprovable as fault:
        raise Unusable(str(fault)) from None


def _print(proof: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.format(json.encode(proof), indent=1) + b"\n")
