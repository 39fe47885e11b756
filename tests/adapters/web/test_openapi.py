"""The OpenAPI document: all routes and nothing else, as they are.

What passes through the other tests is held against it by the fixture `traffic`; here is what that cannot see, and that
it sees at all.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from quart import Response
from quart_trio import QuartTrio
from typer.testing import CliRunner

from adapters.bootstrap import open_unserved
from adapters.cli import app as command_line
from adapters.config import from_environment
from adapters.web.answers import answer
from adapters.web.described import Content, Keyed, described, description_of
from adapters.web.requests import body_of
from tests.adapters.web.traffic import Traffic

SECRET = "a secret of thirty-two bytes or more"


@pytest.fixture
async def whole() -> AsyncIterator[QuartTrio]:
    """The app as `callboard serve` puts it together."""
    async with open_unserved(from_environment({}, {})) as app:
        yield app


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


# --- the document -----------------------------------------------------------------------------------------------


async def test_every_route_is_described_and_nothing_else(whole: QuartTrio, document: dict[str, Any]) -> None:
    routes = {
        (method, rule.rule.replace("path:", "").replace("<", "{").replace(">", "}"))
        for rule in whole.url_map.iter_rules()
        if not rule.websocket
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in operations(document)} == routes
    assert len(routes) > 30


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_a_document_with_a_wrong_schema_would_be_noticed(document: dict[str, Any]) -> None:
    broken = {**document, "paths": {"/health": {"get": {"responses": {"200": {"content": {}}}}}}}
    assert list(OpenAPIV31SpecValidator(broken).iter_errors()) != []


def test_every_operation_has_a_summary_a_name_and_a_tag_that_is_explained(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert set(operation["tags"]) <= tags, path
    assert len({operation["operationId"] for *_, operation in operations(document)}) == len(list(operations(document)))


def test_every_schema_is_used(document: dict[str, Any]) -> None:
    used = set(re.findall(r"#/components/(\w+/\w+)", msgspec.json.encode(document).decode()))
    kept = {f"{kind}/{name}" for kind in ("schemas", "responses") for name in document["components"][kind]}
    assert used == kept


async def test_what_a_route_reads_is_what_it_declares(whole: QuartTrio) -> None:
    """The type in the note at the route is the one that the route's own code gives to what reads requests."""
    readers: list[str] = []
    for name, view in whole.view_functions.items():
        if (description := description_of(view)) is None:
            continue
        read = set(view.__code__.co_names)
        for reader, type in (("body_of", getattr(description.body, "type", None)), ("query_of", description.query)):
            if reader in read:
                assert type is not None, name
                assert type.__name__ in read, name
                readers.append(name)
    assert len(readers) >= 12


# --- where it is ------------------------------------------------------------------------------------------------


async def test_the_server_shows_it_to_everybody(start: Any, document: dict[str, Any]) -> None:
    server = await start(secret=SECRET)
    shown = await server.http.get("/openapi.json")
    assert shown.status_code == 200
    paths = shown.json()["paths"]
    assert paths.items() <= document["paths"].items()
    assert "/api/v2/conversations" in paths


def test_the_command_line_prints_it(document: dict[str, Any]) -> None:
    printed = CliRunner().invoke(command_line, ["reference", "openapi"])
    assert msgspec.json.decode(printed.stdout) == document


async def test_without_test_endpoints_they_are_not_in_it() -> None:
    settings = from_environment({"CALLBOARD_TEST_ENDPOINTS": "no"}, {})
    async with open_unserved(settings) as app:
        shown = await (await app.test_client().get("/openapi.json", headers={"Host": "localhost"})).get_json()
    assert [path for path in shown["paths"] if path.startswith(("/api/test/", "/test-token"))] == []


# --- what it promises, tried on every operation -------------------------------------------------------------------


async def test_a_token_is_asked_for_exactly_where_the_document_says_so(start: Any) -> None:
    server = await start(secret=SECRET)
    for method, path, operation in operations((await server.http.get("/openapi.json")).json()):
        status = (await server.http.request(method, re.sub(r"{\w+}", "x", path))).status_code
        assert (status == 401) == ("security" not in operation), path


async def test_a_key_is_looked_at_exactly_where_the_document_says_so(server: Any) -> None:
    document = (await server.http.get("/openapi.json")).json()
    keyed = 0
    for method, path, operation in operations(document):
        if "requestBody" in operation or method != "GET":
            body = least_body(document, operation)
            answer = await server.http.request(
                method, re.sub(r"{\w+}", "x", path), json=body, headers={"Idempotency-Key": "k" * 129}
            )
            refused = answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
            assert refused == any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"]), path
            keyed += refused
    assert keyed > 8


