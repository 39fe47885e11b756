"""The page of the API reference: all of both documents, without scripts, and what they say is never markup."""

from __future__ import annotations

import re
from typing import Any

import pytest

from adapters.reference.asyncapi import asyncapi
from adapters.reference.notation import shape
from adapters.reference.page import POLICY, page
from tests.adapters.web.chromium import browsing


def test_every_operation_channel_and_type_is_on_it(document: dict[str, Any]) -> None:
    sockets = asyncapi()
    shown = page(document, sockets)
    operations = {each["operationId"] for methods in document["paths"].values() for each in methods.values()}
    channels = {f"channel.{name}" for name in sockets["channels"]}
    types = {f"rest.{name}" for name in document["components"]["schemas"]}
    types |= {f"sockets.{name}" for name in sockets["components"]["schemas"]}
    assert operations | channels | types <= set(re.findall(r'id="([^"]+)"', shown))
    for message in sockets["components"]["messages"].values():
        assert f"<dt>{message['name']}</dt>" in shown


def test_every_link_leads_somewhere(document: dict[str, Any]) -> None:
    shown = page(document, asyncapi())
    links, places = set(re.findall(r'href="#([^"]+)"', shown)), re.findall(r'id="([^"]+)"', shown)
    assert links - set(places) == set()
    assert len(places) == len(set(places))
    assert len(links) > 50


def test_what_the_documents_say_is_text_and_no_markup(document: dict[str, Any]) -> None:
    evil = "<script>alert(1)</script>`<b>`"
    operation = {"summary": evil, "operationId": evil, "tags": [evil], "parameters": [], "responses": {evil: {}}}
    operation["responses"] = {"200": {"description": evil, "content": {evil: {"schema": {"enum": [evil]}}}}}
    schema = {"description": evil, "properties": {evil: {"type": evil, "description": evil}}}
    told = {
        "info": {"version": evil, "description": evil},
        "tags": [{"name": evil, "description": evil}],
        "paths": {evil: {"get": operation}},
        "components": {"schemas": {evil: schema}},
    }
    shown = page(told, asyncapi())
    assert "<script" not in shown
    assert "<b>`" not in shown
    assert shown.count("alert(1)") > 10


@pytest.mark.parametrize(
    "schema, told",
    [
        ({"type": "integer", "minimum": 0, "default": 20}, "integer, ≥ 0, else 20"),
        ({"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]}, "string, 9 or shorter | null"),
        ({"enum": ["a", 1]}, "&#34;a&#34; | 1"),
        ({"type": "array", "items": {"type": "string"}}, "[string, …]"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "{…: string}"),
        ({"type": "object"}, "object"),
        ({}, "anything"),
        ({"$ref": "#/components/schemas/Phase"}, '<a href="#rest.Phase">Phase</a>'),
        ({"properties": {"a": {}, "b": {}}, "required": ["b"]}, "{\n  a?: anything\n  b: anything\n}"),
        ({"properties": {"a": {"properties": {"b": {}}}}}, "{\n  a?: {\n    b?: anything\n  }\n}"),
    ],
)
def test_a_type_is_told_in_a_line_or_a_block(schema: dict[str, Any], told: str) -> None:
    assert shape(schema, "rest.") == told


async def test_a_browser_shows_it_under_its_strict_policy(server: Any, tmp_path: Any) -> None:
    answer = await server.http.get("/docs")
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY
    assert "script" not in POLICY
    async with browsing(tmp_path) as browser:
        shown = await browser.open(f"{server.url}/docs")
        await shown.until("document.querySelectorAll('details').length > 20")
        assert await shown.tell("getComputedStyle(document.querySelector('pre')).whiteSpace") == "pre-wrap"
