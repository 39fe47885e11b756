"""What a REST request says, checked field by field: body, query, the stream it names, Idempotency-Key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from quart import request

from actors.system import System
from adapters.web.answers import Problem, unprocessable
from adapters.web.auth import current_visitor
from adapters.web.correlation import current_correlation
from core.identifiers import MalformedStreamName, StreamName
from core.messages import MAX_COMMAND_ID_LENGTH, Stamp

T = TypeVar("T", bound=msgspec.Struct)
Fault = tuple[tuple[str, ...], str]

UNLOGGED, UNKNOWN = "The log has no such stream", "Stream not found"
"""What they are told who ask about a stream that there is not, and they who would have something done there."""


async def body_of(type: type[T]) -> T:
    """The request's JSON object as a `type`; no body counts as an empty object. Raises Problem 422."""
    return read(type, await fields_of_body(), "body")


async def fields_of_body() -> dict[str, Any]:
    """The request's JSON object as it is. Raises Problem 422."""
    data = await request.get_data()
    try:
        fields = msgspec.json.decode(data) if data.strip() else {}
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise unprocessable((("body",), f"The body is not JSON: {error}")) from None
    if not isinstance(fields, dict):
        raise unprocessable((("body",), "The body must be a JSON object"))
    return fields


def query_of(type: type[T]) -> T:
    """The query string as a `type`. Raises Problem 422."""
    return read(type, request.args.to_dict(), "query", strict=False)


def read(type: type[T], fields: Mapping[str, Any], place: str, *, strict: bool = True) -> T:
    """A `type` of these fields, unknown ones ignored. Raises Problem 422 that names every field at fault."""
    known: dict[str, Any] = {}
    faults: list[Fault] = []
    for field in msgspec.structs.fields(type):
        if field.encode_name in fields:
            try:
                known[field.name] = msgspec.convert(fields[field.encode_name], field.type, strict=strict)
            except msgspec.ValidationError as error:
                faults.append(((place, field.encode_name), str(error)))
        elif field.required:
            faults.append(((place, field.encode_name), "Field required"))
    if faults:
        raise unprocessable(*faults)
    return type(**known)


def command_id() -> str | None:
    """The request's Idempotency-Key, None without one. Raises Problem 422 for an over-long one."""
    key = request.headers.get("Idempotency-Key") or None
    if key is not None and len(key) > MAX_COMMAND_ID_LENGTH:
        fault = f"An Idempotency-Key has at most {MAX_COMMAND_ID_LENGTH} characters"
        raise unprocessable((("header", "Idempotency-Key"), fault))
    return key


def stamp_of(system: System) -> Stamp:
    """The stamp of a command that comes of this request, whose Idempotency-Key is its id. Raises Problem 422."""
    key, visitor = command_id(), current_visitor()
    return system.stamp(command_id=key, principal=visitor.principal, correlation_id=current_correlation())


def stream_named(text: str, otherwise: str = UNLOGGED) -> StreamName:
    """Raises Problem 404 for what cannot be a stream's name."""
    try:
        return StreamName.parse(text)
    except MalformedStreamName:
        raise no_stream(otherwise) from None


def no_stream(detail: str = UNLOGGED) -> Problem:
    return Problem(404, detail)
