"""Forks of conversations and calls, for operators: a past goes on elsewhere, with another model or prompt."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
import trio
from msgspec import Meta, Struct
from quart import Blueprint, Response

from actors.system import System
from adapters.continuing import Step, continue_once
from adapters.forking import Changes, NameTaken, NoSuchPast, NotForked, fork_live, new_name
from adapters.web import auth
from adapters.web.answers import Problem, answer, unprocessable
from adapters.web.auth import Role
from adapters.web.conversations.desk import KEYS
from adapters.web.described import Keyed, described
from adapters.web.requests import UNKNOWN, body_of, stamp_of, stream_named
from core.conversation import MAX_TEXT
from core.identifiers import MalformedStreamName, StreamName
from core.messages import Stamp

PATIENCE = 120.0
"""Seconds one thing that is said again may take with its answer; it may be asked for again."""

Name = Annotated[str, Meta(max_length=1024)]


class ForkBody(Struct, frozen=True):
    """`at` is a version, the newest where none is given; `as` the id of the fork. The rest is what is to be different:
    the language model; all that it is told beside what was said; in a conversation, personality or topic alone."""

    at: Annotated[int, Meta(ge=1)] | None = None
    name: Name | None = msgspec.field(name="as", default=None)
    model: Name | None = None
    prompt: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None
    personality: Name | None = None
    topic: Name | None = None


class Forked(Struct, frozen=True):
    """`version` is where the fork leaves its source: that asked for, or the end of the decision that it was amid."""

    stream: str
    source: str
    version: int
    model: str | None = None
    prompt: str | None = None
    personality: str | None = None
    topic: str | None = None


def forks_blueprint(system: System) -> Blueprint:
    """`POST /api/audit/streams/<name>/fork` and `…/continue`."""
    routes = Blueprint("forks", __name__)

    @routes.post("/api/audit/streams/<path:name>/fork")
    @described(Forked, 404, 409, body=ForkBody, headers=Keyed)
    async def fork(name: str) -> Response:
        """Continue a stream, as it was at a version, as a new one with its lineage on record. For the role operator."""
        auth.require(Role.OPERATOR)
        body, stamp, source = await body_of(ForkBody), stamp_of(system), stream_named(name, UNKNOWN)
        changes = Changes(body.model, body.prompt, body.personality, body.topic)
        with _told():
            target = _target(system, source, body.name, stamp)
            made = await fork_live(system, source, target, stamp, at=body.at, changes=changes)
        it = made.changes
        told = Forked(str(made.stream), str(made.source), made.version, it.model, it.prompt, it.personality, it.topic)
        return answer(told)

    @routes.post("/api/audit/streams/<path:name>/continue")
    @described(Step, 404, 409, headers=Keyed)
    async def go_on(name: str) -> Response:
        """Say to a fork what was said next in its source, and wait for the answer. For the role operator."""
        auth.require(Role.OPERATOR)
        stamp, fork = stamp_of(system), stream_named(name, UNKNOWN)
        with _told(), trio.move_on_after(PATIENCE):
            return answer(await continue_once(system, fork, stamp))
        raise Problem(503, "The answer is still being drafted; ask again", 1.0)

    return routes


def _target(system: System, source: StreamName, name: str | None, stamp: Stamp) -> StreamName:
    """The fork's stream; the same one for the same key of one principal. Raises Problem 422."""
    if name is None:
        id, key = system.identifiers.new(), stamp.command_id
        return new_name(source, id if key is None else str(uuid.uuid5(KEYS, f"fork:{key}:{stamp.principal}")))
    try:
        return new_name(source, name)
    except MalformedStreamName as fault:
        raise unprocessable((("body", "as"), str(fault))) from None


@contextmanager
def _told() -> Iterator[None]:
    """What makes a fork impossible as a Problem."""
    try:
        yield
    except NoSuchPast as reason:
        raise Problem(404, str(reason)) from None
    except (NameTaken, NotForked) as reason:
        raise Problem(409, str(reason)) from None
