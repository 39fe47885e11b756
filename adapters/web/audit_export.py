"""The auditor's exports: all events that meet a question as one file, and the manifest that says what it is.

The file is sent as it is made, by a process of its own. The answer's Link leads to the manifest (rel="describedby"),
which is there once the file has been sent. `audit.accessed` is in the log before the first byte leaves, and once more,
with what was in it, before the last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import trio
from msgspec import Struct
from quart import Blueprint, Response, request

from actors.system import System
from adapters.exports.apart import ExportApart
from adapters.exports.formats import Format, NotExported, refuse_unwritable
from adapters.exports.manifest import Manifest, as_json, digests
from adapters.exports.writing import Question
from adapters.web.accesses import recorded_within
from adapters.web.answers import Problem, unprocessable
from adapters.web.audit import Asked, auditor
from adapters.web.auth import Visitor
from adapters.web.correlation import current_correlation
from adapters.web.described import JSON, Content, described
from adapters.web.made_apart import MadeApart, streamed
from adapters.web.requests import query_of
from adapters.web.turns import Turns
from eventstore.audit import Filters

AT_ONE_TIME = 2
"""Exports that are made; whoever comes meanwhile is to come again."""
COME_BACK = 10.0
"""Seconds until then."""
MOST_KEPT = 32
"""Manifests remembered, the newest."""
BREATH = 0.005
"""Seconds after each piece (256 KiB) in which the server is there for the living alone."""
FILE = Content("application/octet-stream")

Finish = Callable[[Manifest], Awaitable[None]]
Record = Callable[[str, Filters, int, Mapping[str, str | bool]], Awaitable[str]]
"""Makes it durable that the auditor is told so much. Returns the event that says so."""


class AskedExport(Asked, frozen=True):
    """`compress`: gzip, or zstd within Parquet."""

    format: Format = Format.JSONL
    compress: bool = False


class Place(Struct, frozen=True):
    """Where the log is that is exported from, and what opens it."""

    path: Path
    key_file: Path | None = None


class Exported(MadeApart):
    """The answer with one file."""

    def __init__(self, question: Question, finish: Finish, leave: Callable[[], None]) -> None:
        self._export, self._finish, self._leave = ExportApart(question), finish, leave
        super().__init__(self._export)

    def leave(self) -> None:
        self._leave()

    async def __anext__(self) -> bytes:
        """The next bytes. Raises NotExported, Problem: then the answer is cut off, and has no end."""
        await trio.sleep(BREATH)
        try:
            return (await anext(self._export)).content
        except StopAsyncIteration:
            await self._finish(self._export.told)
            raise


def audit_export_blueprint(system: System, place: Place | None) -> Blueprint:
    """The routes, for the roles auditor and operator. `place` None where the log is no file."""
    routes, turns = Blueprint("audit_export", __name__), Turns(AT_ONE_TIME)
    manifests: OrderedDict[str, bytes] = OrderedDict()

    def answered(question: Question, id: str, record: Record) -> Response:
        async def finish(manifest: Manifest) -> None:
            note = "exported", question.filters, manifest.entries.count
            await record(*note, {"export": id, **digests(manifest)})
            manifests[id] = as_json(manifest)
            while len(manifests) > MOST_KEPT:
                manifests.popitem(last=False)

        return _streamed(Exported(question, finish, partial(turns.give_back, record)), question.name, id)

    @routes.get("/api/audit/export")
    @described(FILE, 404, query=AskedExport)
    async def export_audited_events() -> Response:
        """All events that meet all conditions, as one file. For the roles auditor and operator; being told is recorded.

        The header Link leads to the manifest, which says of which log this is, up to which position, and the digests
        of the file and of what is in it. An answer that is cut off has none.
        """
        record = _recording(system, auditor())
        asked, log = query_of(AskedExport), _file(place)
        filters, head, now = asked.filters(), system.store.head, system.clock.now()
        _refuse_unwritable(asked.format)
        if not turns.take(record):
            raise Problem(429, f"{AT_ONE_TIME} exports are under way", COME_BACK)
        if request.method == "HEAD":  # the answer to it tells nobody anything
            turns.give_back(record)
            return _streamed(b"", _name(asked, head), None)
        try:
            id = await record("export", filters, 0, {"format": asked.format, "compress": asked.compress})
        except BaseException:
            turns.give_back(record)
            raise
        question = Question(
            str(log.path), system.store.epoch, head, filters, asked.format, _name(asked, head), now, asked.compress, id,
            None if log.key_file is None else str(log.key_file),
        )  # fmt: skip
        return answered(question, id, record)

    @routes.get("/api/audit/exports/<event>/manifest")
    @described(Manifest, 404)
    async def read_export_manifest(event: str) -> Response:
        """What an export was, by the event that recorded it. For the roles auditor and operator.

        It is there once all of the file has been sent, and as long as the server runs and not many others have come.
        """
        record = _recording(system, auditor())
        if event not in manifests:
            raise Problem(404, "There is no manifest; export again, to the end")
        await record("manifest", Filters(), 0, {"export": event})
        return Response(manifests[event], content_type=JSON)

    return routes


def _recording(system: System, visitor: Visitor) -> Record:
    """What records accesses of this request's, also when its answer is already on its way."""
    correlation = current_correlation()

    async def record(way: str, filters: Filters, entries: int, more: Mapping[str, str | bool]) -> str:
        return await recorded_within(correlation, system, visitor, way, filters, entries, **more)

    return record


def _file(place: Place | None) -> Place:
    if place is None:
        raise Problem(404, "This log is in memory, and is not kept for auditors")
    return place


def _refuse_unwritable(format: Format) -> None:
    try:
        refuse_unwritable(format)
    except NotExported as fault:
        raise unprocessable((("query", "format"), str(fault))) from None


def _name(asked: AskedExport, head: int) -> str:
    is_gzip = asked.compress and asked.format is not Format.PARQUET
    return f"callboard-{head}.{asked.format}{'.gz' if is_gzip else ''}"


def _streamed(body: Exported | bytes, name: str, id: str | None) -> Response:
    response = streamed(body, FILE.kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if id is not None:
        response.headers["Link"] = f'</api/audit/exports/{id}/manifest>; rel="describedby"'
    return response
