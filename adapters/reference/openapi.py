"""The OpenAPI 3.1 document of the REST routes, made from the app's own routes and what they say of themselves."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct
from quart import Quart
from werkzeug.routing import Rule

from adapters.web.auth import is_public
from adapters.web.described import JSON, Content, Description, description_of

OPENAPI = "3.1.0"
COMPONENT = "#/components/schemas/{name}"
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")
"""Methods that are described, in this order; HEAD and OPTIONS are the framework's."""
ABOUT = """\
Generated from the routes themselves, and checked against their traffic by the tests.

* What is wrong is said in JSON, `{"detail": …}`; of a 422 `detail` lists every field at fault.
* Where an `Idempotency-Key` is taken, the same key again gets the first outcome and changes nothing, also after a
  restart.
* Every answer has an `X-Request-ID`: the request's own, or a new one; the server's log has it too.
* Without authentication (CALLBOARD_AUTH=none) no token is asked for.
* Unknown fields of a request are ignored; answers may have more fields in time.
"""
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "query": {"type": "apiKey", "in": "query", "name": "token", "description": "The same token, in the query."},
}
PLACES = {
    "category": "A kind of streams, the first part of their names.",
    "id": "The id of the conversation or session.",
    "digest": "SHA-256 of the content, in hexadecimal.",
    "connection": "The id of a connection, `<run of the server>.<number>`.",
    "event": "The id of an event, `<stream>@<version>`.",
    "name": "The stream's or file's name.",
    "stream": "The name of a stream, `<category>-<id>`.",
    "subject": "A person, by id, or a stream that is nobody's.",
}
"""What stands in paths."""
MEANINGS = {
    200: "Done.",
    304: "Not changed since.",
    308: "It is where `Location` says.",
    400: "Not to be understood.",
    401: "No valid token, name or password.",
    403: "Not for this visitor, or not from a page of this origin.",
    404: "There is none.",
    408: "The body did not come in time.",
    409: "Not possible in this state.",
    411: "The length must be stated.",
    413: "Too large.",
    422: "Fields are missing or wrong.",
    429: "Too much at once.",
    500: "A fault of the server.",
    503: "Not possible now.",
}
HEADERS = {
    401: {"WWW-Authenticate": "How to show who one is."},
    429: {"Retry-After": "Seconds after which to ask again."},
    503: {"Retry-After": "Seconds after which to ask again."},
}
OF_ALL = frozenset({403, 429, 500})
"""Statuses that any route may answer with."""
OF_GUARDED = frozenset({401, 503})
"""Those of routes that are not public, all of which also read the log."""


class Problem(Struct, frozen=True):
    detail: str


class Fault(Struct, frozen=True):
    """`loc` is where: body, query or header, and the field."""

    loc: list[str]
    msg: str


class Unprocessable(Struct, frozen=True):
    detail: list[Fault]


class Operation(Struct, frozen=True):
    """One method of one route."""

    path: str
    method: str
    endpoint: str
    module: str
    doc: str
    description: Description

    @property
    def problems(self) -> frozenset[int]:
        guarded = frozenset() if is_public(self.method, self.path) else OF_GUARDED
        return (self.description.problems | OF_ALL | guarded) - self.description.answers.keys()


def openapi(app: Quart) -> dict[str, Any]:
    """The document for all described routes of the app, as an object that can be written as JSON."""
    operations = sorted(operations_of(app), key=lambda it: (it.path, METHODS.index(it.method)))
    schemas = Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schemas)
    return {
        "openapi": OPENAPI,
        "info": {"title": "Callboard", "version": version("callboard"), "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{scheme: []} for scheme in SECURITY_SCHEMES],
        "tags": list(_tags(operations)),
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {_problem_name(status): _problem(status, schemas) for status in _statuses(operations)},
            "securitySchemes": SECURITY_SCHEMES | _signatures(operations),
        },
    }


def operations_of(app: Quart) -> Iterator[Operation]:
    """Each method of each route that says something of itself."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        description = description_of(view)
        if description is None or rule.websocket:
            continue
        path, doc = template_of(rule), inspect.getdoc(view) or ""
        for method in sorted(set(METHODS) & (rule.methods or set())):
            yield Operation(path, method, rule.endpoint, view.__module__, doc, description)


def template_of(rule: Rule) -> str:
    """The rule's path as OpenAPI writes it: `{id}` where the framework writes `<id>` or `<path:id>`."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


