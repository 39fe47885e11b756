"""What passes through apps, held against the API reference: every answer of a described route, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from jsonschema import Draft202012Validator, FormatChecker
from quart import Quart, Request, Response

from adapters.reference.openapi import template_of
from adapters.web.described import ANY, JSON, description_of

FORMATS = FormatChecker(["date-time"])


class Traffic:
    """Requests and answers beside the document. `faults` are the disagreements, as sentences."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._strict = {**document, "components": {**document["components"], "schemas": _closed(document)}}
        self.seen: set[tuple[str, str, int]] = set()
        self.faults: list[str] = []

    async def pass_by(self, app: Quart, request: Request, response: Response) -> None:
        """Look at an answer, and at its request. Routes that tests made up are none of ours."""
        rule, method = request.url_rule, "GET" if request.method == "HEAD" else request.method
        if rule is None or method == "OPTIONS" or description_of(app.view_functions[rule.endpoint]) is None:
            return
        path = template_of(rule)
        self.seen.add((method, path, response.status_code))
        operation = self._document["paths"][path][method.lower()]
        async for fault in self._disagreements(operation, request, response):
            self.faults.append(f"{method} {path} {response.status_code}: {fault}")

    async def _disagreements(self, operation: Any, request: Request, response: Response) -> Any:
        declared = operation["responses"].get(str(response.status_code))
        if declared is None:
            yield "a status that is not declared"
            return
        for fault in await self._in_answer(self._resolved(declared), request, response):
            yield fault
        if response.status_code == 200 and (body := operation.get("requestBody")) and JSON in body["content"]:
            sent = (await request.get_data()).strip() or b"{}"
            for fault in self._against(body["content"][JSON]["schema"], msgspec.json.decode(sent), self._document):
                yield f"taken, although {fault}"
        if response.status_code == 422:
            for fault in self._unknown_places(operation, msgspec.json.decode(await response.get_data())):
                yield fault

    async def _in_answer(self, declared: Any, request: Request, response: Response) -> list[str]:
        contents = declared.get("content", {})
        if ANY in contents:
            return []
        if (response.mimetype if contents else "") not in (contents or {""}):
            return [f"{response.mimetype} is not declared"]
        if JSON not in contents or request.method == "HEAD":
            return []
        return list(self._against(contents[JSON]["schema"], await response.get_json(), self._strict))

    def _against(self, schema: Any, value: Any, document: dict[str, Any]) -> Iterator[str]:
        """With `document` as what the schema's references lead into."""
        validator = Draft202012Validator({**schema, "components": document["components"]}, format_checker=FORMATS)
        for error in validator.iter_errors(value):
            yield f"{error.json_path}: {error.message}"

    def _unknown_places(self, operation: Any, problem: Any) -> Iterator[str]:
        """What is said to be wrong must be something the document knows."""
        known: set[tuple[str, ...]] = {(parameter["in"], parameter["name"]) for parameter in operation["parameters"]}
        for content in operation.get("requestBody", {"content": {}})["content"].values():
            known |= {("body", field) for field in self._resolved(content["schema"])["properties"]}
            known |= {("body",)}
        for fault in problem["detail"]:
            if tuple(fault["loc"][:2]) not in known:
                yield f"{fault['loc']} is not declared"

    def _resolved(self, node: Any) -> Any:
        while "$ref" in node:
            reference, node = node["$ref"], self._document
            for name in reference.removeprefix("#/").split("/"):
                node = node[name]
        return node


def _closed(document: dict[str, Any]) -> dict[str, Any]:
    """The schemas without room for fields they do not name: clients are to put up with more, our tests are not."""
    schemas: dict[str, Any] = document["components"]["schemas"]
    return {
        name: {"additionalProperties": False, **schema} if "properties" in schema else schema
        for name, schema in schemas.items()
    }
