"""What all dialects hold to on the wire: strict JSON in text frames, fields of the right type, times as texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from msgspec import DecodeError, Meta, Raw, ValidationError
from msgspec.json import Decoder, Encoder, schema

from core.dialect import Handshake
from core.messages import MAX_COMMAND_ID_LENGTH

T = TypeVar("T")

MAX_DEPTH = 32
"""Levels in what a client may have stored as it is; deeper values would not survive every JSON tool on the way."""

NULL = Raw(b"null")
"""The default of an envelope's raw fields: absent and null are the same."""


def null() -> Raw:
    """`NULL`, as a factory for what has a schema, in which no raw default can stand."""
    return NULL


encode = Encoder().encode
"""A value as JSON bytes; NaN and infinities would become null, as JSON has neither."""

Chosen = Annotated[str, Meta(min_length=1, max_length=MAX_COMMAND_ID_LENGTH)]
CommandId = Annotated[
    Chosen | None, Meta(description="Sent again with the same id, a command changes nothing and is answered as it was.")
]
"""A frame's `command_id`, as its schema says it."""

_ID_OR_NULL = {"type": ["string", "null"], "minLength": 1, "maxLength": MAX_COMMAND_ID_LENGTH}
RawCommandId = Annotated[Raw, Meta(extra_json_schema=_ID_OR_NULL)]
"""The same, still to be read."""

EchoedId = Annotated[str, Meta(description="The `command_id` of the frame this comes of.")]
Version = Annotated[int, Meta(ge=0, description="The version in the log, to resume behind with `?since=`.")]
Epoch = Annotated[str, Meta(description="Which log a `since` is of; it is given beside it.")]
Recovered = Annotated[
    bool, Meta(description="Whether what came behind `since` follows; if not, this is a fresh start.")
]
Repeated = Annotated[bool, Meta(description="The outcome of an earlier command of the same id, told again.")]
RetryAfter = Annotated[float, Meta(description="Seconds; coming back earlier does not help.")]
Milliseconds = Annotated[int, Meta(description="Milliseconds since the epoch, UTC.")]
Since = Annotated[
    str,
    Meta(pattern="^[0-9]{1,18}$", description="The last `seq` that came: what is behind it comes, then it goes on."),
]
"""What many frames and queries have in common, as their schemas say it."""

_SINCE = re.compile(r"[0-9]{1,18}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT: Decoder[str] = Decoder(str)
_ANY: Decoder[Any] = Decoder()


class MalformedFrame(ValueError):
    """The frame is no text, no JSON, or no object. The message says which, for people."""


class WrongField(ValueError):
    """A field is missing or of the wrong type or size; the message names it."""


def read_object(frame: str | bytes, decoder: Decoder[T]) -> T:
    """The frame's outermost object, whose fields the decoder leaves raw. Raises MalformedFrame."""
    if isinstance(frame, bytes):
        raise MalformedFrame("send text frames, not binary ones")
    try:
        return decoder.decode(frame)
    except ValidationError:
        raise MalformedFrame("a frame is one JSON object") from None
    except RecursionError:
        raise MalformedFrame("the frame is nested too deeply") from None
    except (DecodeError, UnicodeError):
        raise MalformedFrame("the frame is not JSON") from None


def read_field(raw: Raw, name: str, decoder: Decoder[T]) -> T:
    """The field `name` of a frame, typed. Raises WrongField."""
    try:
        return decoder.decode(raw)
    except DecodeError as error:
        problem = str(error).replace("`$", f"`{name}")
        raise WrongField(problem if "`" + name in problem else f"{problem} - at `{name}`") from None
    except RecursionError:
        raise WrongField(f"`{name}` is nested too deeply") from None


def read_text(raw: Raw, name: str) -> str:
    """A field that must be there and be text. Raises WrongField."""
    return read_field(raw, name, _TEXT)


def read_command_id(raw: Raw) -> str | None:
    """The id the client chose for its command, None when it chose none. Raises WrongField."""
    command_id = read_field(raw, "command_id", _ANY)
    if command_id is None:
        return None
    if not isinstance(command_id, str) or not 1 <= len(command_id) <= MAX_COMMAND_ID_LENGTH:
        raise WrongField(f"`command_id` is a text of 1 to {MAX_COMMAND_ID_LENGTH} characters")
    return command_id


def resumes_from(handshake: Handshake, version: int) -> int | None:
    """The version a client goes on behind, who comes back with `?since=&epoch=` to a stream that is at `version`.

    None for a fresh start: it did not ask, or asked for another log's version, or for one of the future.
    """
    since = handshake.query.get("since", "")
    if handshake.query.get("epoch") != handshake.epoch or not _SINCE.fullmatch(since) or int(since) > version:
        return None
    return int(since)


def one_of(names: Iterable[str]) -> Meta:
    """For a text that is one of these, where no type says so."""
    return Meta(extra_json_schema={"enum": list(names)})


def others_beside(fields: Any) -> Meta:
    """For an object that has the fields of this type, in which no other types are nested, and whatever else."""
    (known,) = schema(fields)["$defs"].values()
    named = {key: known[key] for key in ("properties", "required") if key in known}
    return Meta(extra_json_schema={**named, "additionalProperties": True})


def check_depth(value: Any, name: str) -> None:
    """Raises WrongField for a value of more than MAX_DEPTH levels."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise WrongField(f"`{name}` has more than {MAX_DEPTH} levels")


def _children(item: Any) -> list[Any]:
    """What may itself have children; texts and numbers are of no interest."""
    values = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return [value for value in values if isinstance(value, dict | list)]


def iso_time(time: int) -> str:
    """`time`, µs UTC since the epoch, as ISO 8601 with its offset, always in the same width."""
    return (_EPOCH + timedelta(microseconds=time)).isoformat(timespec="microseconds")


def excerpt(text: str, length: int = 60) -> str:
    """A client's text as far as an error message may repeat it."""
    return text if len(text) <= length else f"{text[:length]}…"
