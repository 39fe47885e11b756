"""The AsyncAPI document: its shape, by the rules of the specification that it has to do with; and where it is had.

Traffic is held against it in tests/dialogues.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator
from quart_trio import QuartTrio
from typer.testing import CliRunner

from adapters.bootstrap import open_unserved
from adapters.cli import app as command_line
from adapters.config import from_environment
from adapters.reference.asyncapi import asyncapi
from tests.adapters.web.conftest import Start

SECRET = "a secret of thirty-two bytes or more"


def an_object(required: str, optional: str = "", **properties: Any) -> dict[str, Any]:
    """An object of AsyncAPI 3.0 with these fields, and with extensions."""
    names = dict.fromkeys((*required.split(), *optional.split()), True)
    return {
        "type": "object",
        "required": required.split(),
        "properties": names | properties,
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
    }


def a_map(of: dict[str, Any]) -> dict[str, Any]:
    keys = {"pattern": r"^[A-Za-z0-9_.\-]+$"}
    return {"type": "object", "propertyNames": keys, "additionalProperties": of, "minProperties": 1}


REF = {**an_object("$ref"), "properties": {"$ref": {"type": "string", "pattern": "^#/"}}}
REFS = {"type": "array", "items": REF, "minItems": 1, "uniqueItems": True}
TEXT = {"type": "string", "minLength": 1}
QUERY = {"type": "object", "required": ["type", "properties"], "properties": {"type": {"const": "object"}}}
WS = {**an_object("method query bindingVersion", method={"enum": ["GET", "POST"]}, query=QUERY)}
SHAPE = an_object(
    "asyncapi info servers defaultContentType channels operations components",
    asyncapi={"const": "3.0.0"},
    info=an_object("title version", "description", title=TEXT, version=TEXT),
    servers=a_map(
        an_object(
            "host protocol",
            protocol={"enum": ["ws", "wss"]},
            variables=a_map(an_object("", "default description enum examples")),
        )
    ),
    channels=a_map(
        an_object(
            "address messages description bindings x-close-codes",
            "title",
            address={"type": "string", "pattern": "^/"},
            messages=a_map(REF),
            parameters=a_map(an_object("description", description=TEXT)),
            bindings=an_object("ws", ws=WS),
            **{"x-close-codes": {"type": "object", "propertyNames": {"pattern": "^[14][0-9]{3}$"}}},
        )
    ),
    operations=a_map(
        an_object(
            "action channel messages summary",
            action={"enum": ["send", "receive"]},
            channel=REF,
            messages=REFS,
            security=REFS,
        )
    ),
    components=an_object(
        "messages schemas securitySchemes",
        messages=a_map(an_object("name title summary payload", name=TEXT, summary=TEXT, payload={"type": "object"})),
        schemas=a_map({"type": "object"}),
    ),
)


@pytest.fixture(scope="module")
def spoken() -> dict[str, Any]:
    """As those get it who ask for it."""
    read: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asyncapi()))
    return read


@pytest.fixture
async def whole() -> QuartTrio:
    """The app as `callboard serve` puts it together."""
    async with open_unserved(from_environment({"OBFUSCATED_WS_PATH": "OBFUSCATED_WS_PATH"}, {})) as app:
        return app


def references(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for inner in value.values():
                yield from references(inner)
        case list():
            for inner in value:
                yield from references(inner)
        case _:
            pass


def test_the_document_has_the_shape_of_asyncapi_3(spoken: dict[str, Any]) -> None:
    Draft7Validator.check_schema(SHAPE)
    assert [f"{error.json_path}: {error.message}" for error in Draft7Validator(SHAPE).iter_errors(spoken)] == []


def test_a_document_of_another_shape_would_be_noticed(spoken: dict[str, Any]) -> None:
    operations = {name: {**it, "action": "publish"} for name, it in spoken["operations"].items()}
    assert not Draft7Validator(SHAPE).is_valid({**spoken, "operations": operations})
    assert not Draft7Validator(SHAPE).is_valid({**spoken, "paths": {}})


def test_every_reference_leads_somewhere_and_every_component_is_used(spoken: dict[str, Any]) -> None:
    used = set(references(spoken))
    for reference in used:
        found = spoken
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
    kept = {f"#/components/{kind}/{name}" for kind, named in spoken["components"].items() for name in named}
    assert kept - used == set()


def test_every_payload_is_a_json_schema_of_an_object(spoken: dict[str, Any]) -> None:
    for message in spoken["components"]["messages"].values():
        Draft7Validator.check_schema(message["payload"])
        assert message["payload"]["type"] == "object"
        assert message["payload"]["properties"]
    for schema in spoken["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_a_channel_has_an_operation_for_each_direction_with_all_its_messages(spoken: dict[str, Any]) -> None:
    for name, channel in spoken["channels"].items():
        taken = []
        for action in ("receive", "send"):
            operation = spoken["operations"][f"{name}.{action}"]
            assert (operation["action"], operation["channel"]) == (action, {"$ref": f"#/channels/{name}"})
            taken += [reference["$ref"] for reference in operation["messages"]]
        assert sorted(taken) == sorted(f"#/channels/{name}/messages/{key}" for key in channel["messages"])
    assert len(spoken["operations"]) == 2 * len(spoken["channels"])


async def test_the_channels_are_the_apps_websockets(whole: QuartTrio, spoken: dict[str, Any]) -> None:
    routes = {
        rule.rule.replace("<", "{").replace(">", "}").replace("/OBFUSCATED_WS_PATH/", "/{OBFUSCATED_WS_PATH}/")
        for rule in whole.url_map.iter_rules()
        if rule.websocket
    }
    assert {channel["address"] for channel in spoken["channels"].values()} == routes
    assert len(spoken["channels"]) == len(routes) > 5


def test_what_is_open_in_a_path_is_explained(spoken: dict[str, Any]) -> None:
    for channel in spoken["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == channel.get("parameters", {}).keys()


def test_who_needs_a_token_can_give_one(spoken: dict[str, Any]) -> None:
    for name, channel in spoken["channels"].items():
        is_guarded = "token" in channel["bindings"]["ws"]["query"]["properties"]
        assert is_guarded == (name != "retell")
        assert is_guarded == ("4401" in channel["x-close-codes"])
        assert is_guarded == ("security" in spoken["operations"][f"{name}.receive"])


async def test_the_document_is_served_to_everybody_and_tells_no_secret(start: Start) -> None:
    server = await start(secret=SECRET)
    answer = await server.http.get("/asyncapi.json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.content == msgspec.json.encode(asyncapi())
    assert "/{OBFUSCATED_WS_PATH}/{call_id}" in answer.text


def test_the_document_can_be_printed(spoken: dict[str, Any]) -> None:
    result = CliRunner().invoke(command_line, ["reference", "asyncapi"], env={"OBFUSCATED_WS_PATH": "very-secret"})
    assert result.exit_code == 0
    assert msgspec.json.decode(result.stdout) == spoken
    assert "very-secret" not in result.stdout
