"""What a route says of itself for the API reference. It stands at the route, and changes nothing the route does.

Requests are read by `adapters.web.requests` and answered by `adapters.web.answers`, whose errors the contracts fix; a
library that documents by validating would answer in words of its own. So this only notes which types those are, and
`tests/adapters/web` checks the notes against every request and answer that passes there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct
from msgspec import field as named

from core.messages import MAX_COMMAND_ID_LENGTH

View = TypeVar("View", bound=Callable[..., Any])

JSON, FORM, TEXT, HTML = "application/json", "application/x-www-form-urlencoded", "text/plain", "text/html"
ANY = "*/*"
"""Content of whatever kind is in the answer's header."""
NOT_MODIFIED, PERMANENT_REDIRECT = 304, 308

Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""ISO 8601 in UTC, with offset."""

_ATTRIBUTE = "__described__"


@dataclass(frozen=True, slots=True)
class Content:
    """A body of `kind`, a media type, in the shape of `type`; None for bytes and text that have none."""

    kind: str
    type: Any = None


class Keyed(Struct, frozen=True):
    """What may be asked for again: with the same key it gets its first outcome, and nothing is done twice."""

    key: Annotated[str, Meta(max_length=MAX_COMMAND_ID_LENGTH)] | None = named(name="Idempotency-Key", default=None)


@dataclass(frozen=True, slots=True)
class Description:
    """`answers` are those of the route's own, None for one without a body; `problems` the statuses it answers with
    `{"detail": …}`, beside those that any route may. `query` and `headers` have a field for each parameter.
    """

    answers: Mapping[int, Content | None]
    problems: frozenset[int] = frozenset()
    body: Content | None = None
    query: type[Struct] | None = None
    headers: type[Struct] | None = None
    signed_by: str | None = None


def described(
    answer: Any,
    *problems: int,
    body: Any = None,
    query: type[Struct] | None = None,
    headers: type[Struct] | None = None,
    others: Mapping[int, Content | None] | None = None,
    signed_by: str | None = None,
) -> Callable[[View], View]:
    """A route that answers 200 with `answer`: a type, sent as JSON, or a Content; None where it never answers 200.
    `body` likewise; `others` are answers of other statuses. `signed_by` names a header that lets in where no token
    does.
    """
    description = Description(
        answers={**({} if answer is None else {200: _content(answer)}), **(others or {})},
        problems=frozenset({*problems, *_unread(body, query, headers)}),
        body=None if body is None else _content(body),
        query=query,
        headers=headers,
        signed_by=signed_by,
    )

    def note(view: View) -> View:
        setattr(view, _ATTRIBUTE, description)
        return view

    return note


def description_of(view: Any) -> Description | None:
    """What a route says of itself, None where it says nothing."""
    description: Description | None = getattr(view, _ATTRIBUTE, None)
    return description


def _content(it: Any) -> Content:
    return it if isinstance(it, Content) else Content(JSON, it)


def _unread(body: Any, query: Any, headers: Any) -> set[int]:
    """The statuses of what could not be read: too slow, too large, or not as it is to be."""
    unreadable = {422} if body or query or headers else set[int]()
    return unreadable | {408, 413} if body else unreadable
