"""Server-Sent Events as bytes, by https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import re

CONTENT_TYPE = "text/event-stream"

_LINE_ENDS = re.compile(rb"\r\n|\r|\n")
_BREAKS_A_FIELD = re.compile(r"[\r\n\0]")


def message(event: str, data: bytes, id: str) -> bytes:
    """One event. Raises ValueError for a name or an id that cannot be told in one line."""
    lines = b"\ndata: ".join(_LINE_ENDS.split(data))
    return b"%sevent: %s\ndata: %s\n\n" % (_field("id", id), _one_line(event), lines)


def progress(id: str) -> bytes:
    """Moves the client's last event id on and is no event: a block without data dispatches none. Raises ValueError."""
    return _field("id", id) + b"\n"


def comment(text: str) -> bytes:
    """A line every client skips. Raises ValueError for more than one line."""
    return b": %s\n\n" % _one_line(text)


def retry(milliseconds: int) -> bytes:
    """How long a client waits before it comes back."""
    return b"retry: %d\n\n" % milliseconds


def _field(name: str, value: str) -> bytes:
    return b"%s: %s\n" % (name.encode(), _one_line(value))


def _one_line(text: str) -> bytes:
    if _BREAKS_A_FIELD.search(text):
        raise ValueError(f"{text[:60]!r} does not fit one line of an event stream")
    return text.encode()
