"""The API reference as a page for people: one file without scripts, that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup, escape

from adapters.reference.notation import shape

Document = Mapping[str, Any]

STYLE = """\
:root { color-scheme: light dark; --dim: #767676; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
code, pre { font: .9em/1.5 ui-monospace, monospace; }
pre { white-space: pre-wrap; margin: .25rem 0; }
details { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .4rem 0; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4.5rem; }
dt { font-weight: 600; margin-top: .5rem; }
dd { margin-left: 1.5rem; }
i, small { color: var(--dim); font-style: normal; }
:target { outline: 2px solid; outline-offset: 4px; }
"""
POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's own style is let in by what it says, and nothing else is."""
REST, SOCKETS = "rest.", "sockets."
"""What stands in front of the names of each document's types."""
PAGE = Markup("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Callboard: API reference</title>
<style>{style}</style>
</head>
<body>
<h1>Callboard {version}</h1>
<p><a href="#rest">REST</a> · <a href="#sockets">WebSockets</a> · <a href="#types">Types</a> ·
for programs: <a href="/openapi.json">OpenAPI</a>, <a href="/asyncapi.json">AsyncAPI</a></p>
<h2 id="rest">REST</h2>
{rest}
<h2 id="sockets">WebSockets</h2>
{sockets}
<h2 id="types">Types</h2>
{types}
</body>
</html>
""")


def page(rest: Document, sockets: Document) -> str:
    """The page of an OpenAPI and an AsyncAPI document."""
    types = [*_types(rest, REST), *_types(sockets, SOCKETS)]
    return PAGE.format(
        style=Markup(STYLE),  # noqa: S704  # a constant of ours, whose digest the policy has
        version=rest["info"]["version"],
        rest=_prose(rest["info"]["description"]) + Markup("").join(_rest(rest)),
        sockets=_prose(sockets["info"]["description"]) + Markup("").join(_sockets(sockets)),
        types=Markup("").join(types),
    )


# --- REST ---------------------------------------------------------------------------------------------------------


def _rest(document: Document) -> Iterator[Markup]:
    for tag in document["tags"]:
        yield Markup("<h3>{}</h3><p>{}</p>").format(tag["name"], _inline(tag["description"]))
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield _operation(document, method.upper(), path, operation)


def _operation(document: Document, method: str, path: str, operation: Document) -> Markup:
    title = Markup("<b>{}</b> <code>{}</code> <small>{}</small>").format(method, path, _inline(operation["summary"]))
    told = [_prose(operation.get("description", "")), _parameters(operation["parameters"])]
    for kind, content in operation.get("requestBody", {"content": {}})["content"].items():
        body = _entry(f"Body ({kind})", _shaped(content, REST, document))
        told.append(Markup("<dl>{}</dl>").format(body))
    answers = Markup("").join(
        _entry(status, _answered(answer, document)) for status, answer in operation["responses"].items()
    )
    return _folded(operation["operationId"], title, [*told, Markup("<dl>{}</dl>").format(answers)])


def _parameters(parameters: list[Document]) -> Markup:
    entries = (
        _entry(f"{each['name']} ({each['in']})", _shaped(each, REST) + _inline(each.get("description", "")))
        for each in parameters
    )
    return Markup("<dl>{}</dl>").format(Markup("").join(entries))


def _answered(answer: Document, document: Document) -> Markup:
    if "$ref" in answer:  # a problem: what it looks like is said once for all
        return _inline(document["components"]["responses"][answer["$ref"].rpartition("/")[2]]["description"])
    contents = [
        Markup("<small>{}</small>{}").format(kind, _shaped(content, REST, document))
        for kind, content in answer.get("content", {}).items()
    ]
    return Markup("").join([_inline(answer["description"]), Markup(" "), *contents])


# --- WebSockets ---------------------------------------------------------------------------------------------------


def _sockets(document: Document) -> Iterator[Markup]:
    for name, channel in document["channels"].items():
        title = Markup("<b>{}</b> <code>{}</code>").format(channel["title"], channel["address"])
        told = [_prose(channel["description"])]
        if (query := channel["bindings"]["ws"]["query"])["properties"]:
            told.append(Markup("<h4>Query</h4>{}").format(_shaped({"schema": query}, SOCKETS)))
        for action, heading in (("receive", "Clients send"), ("send", "Clients get")):
            told.append(Markup("<h4>{}</h4>").format(heading))
            told.extend(_frames(document, channel, action))
        codes = Markup("").join(_entry(code, _inline(why)) for code, why in channel["x-close-codes"].items())
        yield _folded(f"channel.{name}", title, [*told, Markup("<h4>Close codes</h4><dl>{}</dl>").format(codes)])


def _frames(document: Document, channel: Document, action: str) -> Iterator[Markup]:
    for key, reference in channel["messages"].items():
        if key.startswith(f"{action}."):
            message = document["components"]["messages"][reference["$ref"].rpartition("/")[2]]
            told = _inline(message.get("summary", "")) + _shaped({"schema": message["payload"]}, SOCKETS)
            yield Markup("<dl>{}</dl>").format(_entry(message["name"], told))


# --- what both have -----------------------------------------------------------------------------------------------


def _types(document: Document, prefix: str) -> Iterator[Markup]:
    for name, schema in document["components"]["schemas"].items():
        told = _prose(schema.get("description", "")) + _shaped({"schema": schema}, prefix)
        yield Markup('<div id="{}{}"><h4>{}</h4>{}</div>').format(prefix, name, name, told)


def _folded(id: str, title: Markup, told: list[Markup]) -> Markup:
    return Markup('<details id="{}"><summary>{}</summary>{}</details>').format(id, title, Markup("").join(told))


def _entry(name: str, told: Markup) -> Markup:
    return Markup("<dt>{}</dt><dd>{}</dd>").format(name, told)


def _shaped(content: Document, prefix: str, document: Document | None = None) -> Markup:
    """With the `document`, a type's own fields instead of its name."""
    schema = content["schema"]
    if document is not None and "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return Markup("<pre>{}</pre>").format(shape(schema, prefix))


def _inline(text: str) -> Markup:
    """Words between back-quotes are code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped the line before


def _prose(text: str) -> Markup:
    """Paragraphs, and lists of lines that begin with a star."""
    blocks = (block for block in re.split(r"\n\n|\n?^\* ", text, flags=re.MULTILINE) if block.strip())
    return Markup("").join(Markup("<p>{}</p>").format(_inline(" ".join(block.split()))) for block in blocks)
