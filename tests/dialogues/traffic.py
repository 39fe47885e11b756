"""Frames held against the API reference: which one of its messages a frame is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from jsonschema import Draft7Validator

from adapters.protocols.channels import requests as channels
from adapters.protocols.console import requests as console
from adapters.protocols.conversations import requests as conversations
from adapters.protocols.retell import requests as retell
from adapters.protocols.shipping import requests as shipping
from adapters.protocols.streams import requests as streams
from adapters.reference.asyncapi import asyncapi

UNSAYABLE = ("is not base64", "more than 32 levels", "is nested too deeply", "`payload.thread_id`", "a page has")
"""Why a frame is refused that no schema can tell from a good one."""

UNREADABLE = (
    conversations.UnreadableFrame, channels.UnreadableFrame, shipping.UnreadableFrame, console.UnreadableFrame,
)  # fmt: skip

document = cache(asyncapi)


class Traffic:
    """What passes over the sockets of one dialect; `seen` counts the document's messages among it."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._validators = {
            action: {name: Draft7Validator(schema) for name, schema in _payloads(dialect, action).items()}
            for action in ("receive", "send")
        }
        self.seen = Counter[str]()
        self.examples: dict[str, Any] = {}

    def names(self) -> set[str]:
        """The messages of the document, as `<action>.<name>`."""
        return {f"{action}.{name}" for action, validators in self._validators.items() for name in validators}

    def kinds_of(self, action: str, frame: Any) -> list[str]:
        """The messages the frame is valid as: one, for a good one."""
        return [name for name, validator in self._validators[action].items() if validator.is_valid(frame)]

    def faults_of(self, message: str, frame: Any) -> list[str]:
        """What the document has against the frame as this message."""
        action, _, name = message.partition(".")
        return [f"{error.json_path}: {error.message}" for error in self._validators[action][name].iter_errors(frame)]

    def sent(self, body: bytes) -> None:
        """The server sent this. Raises AssertionError where that is not exactly one message of the document."""
        self._note("send", msgspec.json.decode(body))

    def received(self, frame: str | bytes) -> None:
        """A client sent this. What the server takes is one message of the document, what it refuses is none."""
        refusal = refusal_of(self._dialect, frame)
        if refusal is None:
            self._note("receive", msgspec.json.decode(frame))
        elif (value := _json_of(frame)) is not None and not any(reason in refusal for reason in UNSAYABLE):
            kinds = self.kinds_of("receive", value)
            assert kinds == [], f"the document calls it {kinds}, and it is refused: {refusal}"

    def _note(self, action: str, frame: Any) -> None:
        kinds = self.kinds_of(action, frame)
        assert len(kinds) == 1, f"the document calls it {kinds or self._complaints(action, frame)}: {frame}"
        message = f"{action}.{kinds[0]}"
        self.seen[message] += 1
        self.examples.setdefault(message, frame)

    def _complaints(self, action: str, frame: Any) -> dict[str, list[str]]:
        return {name: self.faults_of(f"{action}.{name}", frame) for name in self._validators[action]}


@cache
def traffic_of(dialect: str) -> Traffic:
    """One for all tests of the dialect."""
    return Traffic(dialect)


def _payloads(dialect: str, action: str) -> Mapping[str, Any]:
    """The schemas of a dialect's messages; nothing may be in the server's own frames that they do not name."""
    components, prefix = document()["components"], f"{dialect}.{action}."
    tighten = closed if action == "send" else lambda schema: schema
    schemas = {name: tighten(schema) for name, schema in components["schemas"].items()}
    return {
        key.removeprefix(prefix): {**tighten(message["payload"]), "components": {"schemas": schemas}}
        for key, message in components["messages"].items()
        if key.startswith(prefix)
    }


def closed(schema: Any) -> Any:
    """The schema without room for what it does not name, except where it says that there is room."""
    match schema:
        case {"properties": properties, **rest}:
            named = {name: closed(inner) for name, inner in properties.items()}
            return {"additionalProperties": False, **closed(rest), "properties": named}
        case dict():
            return {key: closed(inner) for key, inner in schema.items()}
        case list():
            return [closed(inner) for inner in schema]
        case _:
            return schema


def _json_of(frame: str | bytes) -> Any:
    """None for what is no JSON, or no text."""
    if isinstance(frame, bytes):
        return None
    try:
        return msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def refusal_of(dialect: str, frame: str | bytes) -> str | None:
    """Why the dialect takes a client's frame for none of its requests; None where it takes it."""
    try:
        match dialect:
            case "conversations":
                conversations.read_request(frame)
            case "channels":
                channels.read_request(frame)
            case "console":
                console.read_request(frame)
            case "shipping":
                shipping.read_asked(frame)
            case "streams":
                asked = streams.read_request(frame, "1.1", 0).asked
                return "an unknown type" if isinstance(asked, streams.Unknown) else None
            case _:
                kind, request = retell.read_request(frame)
                return str(request) if kind == retell.UNKNOWN else None
    except UNREADABLE as fault:
        return str(fault)
    except (streams.UnreadableFrame, retell.NotText, retell.NotJson) as fault:
        return str(fault) or type(fault).__name__
    return None
