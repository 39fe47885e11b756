"""What an auditor takes away: checkpoints, and proofs that hang on them. Each is on record first, as all questions are.

How a proof is checked without the server `adapters/proof_verifier.py` says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct
from quart import Blueprint, Response

from actors.system import System
from adapters.protocols.wire import iso_time
from adapters.proving import Prover
from adapters.web.accesses import recorded
from adapters.web.answers import Problem, answer
from adapters.web.audit import auditor
from adapters.web.described import Timestamp, described
from adapters.web.requests import query_of
from core.ports import EventStore
from eventstore.audit import Columns, Filters
from eventstore.checkpoints import Checkpoint
from eventstore.proofs import Unprovable, checkpoints
from eventstore.sqlite import SQLiteStore

MOST_CHECKPOINTS = 1000


class AskedCheckpoints(Struct, frozen=True):
    """Those of more than `after` events, the oldest first, or the newest."""

    after: Annotated[int, Meta(ge=0)] = 0
    newest_first: bool = False
    limit: Annotated[int, Meta(ge=1, le=MOST_CHECKPOINTS)] = 100


class AskedProof(Struct, frozen=True):
    """`size`: for the checkpoint of so many events, not the newest."""

    size: Annotated[int, Meta(ge=1)] | None = None


class Said(Struct, frozen=True):
    """A checkpoint: how many events there were, the chain's hash then, and the whole as it is written and signed."""

    size: int
    head: str
    time: Timestamp
    signed: bool
    checkpoint: str


class Checkpoints(Struct, frozen=True):
    checkpoints: list[Said]


class ProvedEvent(Columns, frozen=True):
    """The columns of the event as they are recorded and hashed; `time` is µs UTC."""


class EventProof(Struct, frozen=True):
    """A proof that `callboard proof check` checks, or the program that `callboard proof verifier` prints."""

    proof: str
    checkpoint: str
    event: ProvedEvent
    previous: str
    path: list[str]


def proofs_blueprint(system: System, path: Path | None) -> Blueprint:
    """The routes, for the roles auditor and operator. `path`: where the log is, None where it is no file."""
    routes = Blueprint("proofs", __name__)

    @routes.get("/api/audit/checkpoints")
    @described(Checkpoints, 404, query=AskedCheckpoints)
    async def list_checkpoints() -> Response:
        """The log's checkpoints, to be kept elsewhere. For the roles auditor and operator; being told is recorded."""
        visitor, asked = auditor(), query_of(AskedCheckpoints)
        made = [each for each in await _log(system.store).look(checkpoints) if each.size > asked.after]
        told = (made[::-1] if asked.newest_first else made)[: asked.limit]
        await recorded(system, visitor, "checkpoints", Filters(), len(told))
        return answer({"checkpoints": [_said(each) for each in told]})

    @routes.get("/api/audit/proof/<path:event>")
    @described(EventProof, 404, query=AskedProof)
    async def prove_event(event: str) -> Response:
        """A proof that an event, named as <stream>@<version> or by its position, is in the log as it was recorded. For
        the roles auditor and operator; being told is recorded."""
        visitor, asked, log = auditor(), query_of(AskedProof), _log(system.store)
        prover = Prover(log, path or Path(), asked.size)
        try:
            proof = await log.look(lambda select: prover.event(select, event))
        except Unprovable as fault:
            stream, _, version = event.rpartition("@")
            number = int(version) if version.isdecimal() and len(version) < 18 else 0
            await recorded(system, visitor, "proof", Filters(stream=stream or None), 0, version=number)
            raise Problem(404, str(fault)) from None
        proved = proof["event"]
        await recorded(system, visitor, "proof", Filters(stream=proved["stream"]), 1, version=proved["version"])
        return answer(proof)

    return routes


def _log(store: EventStore) -> SQLiteStore:
    if not isinstance(store, SQLiteStore):
        raise Problem(404, "This log is in memory, and is not kept for auditors")
    return store


def _said(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "size": checkpoint.size,
        "head": checkpoint.head.hex(),
        "time": iso_time(checkpoint.time),
        "signed": checkpoint.is_signed,
        "checkpoint": checkpoint.note,
    }