def least_body(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """A body that has what is required, and no more."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return {}
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    return dict.fromkeys(schema["required"], "idle")


# What the query says ends an event stream before it begins.
WRONG = f"?after=now&limit=few&message_count=many&since=ever&size=some&at=noon&type={'long' * 50}"


async def every(app: QuartTrio, document: dict[str, Any], data: bytes = b"", **headers: str) -> set[tuple[str, str]]:
    """Ask every operation the same. Which they are."""
    client: Any = app.test_client()
    asked = set[tuple[str, str]]()
    for method, path, _ in operations(document):
        url = re.sub(r"{\w+}", "x", path) + WRONG
        await client.open(url, method=method, data=data, headers={"Host": "localhost", **headers})
        asked.add((method, path))
    return asked


def seen(traffic: Traffic, status: int) -> set[tuple[str, str]]:
    return {(method, path) for method, path, answered in traffic.seen if answered == status}


def declaring(document: dict[str, Any], status: int) -> set[tuple[str, str]]:
    return {(method, path) for method, path, it in operations(document) if str(status) in it["responses"]}


async def test_every_operation_refuses_strangers_as_described(
    whole: QuartTrio, document: dict[str, Any], traffic: Traffic
) -> None:
    assert await every(whole, document, Host="elsewhere.example") == seen(traffic, 403)


async def test_every_operation_refuses_a_body_too_large_as_described(
    whole: QuartTrio, document: dict[str, Any], traffic: Traffic
) -> None:
    whole.config["MAX_CONTENT_LENGTH"] = 8192
    await every(whole, document, b"x" * 8193)
    assert seen(traffic, 413) == declaring(document, 413) != set()


async def test_every_operation_names_what_is_wrong_as_described(
    whole: QuartTrio, document: dict[str, Any], traffic: Traffic
) -> None:
    await every(whole, document, b"{", **{"Last-Event-ID": "nonsense", "Idempotency-Key": "k" * 129})
    # Whether there is such a stream is asked before what of it is wanted.
    assert seen(traffic, 422) == declaring(document, 422) - {("GET", "/api/log/streams/{name}")} != set()


async def test_every_operation_is_limited_as_described(document: dict[str, Any], traffic: Traffic) -> None:
    limits = {"CALLBOARD_PRINCIPAL_RATE_LIMIT": "0.001", "CALLBOARD_PRINCIPAL_RATE_BURST": "1"}
    auth = {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": SECRET, "CALLBOARD_TEST_ENDPOINTS": "yes"}
    settings = from_environment({**auth, **limits}, {})
    token = jwt.encode({"sub": "ada"}, SECRET, "HS256")
    async with open_unserved(settings) as app:
        await app.test_client().get("/health", headers={"Authorization": f"Bearer {token}"})
        await every(app, document, Authorization=f"Bearer {token}")
    assert seen(traffic, 429) == declaring(document, 429) != set()


# --- that disagreement is seen ------------------------------------------------------------------------------------


class Body(msgspec.Struct):
    """As the document has it for POST /api/v2/conversations, but that everything is let in."""

    topic: Any = None


OPENED = {
    "id": "1",
    "conversation_id": "1",
    "user_id": None,
    "status": "active",
    "personality": "friendly_neutral",
    "created_at": "2026-11-21T12:00:00+00:00",
    "conversation_metadata": {"session_type": "daily", "topic": None, "created_via": "api"},
}


@pytest.mark.parametrize(
    "status, told, sent, fault",
    [
        (200, OPENED, {}, None),
        (200, OPENED, {"further": "fields are ignored"}, None),
        (200, {**OPENED, "more": 1}, {}, "'more' was unexpected"),
        (200, {**OPENED, "user_id": 7}, {}, r"\$\.user_id: 7 is not"),
        (200, {**OPENED, "status": "new"}, {}, r"\$\.status: 'new' is not one of"),
        (200, {**OPENED, "created_at": "at noon"}, {}, "'at noon' is not a 'date-time'"),
        (200, {**OPENED, "conversation_metadata": {"topic": None}}, {}, "'session_type' is a required property"),
        (200, OPENED, {"topic": 7}, r"taken, although \$\.topic: 7 is not"),
        (418, {"detail": "I'm a teapot"}, {}, "418: a status that is not declared"),
        (503, {"error": "later"}, {}, "'detail' is a required property"),
        (422, {"detail": [{"loc": ["body", "topics"], "msg": "none"}]}, {}, r"\['body', 'topics'\] is not declared"),
    ],
)
async def test_an_answer_that_is_not_as_described_is_noticed(
    traffic: Traffic, status: int, told: Any, sent: Any, fault: str | None
) -> None:
    app = QuartTrio(__name__, static_folder=None)

    @app.post("/api/v2/conversations")
    @described(dict[str, Any], body=Body, headers=Keyed)
    async def pretend() -> Response:
        await body_of(Body)
        return answer(told, status)

    await app.test_client().post("/api/v2/conversations", json=sent)
    noticed, traffic.faults = traffic.faults, []
    assert bool(noticed) == (fault is not None)
    assert fault is None or re.search(fault, "\n".join(noticed))


async def test_another_kind_of_content_is_noticed(traffic: Traffic) -> None:
    app = QuartTrio(__name__, static_folder=None)

    @app.get("/health")
    @described(Content("text/html"))
    async def pretend() -> Response:
        return Response("well", content_type="text/html")

    await app.test_client().get("/health")
    noticed, traffic.faults = traffic.faults, []
    assert noticed == ["GET /health 200: text/html is not declared"]
