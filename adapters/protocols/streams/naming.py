"""Sessions may be called anything here; a stream's name holds no blanks, so those are written as in a URL's path."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from core.identifiers import Category, StreamName

_ODD = re.compile(r"[\s\x00-\x1f\x7f%]")


def stream_of(session_id: str) -> StreamName:
    """The stream of a session that clients call so. Raises MalformedStreamName where that is nothing, or too long."""
    return StreamName.of(Category.SESSION, _ODD.sub(lambda odd: quote(odd[0], safe=""), session_id))


def session_id_of(stream: StreamName) -> str:
    """What clients call the session of a stream."""
    return unquote(stream.id)
