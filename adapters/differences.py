"""What changed between two states of a stream: path by path for who asks, in short for a timeline. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from enum import Enum
from typing import Any

from msgspec import UNSET, Struct, UnsetType, json, structs

from adapters.telling.words import shorten

SHORT = 32
"""Characters of a text, or of a value as JSON, that a timeline shows."""
MOST_MATCHED = 2000
"""Items of a list up to which is looked for what moved; longer ones are compared place by place."""


class Change(Struct, frozen=True, omit_defaults=True):
    """One place of a state, e.g. `replies[0].text`. `old` unset: it is new; `new` unset: it is gone."""

    path: str
    old: Any = UNSET
    new: Any = UNSET


def differences(old: Any, new: Any, path: str = "") -> Iterator[Change]:
    """What differs between two values made of JSON's types; nothing where they are equal."""
    match old, new:
        case (dict(), dict()):
            for key in {**old, **new}:
                inner = f"{path}.{key}" if path else str(key)
                yield from _between(old.get(key, UNSET), new.get(key, UNSET), inner)
        case (list(), list()):
            yield from _in_list(old, new, path)
        case _ if type(old) is not type(new) or old != new:
            yield Change(path, old, new)


def _between(old: Any, new: Any, path: str) -> Iterator[Change]:
    if old is UNSET or new is UNSET:
        yield Change(path, old, new)
    else:
        yield from differences(old, new, path)


def _in_list(old: Sequence[Any], new: Sequence[Any], path: str) -> Iterator[Change]:
    """Items are known again by what they are: one that goes at the head of a list changes nothing behind it."""
    for first, last, then_first, then_last in _blocks(old, new):
        for at in range(max(last - first, then_last - then_first)):
            before = old[first + at] if first + at < last else UNSET
            after = new[then_first + at] if then_first + at < then_last else UNSET
            number = first + at if after is UNSET else then_first + at
            yield from _between(before, after, f"{path}[{number}]")


def _blocks(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[int, int, int, int]]:
    if max(len(old), len(new)) > MOST_MATCHED:
        yield 0, len(old), 0, len(new)
        return
    before, after = ([json.encode(item, order="deterministic") for item in items] for items in (old, new))
    for kind, *block in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            first, last, then_first, then_last = block
            yield first, last, then_first, then_last


# --- in short -------------------------------------------------------------------------------------------------------


def in_short(old: Any, new: Any) -> Iterator[str]:
    """Which fields of a state changed, and how, a few words each.

    As cheap as the change itself: an event leaves nearly all of a state's objects the same ones.
    """
    for name in new.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if before is not after and before != after:
            yield from _field(name, before, after)


def _field(name: str, old: Any, new: Any) -> Iterator[str]:
    match old, new:
        case (Struct(), Struct()) if type(old) is type(new):
            for inner in in_short(old, new):
                yield f"{name}.{inner}"
        case (str(), str()) if old and new.startswith(old):
            yield f"{name} +{len(new) - len(old):,} characters"
        case (str(), str()) if max(len(old), len(new)) > SHORT and not isinstance(new, Enum):
            yield f"{name} {len(old):,} → {len(new):,} characters"
        case (tuple() | dict(), tuple() | dict()) if len(old) != len(new):
            yield f"{name} {len(old):,} → {len(new):,}"
        case (tuple(), tuple()):
            yield from _first_item(name, old, new)
        case _:
            yield f"{name} {_brief(new)}" if old in _NOTHING else f"{name} {_brief(old)} → {_brief(new)}"


_NOTHING = (None, "")
"""What a field is before it is first set."""


def _first_item(name: str, old: tuple[Any, ...], new: tuple[Any, ...]) -> Iterator[str]:
    """Of as many items as before; more than one at a time changes seldom."""
    changed = [at for at, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]
    yield from _field(f"{name}[{changed[0]}]", old[changed[0]], new[changed[0]])
    if len(changed) > 1:
        yield f"{name}: {len(changed) - 1} more"


def _brief(value: Any) -> str:
    match value:
        case None:
            return "none"
        case Enum():
            return str(value.value)
        case str():
            return _cut(value) if value else "“”"
        case Struct():
            named = structs.asdict(value)
            return _cut(", ".join(f"{name} {_brief(inner)}" for name, inner in named.items() if _tells(inner)))
        case tuple() | Mapping():
            return f"{len(value):,}"
        case _:
            return _cut(json.encode(value).decode())


def _tells(value: Any) -> bool:
    """Whether it is worth a word in a few."""
    return not isinstance(value, Struct | UnsetType) and value not in (None, "", (), False)


def _cut(text: str) -> str:
    return shorten(text, SHORT)
