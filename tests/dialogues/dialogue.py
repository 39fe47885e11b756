"""Golden dialogues: who sends and who gets what, line by line, in files people read and machines check.

    # a comment
    A+ ?since=3&epoch=<epoch>       A connects (to `/some-other-id?…` when a path is given)
    A> {"type": "heartbeat"}        A sends this text; `<binary> …` sends bytes, `<300 x>` stands for 300 times x
    A< type {payload} seq=3         A gets this frame next: its type, payload and whatever else is in the envelope
    A! close 1000 Reason            A's socket is closed by the server
    A-                              A leaves
    * PUT /api/…                    something happens outside the sockets

A line that begins with blanks goes on with the line before. In what is expected `<time>` is an ISO 8601 time in UTC,
`<ms>` one in milliseconds since the epoch, `<n>` an integer, `<text>` any text, `<any>` anything but null; any other
`<name>` is a text that is learnt where it comes first and must be the same from there on. Learnt names are filled in
where something is sent. Between two lines that make something happen, every client must have got exactly what stands
between them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

YEAR_2001, YEAR_2286 = 10**12, 10**13
"""In milliseconds since the epoch: a time between them is in no other unit."""


@dataclass(frozen=True, slots=True)
class Connect:
    who: str
    address: str


@dataclass(frozen=True, slots=True)
class Send:
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Get:
    who: str
    frame: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Closed:
    who: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Leave:
    who: str


@dataclass(frozen=True, slots=True)
class Outside:
    """What happens, e.g. `PUT /api/v2/conversations/<conversation>/end`."""

    what: str


Step = Connect | Send | Get | Closed | Leave | Outside


@dataclass(frozen=True, slots=True)
class Line:
    """One step and the number of the line it begins on."""

    number: int
    step: Step


class MalformedDialogue(ValueError):
    """A line that is none of the kinds above."""


Envelope = Callable[[str, dict[str, Any], dict[str, Any]], dict[str, Any]]
"""How a dialect puts a frame together: of its type, its payload, and what else the line says of it."""


def read_dialogue(path: Path, envelope: Envelope) -> list[Line]:
    """The steps of a file. Raises MalformedDialogue naming the line."""
    lines = _logical_lines(path.read_text())
    return [Line(number, _step(text, f"{path.name}:{number}", envelope)) for number, text in lines]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    number, pending = 0, ""
    for n, line in enumerate(text.splitlines(), start=1):
        if line[:1].isspace() and pending:
            pending += " " + line.strip()
        elif line.strip() and not line.startswith("#"):
            if pending:
                yield number, pending
            number, pending = n, line.rstrip()
    if pending:
        yield number, pending


_LINE = re.compile(r"(?:(?P<who>[A-Z])(?P<mark>[+><!-])|(?P<outside>\*)) ?(?P<rest>.*)")


def _step(text: str, place: str, envelope: Envelope) -> Step:
    parts = _LINE.fullmatch(text)
    if parts is None:
        raise MalformedDialogue(f"{place}: {text}")
    who, rest = parts["who"], parts["rest"]
    match parts["mark"]:
        case "+":
            return Connect(who, rest)
        case ">":
            return Send(who, rest)
        case "<":
            return Get(who, _frame(rest, place, envelope))
        case "!":
            _close, code, reason = rest.split(" ", 2)
            return Closed(who, int(code), reason)
        case "-":
            return Leave(who)
        case _:
            return Outside(rest)


def _frame(text: str, place: str, envelope: Envelope) -> dict[str, Any]:
    kind, _, rest = text.partition(" ")
    try:
        payload, end = json.JSONDecoder().raw_decode(rest)
        extras = dict(item.split("=", 1) for item in rest[end:].split())
        more = {key: value if value.startswith("<") else json.loads(value) for key, value in extras.items()}
    except ValueError as error:
        raise MalformedDialogue(f"{place}: {error}: {text}") from error
    return envelope(kind, payload, more)


@dataclass(slots=True)
class Names:
    """What the names of one run stand for."""

    known: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """`text` with known names and repetitions put in."""
        text = re.sub(r"<(\d+) ([^<>]+)>", lambda found: found[2] * int(found[1]), text)
        return re.sub(r"<(\w+)>", lambda found: self.known.get(found[1], found[0]), text)

    def differences(self, expected: Any, actual: Any, at: str = "frame") -> list[str]:
        """Where `actual` is not what was expected, in words; [] when it is. Learns the names that come first here."""
        match expected:
            case dict() if isinstance(actual, dict) and expected.keys() == actual.keys():
                return [d for key in expected for d in self.differences(expected[key], actual[key], f"{at}.{key}")]
            case list() if isinstance(actual, list) and len(expected) == len(actual):
                pairs = enumerate(zip(expected, actual, strict=True))
                return [d for n, (one, other) in pairs for d in self.differences(one, other, f"{at}[{n}]")]
            case str() if (name := re.fullmatch(r"<(\w+)>", expected)) is not None:
                fits = self._fits(name[1], actual)
            case _:
                fits = type(expected) is type(actual) and expected == actual
        return [] if fits else [f"{at}: expected {expected!r}, got {actual!r}"]

    def _fits(self, name: str, actual: Any) -> bool:
        if name == "any":
            return actual is not None
        if name in {"n", "ms"}:
            return type(actual) is int and (name == "n" or YEAR_2001 < actual < YEAR_2286)
        if not isinstance(actual, str):
            return False
        match name:
            case "time":
                return datetime.fromisoformat(actual).utcoffset() == timedelta(0)
            case "text":
                return actual != ""
            case _:
                return self.known.setdefault(name, actual) == actual
