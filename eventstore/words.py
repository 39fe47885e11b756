"""What is searched for in texts: words, "exact phrases" and beginnings*, all of which must occur.

Whatever a person types is a question: there is no syntax to get wrong. Words are compared without regard to case and
accents, and what is no letter or digit parts them, as with SQLite's tokenizer unicode61
(sqlite.org/fts5.html, 4.3.1).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

_ASKED = re.compile(r'"([^"]*)"(\*?)|([^\s"]+)')
_WORD = re.compile(r"[^\W_]+")


class Phrase(Struct, frozen=True):
    """Words that stand behind one another. `open_end`: the last may go on."""

    words: tuple[str, ...]
    open_end: bool = False


def phrases(text: str) -> tuple[Phrase, ...]:
    """What `text` asks for; () when there is no word in it."""
    asked = ((quoted or plain, bool(star) or plain.endswith("*")) for quoted, star, plain in _ASKED.findall(text))
    return tuple(Phrase(words, open_end) for part, open_end in asked if (words := words_of(part)))


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in the form in which they are compared."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return tuple(_WORD.findall(text.lower()))


def match_expression(asked: tuple[Phrase, ...]) -> str:
    """The question in FTS5's own language (sqlite.org/fts5.html, 3). Letters and digits in quotes are never syntax."""
    return " AND ".join(f'"{" ".join(each.words)}"{" *" if each.open_end else ""}' for each in asked)


def says(asked: tuple[Phrase, ...], *contents: str | None) -> bool:
    """Whether the texts in these JSON values, taken together, have all that is asked for; no texts have nothing."""
    if not asked:
        return False
    said = words_of(" ".join(text for content in contents if content for text in texts_of(content)))
    return all(_occurs(phrase, said) for phrase in asked)


def _occurs(phrase: Phrase, said: tuple[str, ...]) -> bool:
    length = len(phrase.words)
    return any(_begins(phrase, said[at : at + length]) for at in range(len(said) - length + 1))


def _begins(phrase: Phrase, said: tuple[str, ...]) -> bool:
    if not phrase.open_end:
        return said == phrase.words
    return said[:-1] == phrase.words[:-1] and said[-1].startswith(phrase.words[-1])


def texts_of(content: str) -> Iterator[str]:
    """All strings in a JSON value, its keys not; a text that is no JSON as it is."""
    try:
        yield from _strings(msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        yield content


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
