"""Stream names such as `conversation-<id>`, a category (Category) and an id; parsed once, then typed."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

MAX_ID_LENGTH = 128
"""Characters in the part of a stream name behind the category."""

_ID = re.compile(r"[^\s\x00-\x1f\x7f]+")


class Category(StrEnum):
    """The kinds of actor; the first part of every stream name."""

    CONVERSATION = "conversation"
    SESSION = "session"
    CALL = "call"
    CHANNEL = "channel"
    AUDIT = "audit"
    DELIVERY = "delivery"


class MalformedStreamName(ValueError):
    """A text that names no stream: unknown category, or an empty, over-long or unprintable id."""


class StreamName(str):
    """The name of one stream, and so of one actor. A `str`, so that it hashes, sorts and binds to SQL as one."""

    __slots__ = ()

    @classmethod
    def of(cls, category: Category, id: str) -> Self:
        """The stream of `id` in `category`. Raises MalformedStreamName for an unusable id."""
        if len(id) > MAX_ID_LENGTH or not _ID.fullmatch(id):
            raise MalformedStreamName(f"an id has 1 to {MAX_ID_LENGTH} visible characters, not {id[:140]!r}")
        return cls(f"{category.value}-{id}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The stream that `text` names. Raises MalformedStreamName."""
        category, dash, id = text.partition("-")
        if not dash or category not in tuple(Category):  # `in Category` itself takes no str before Python 3.12
            kinds = ", ".join(f"{kind}-<id>" for kind in Category)
            raise MalformedStreamName(f"{text[:140]!r} names no stream; expected one of {kinds}")
        return cls.of(Category(category), id)

    @property
    def category(self) -> Category:
        return Category(self.partition("-")[0])

    @property
    def id(self) -> str:
        return self.partition("-")[2]
