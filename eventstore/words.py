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

MOST = 16
"""Words, phrases and beginnings in one question at most: the index merges all that begins so before it answers."""

_ASKED = re.compile(r'"([^"]*)"(\*?)|([^\s"]+)')
_WORD = re.compile(r"[^\W_]+")


class Phrase(Struct, frozen=True):
    """Words that stand behind one another, as they were written and to compare. `open_end`: the last may go on."""

    written: str
    words: tuple[str, ...]
    open_end: bool = False


def phrases(text: str) -> tuple[Phrase, ...]:
    """What `text` asks for; () when there is no word in it."""
    asked = ((quoted or plain, bool(star) or plain.endswith("*")) for quoted, star, plain in _ASKED.findall(text))
    return tuple(Phrase(part, words, open_end) for part, open_end in asked if (words := words_of(part)))


def objection(text: str) -> str | None:
    """Why `text` is not to be searched for; None where it is."""
    asked = phrases(text)
    if not asked:
        return "there is no word in it; write one"
    return f"there are {len(asked)} words and phrases in it; write {MOST} at most" if len(asked) > MOST else None


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in the form in which they are compared."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return tuple(_WORD.findall(text.lower()))


def match_expression(asked: tuple[Phrase, ...]) -> str:
    """The question in FTS5's own language (sqlite.org/fts5.html, 3). What is in quotes is no syntax; it ends at NUL."""
    different = {(each.words, each.open_end): each for each in asked}.values()
    return " AND ".join(f'"{_storable(each.written)}"{" *" if each.open_end else ""}' for each in different) or '""'


def _storable(text: str) -> str:
    return text.replace("\0", " ").encode(errors="replace").decode()


def says(asked: tuple[Phrase, ...], state: str, command: str | None) -> bool:
    """Whether an event and its command, both JSON, have all that is asked for; what asks for nothing finds nothing."""
    if not asked:
        return False
    said = words_of("\n".join((*_texts(state), *_texts(command or "{}", "body"))))
    return all(_occurs(phrase, said) for phrase in asked)


def _occurs(phrase: Phrase, said: tuple[str, ...]) -> bool:
    length = len(phrase.words)
    return any(_begins(phrase, said[at : at + length]) for at in range(len(said) - length + 1))


def _begins(phrase: Phrase, said: tuple[str, ...]) -> bool:
    if not phrase.open_end:
        return said == phrase.words
    return said[:-1] == phrase.words[:-1] and said[-1].startswith(phrase.words[-1])


def _texts(content: str, part: str | None = None) -> Iterator[str]:
    """All strings in a JSON value or in that part of it, keys not; a text that is no JSON as it is."""
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        yield content
        return
    if part is not None:
        value = value.get(part) if isinstance(value, dict) else None
    yield from _strings(value)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