class Schemas:
    """JSON Schemas of all types the operations name. `components` are those that are shared."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        types = {content.type for each in operations for content in _contents(each.description) if content.type}
        ordered = sorted(types | {Problem, Unprocessable}, key=str)
        found, components = msgspec.json.schema_components(ordered, ref_template=COMPONENT)
        self._schemas = dict(zip(ordered, found, strict=True))
        self.components = components

    def of(self, content: Content) -> dict[str, Any]:
        """The content as a map of media types has it."""
        schema = {"type": "string"} if content.type is None else self._schemas[content.type]
        return {content.kind: {"schema": schema}}

    def parameters(self, type: type[Struct] | None, place: str) -> Iterator[dict[str, Any]]:
        """A parameter for each field; the types of fields are shared, the struct itself is nothing that travels."""
        if type is None:
            return
        (reference,), components = msgspec.json.schema_components([type], ref_template=COMPONENT)
        schema = components.pop(reference["$ref"].rpartition("/")[2])
        self.components |= components
        for name, field in schema["properties"].items():
            required = name in schema["required"]
            yield {"name": name, "in": place, "required": required, "schema": _without_null(field)}


def _contents(description: Description) -> Iterator[Content]:
    if description.body:
        yield description.body
    yield from (content for content in description.answers.values() if content)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Null is no value that a query or a header could have."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    more = {name: value for name, value in schema.items() if name != "anyOf" and value is not None}
    return {**more, **kinds[0]}


def _described(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    description, (summary, _, more) = operation.description, operation.doc.partition("\n\n")
    answers = {status: _answer(status, content, schemas) for status, content in description.answers.items()}
    problems = {status: {"$ref": f"#/components/responses/{_problem_name(status)}"} for status in operation.problems}
    described: dict[str, Any] = {
        "operationId": operation.endpoint.rpartition(".")[2],
        "summary": " ".join(summary.split()).removesuffix("."),
        "tags": [_tag(operation)],
        "parameters": [
            *_places(operation.path),
            *schemas.parameters(description.query, "query"),
            *schemas.parameters(description.headers, "header"),
        ],
        "responses": {str(status): answer for status, answer in sorted((answers | problems).items())},
    }
    if more:
        described["description"] = more
    if description.body:
        described["requestBody"] = {"content": schemas.of(description.body), "required": _is_needed(description.body)}
    if is_public(operation.method, operation.path):
        described["security"] = [{description.signed_by: []}] if description.signed_by else []
    return described


def _is_needed(body: Content) -> bool:
    """Whether a request without a body lacks something: no body counts as an object without fields."""
    return any(field.required for field in msgspec.structs.fields(body.type))


def _places(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", path)
    return [
        {"name": name, "in": "path", "required": True, "description": PLACES[name], "schema": {"type": "string"}}
        for name in names
    ]


def _answer(status: int, content: Content | None, schemas: Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": MEANINGS[status]}
    return answer | {"content": schemas.of(content)} if content else answer


def _problem(status: int, schemas: Schemas) -> dict[str, Any]:
    """What any route answers that answers so."""
    named = HEADERS.get(status, {})
    headers = {name: {"description": what, "schema": {"type": "string"}} for name, what in named.items()}
    answer = _answer(status, Content(JSON, Unprocessable if status == 422 else Problem), schemas)
    return answer | {"headers": headers} if headers else answer


def _problem_name(status: int) -> str:
    return f"Problem{status}"


def _statuses(operations: Iterable[Operation]) -> list[int]:
    return sorted({status for operation in operations for status in operation.problems})


def _signatures(operations: Iterable[Operation]) -> dict[str, dict[str, str]]:
    headers = {it.description.signed_by for it in operations}
    return {header: {"type": "apiKey", "in": "header", "name": header} for header in headers if header}


def _tag(operation: Operation) -> str:
    return operation.module.rpartition(".")[2].replace("_", " ")


def _tags(operations: Iterable[Operation]) -> Iterator[dict[str, str]]:
    """The modules the routes stand in, and the first sentence of what those say of themselves."""
    modules = {_tag(operation): operation.module for operation in operations}
    for tag, module in sorted(modules.items()):
        about = inspect.getdoc(sys.modules[module]) or ""
        yield {"name": tag, "description": about.partition("\n\n")[0]}
