"""The AsyncAPI 3 document of the WebSockets, made from the types the dialects encode and read their frames by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from adapters.dialects import references
from core.dialect import Described, Endpoint, Reference

ASYNCAPI, WS_BINDING = "3.0.0", "0.1.0"
ABOUT = """\
Generated from the message types themselves, and checked against real traffic by the tests. `receive` is what the server
receives, `send` what it sends.

* A frame is one JSON object in a text frame. Unknown fields of a client's frame are ignored; the server's may have more
  fields in time.
* What cannot be read or done is answered by the dialect's own error to its sender alone, and the connection stays.
* Without authentication (CALLBOARD_AUTH=none) no token is asked for. A token comes in `Authorization: Bearer …`, as the
  subprotocols `bearer, <token>`, or as the query's `token`.
* Close codes are an interface: `x-close-codes` of each channel. 1012 and 4000 to 4499 come back, 4500 to 4999 do not.
"""
OF_ALL = {
    1002: "what came is no WebSocket",
    1007: "what came is no UTF-8",
    1009: "a frame was over the size limit",
    1011: "a fault of the server",
    1012: "the server restarts; come back",
    1013: "too many connections, or the log cannot be read now; come back later",
    4008: "this client reads too slowly; come back",
    4009: "nothing came for too long, not even a pong; come back",
}
"""When the server closes a socket, whatever the dialect."""
OF_GUARDED = {
    1008: "no valid token (the reason says what is wrong with it)",
    4401: "the token has expired; come back with a new one",
}
"""Likewise, where a token is asked for."""
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "query": {"type": "httpApiKey", "in": "query", "name": "token", "description": "The same token, in the query."},
}
TOKEN = {"type": "string", "description": "Who comes, where the server asks; a browser can set no header."}
HOST = {"default": "localhost:8000", "description": "Where the server listens."}

JSON = dict[str, Any]


def asyncapi() -> JSON:
    """The document, as an object that can be written as JSON. It is the same for all servers."""
    dialects = list(references())
    spoken = [(*named, reference) for reference, endpoints in dialects for named in _named(reference, endpoints)]
    described = [_components(reference) for reference, _ in dialects]
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": "Callboard", "version": version("callboard"), "description": ABOUT},
        "servers": {
            protocol: {"host": "{host}", "protocol": protocol, "variables": {"host": HOST}}
            for protocol in ("ws", "wss")
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(endpoint, reference) for name, endpoint, reference in spoken},
        "operations": {
            f"{name}.{action}": _operation(name, action, endpoint, reference)
            for name, endpoint, reference in spoken
            for action in ("receive", "send")
        },
        "components": {
            "messages": {key: message for messages, _ in described for key, message in messages.items()},
            "schemas": {key: schema for _, schemas in described for key, schema in schemas.items()},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _named(reference: Reference, endpoints: Sequence[Endpoint]) -> Iterator[tuple[str, Endpoint]]:
    """The endpoints with the names of their channels: the dialect's own, from the second on with a number."""
    for number, endpoint in enumerate(endpoints, start=1):
        yield reference.name if number == 1 else f"{reference.name}_{number}", endpoint


def _messages(reference: Reference) -> Iterator[tuple[str, Described]]:
    """The dialect's messages, by keys that are of one each."""
    for action in ("receive", "send"):
        for described in _of(reference, action):
            yield f"{action}.{described.name}", described


def _of(reference: Reference, action: str) -> Sequence[Described]:
    return reference.received if action == "receive" else reference.sent


def _channel(endpoint: Endpoint, reference: Reference) -> JSON:
    address = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", endpoint.path)
    channel: JSON = {
        "address": address,
        "title": reference.name,
        "description": reference.summary,
        "messages": {key: _ref("components", "messages", f"{reference.name}.{key}") for key, _ in _messages(reference)},
        "bindings": {"ws": {"method": "GET", "query": _query(endpoint, reference), "bindingVersion": WS_BINDING}},
        "x-close-codes": _closes(endpoint, reference),
    }
    parameters = re.findall(r"{(\w+)}", address)
    if parameters:
        channel["parameters"] = {name: {"description": reference.parameters[name]} for name in parameters}
    return channel


def _query(endpoint: Endpoint, reference: Reference) -> JSON:
    properties = {}
    if reference.query is not None:
        (known,) = msgspec.json.schema(reference.query)["$defs"].values()
        properties = known["properties"]
    return {"type": "object", "properties": properties if endpoint.is_open else {**properties, "token": TOKEN}}


def _closes(endpoint: Endpoint, reference: Reference) -> JSON:
    """Every code with all that it may mean, the dialect's own first."""
    meanings: dict[int, list[str]] = {}
    for closes in (reference.closes, OF_ALL, {} if endpoint.is_open else OF_GUARDED):
        for code, meaning in closes.items():
            meanings.setdefault(code, []).append(meaning)
    return {str(code): "; or ".join(meanings[code]) for code in sorted(meanings)}


def _operation(channel: str, action: str, endpoint: Endpoint, reference: Reference) -> JSON:
    asked = "clients send" if action == "receive" else "clients get"
    operation: JSON = {
        "action": action,
        "channel": _ref("channels", channel),
        "summary": f"What {asked} on {channel}.",
        "messages": [_ref("channels", channel, "messages", f"{action}.{one.name}") for one in _of(reference, action)],
    }
    if not endpoint.is_open:
        operation["security"] = [_ref("components", "securitySchemes", scheme) for scheme in SECURITY_SCHEMES]
    return operation


def _components(reference: Reference) -> tuple[JSON, JSON]:
    """The dialect's messages, and the schemas they share. A message's own schema stands in it."""
    named = dict(_messages(reference))
    prefix = f"#/components/schemas/{reference.name}."
    schemas, shared = msgspec.json.schema_components(
        [described.type for described in named.values()], ref_template=f"{prefix}{{name}}"
    )
    own = {schema["$ref"].removeprefix(prefix) for schema in schemas if "$ref" in schema}
    messages = {
        f"{reference.name}.{key}": _message(described, _resolved(schema, shared, prefix))
        for (key, described), schema in zip(named.items(), schemas, strict=True)
    }
    return messages, {f"{reference.name}.{name}": schema for name, schema in shared.items() if name not in own}


def _resolved(schema: JSON, shared: Mapping[str, JSON], prefix: str) -> JSON:
    return shared[schema["$ref"].removeprefix(prefix)] if "$ref" in schema else schema


def _message(described: Described, schema: JSON) -> JSON:
    """A generic type's own title and text say nothing of this one of its kinds."""
    is_generic = "[" in schema.get("title", "[")
    kept = {key: value for key, value in schema.items() if key != "description" or not is_generic}
    return {
        "name": described.name,
        "title": described.name,
        "summary": described.summary,
        "payload": kept | {"title": described.name},
    }


def _ref(*path: str) -> JSON:
    return {"$ref": "#/" + "/".join(path)}
