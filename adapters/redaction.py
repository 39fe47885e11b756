"""What must not be read in the server's own log: secrets, taken out of whatever is about to be written.

A secret is known by where it stands, as nobody can tell one by its looks: the value of a query parameter, header,
field or keyword whose name ends in one of NAMES; what follows `Bearer`; the password in a URL; and a JWT anywhere.
Taking out too much costs a word in a log; too little costs a key. The cost of a record is bounded, whatever is in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

REDACTED = "[redacted]"
MOST_TEXT = 16 * 1024
"""Characters of one text; what is beyond is neither looked at nor written."""
MOST_RECORD = 128 * 1024
"""Characters of one record, all its texts together."""
MOST_DEPTH = 12
"""Containers within containers, enough for an exception in a group of a group. What is deeper is shown as its repr."""
VALUE_COST = 16
"""Characters that any value counts at least, so that many small ones are bounded too."""

MOST_BITS = 1024
"""Of a number; a larger one could not be written as decimal digits in reasonable time."""

NAMES = r"(?:token|api[-_]?key|passw(?:or)?d|secret|authorization|cookie|bearer)"
_SECRET_NAME = re.compile(rf"{NAMES}\Z", re.IGNORECASE)
_HINT = re.compile(rf"{NAMES}|eyJ|://", re.IGNORECASE)
_QUOTED = r"""b?(?:"(?:[^"\\]|\\(?s:.))*"?|'(?:[^'\\]|\\(?s:.))*'?|\\{1,3}["'][^"'\\]*)"""
_PATTERNS = (
    # A name and a quoted value, as in JSON, in a dict's or a call's repr, and in a list of headers.
    (re.compile(rf"""({NAMES}\\{{0,3}}["']?\s{{0,3}}[=:,]\s{{0,3}}){_QUOTED}""", re.IGNORECASE), rf"\1{REDACTED}"),
    # Authorization: <scheme> <whatever its parameters are>
    (re.compile(r"((?:authorization|cookie)\s{0,3}[=:]\s{0,3})[^\r\n\"']+", re.IGNORECASE), rf"\1{REDACTED}"),
    # ?token=…, &api_key=…, also when all of it is the value of another parameter
    (re.compile(rf"({NAMES}(?:=|%3D|%253D))[^\s&#\"'<>]+", re.IGNORECASE), rf"\1{REDACTED}"),
    # Bearer …, also as the subprotocols `bearer, …`
    (re.compile(r"(bearer(?:%20|[\s:,+\"'])(?:%20|[\s,\"'\[]|b(?=[\"'])){0,6})[^\s\"'<>]+", re.IGNORECASE),
     rf"\1{REDACTED}"),
    (re.compile(r"(://[^\s/?#:@]{0,255}:)[^\s/?#@]{1,255}(?=@)"), rf"\1{REDACTED}"),
    (re.compile(r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,4}"), REDACTED),
)  # fmt: skip
_HALF_PASSWORD = re.compile(r"(://[^\s/?#:@]{0,255}:)[^\s/?#@]{0,255}\Z")
"""What may be a password in a URL, where a text was cut off before its end showed."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def redacted(text: str, most: int = MOST_TEXT) -> str:
    """The text without secrets, and at most `most` characters of it."""
    return _cut(text, most)


def is_secret(name: str) -> bool:
    """Whether what has this name is never shown: `token`, `jwt_secret`, `accessToken`, `Authorization`, …"""
    return _SECRET_NAME.search(name.rstrip("'\"")) is not None


def without_controls(text: str) -> str:
    """The text on one line, and harmless to a terminal: control characters are shown as escapes."""
    return _CONTROL.sub(lambda control: repr(control[0])[1:-1], text)


def redacted_fields(fields: Mapping[Any, Any], *, one_line: bool = False) -> dict[str, Any]:
    """The same fields as plain JSON values without secrets. `one_line`: without control characters too."""
    return _Redaction(one_line=one_line).mapping(fields, 0)


class _Redaction:
    """The redaction of one record, with what may still be written of it."""

    __slots__ = ("_left", "_one_line")

    def __init__(self, *, one_line: bool) -> None:
        self._left, self._one_line = MOST_RECORD, one_line

    def mapping(self, fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        for key, value in fields.items():
            if self._left <= 0:
                clean["…"] = "more was not written"
                break
            name = self.text(key if isinstance(key, str) else _shown(key))
            hidden = is_secret(name) and value is not None and not isinstance(value, bool)
            clean[name] = REDACTED if hidden else self.value(value, depth + 1)
        return clean

    def value(self, value: Any, depth: int) -> Any:
        self._left -= VALUE_COST
        match value:
            case None | bool():
                return value
            case int() if value.bit_length() <= MOST_BITS:
                return value
            case float():
                return value if math.isfinite(value) else repr(value)
            case str():
                return self.text(value)
            case Mapping() if depth < MOST_DEPTH:
                return self.mapping(value, depth)
            case list() | tuple() | set() | frozenset() if depth < MOST_DEPTH:
                return self._values(value, depth)
            case _:
                return self.text(_shown(value))

    def _values(self, values: Iterable[Any], depth: int) -> list[Any]:
        clean = list[Any]()
        for value in values:
            if self._left <= 0:
                clean.append("…")
                break
            # In a list of headers the name stands before its value.
            after_name = clean and isinstance(clean[-1], str) and is_secret(clean[-1])
            clean.append(REDACTED if after_name else self.value(value, depth + 1))
        return clean

    def text(self, text: str) -> str:
        most = max(0, min(MOST_TEXT, self._left))
        clean = _cut(text, most)
        self._left -= max(len(clean), min(len(text), most))  # what was read costs too, whatever is left of it
        return without_controls(clean) if self._one_line else clean


def _cut(text: str, most: int) -> str:
    """The first `most` characters without secrets, and how many were left out."""
    head = str(text[:most])
    if _HINT.search(head):
        for pattern, instead in _PATTERNS:
            head = pattern.sub(instead, head)
    if len(text) <= most:
        return head
    return _HALF_PASSWORD.sub(rf"\1{REDACTED}", head) + f"… ({len(text) - most} more)"


def _shown(value: Any) -> str:
    """The value's repr; a log must be written also of what cannot say what it is."""
    try:
        return repr(value[: MOST_TEXT + 1] if isinstance(value, bytes | bytearray) else value)
    except Exception:  # noqa: BLE001  # a value's own fault must not become its logger's
        return f"<{type(value).__name__} without a repr>"
