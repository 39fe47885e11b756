"""Events and commands to stored JSON and back, and what older versions of them become."""

from __future__ import annotations

from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import conversation
from eventstore.catalog import COMMANDS, EVENTS
from eventstore.codec import Codec, Undecodable, UnknownName, commands, events
from eventstore.upcasters import Upcast, next_version

CATALOG = {**EVENTS, **COMMANDS}

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    Any: JSON, str: TEXT, int: INTEGERS, float: FLOATS, bool: st.booleans(), type(None): st.none(),
}  # fmt: skip


def values(hint: Any) -> st.SearchStrategy[Any]:
    """All values of a type as our structs annotate them."""
    if hint in PLAIN:
        return PLAIN[hint]
    members = [values(member) for member in get_args(hint) if member is not ...]
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return st.one_of(members)
    if origin is tuple:
        return st.lists(members[0], max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(*members, max_size=3)
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    return st.builds(hint, **{field: values(of) for field, of in get_type_hints(hint).items()})


@pytest.mark.parametrize("name", CATALOG)
def test_whatever_is_recorded_is_read_back_as_it_was(name: str) -> None:
    codec = events if name in EVENTS else commands

    @given(values(CATALOG[name]))
    def holds(message: Any) -> None:
        stored, content = codec.encode(message)
        assert stored == name
        assert codec.decode(stored, content) == message
        assert codec.decode(stored, content.decode()) == message

    holds()


# --- what cannot be read ----------------------------------------------------------------------------------------


def test_a_name_of_a_newer_version_is_unknown_by_name() -> None:
    with pytest.raises(UnknownName, match=r"'conversation\.opened/9'"):
        events.decode("conversation.opened/9", b"{}")


def test_a_class_without_a_name_is_refused_by_name() -> None:
    with pytest.raises(UnknownName, match="DraftReply has no name"):
        events.encode(conversation.DraftReply("r"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"text":7}', b"\xff", b'{"text":"a","confidence":"x"}'])
def test_what_its_name_does_not_promise_is_undecodable(content: bytes) -> None:
    with pytest.raises(Undecodable, match=r"conversation\.final_heard/1"):
        events.decode("conversation.final_heard/1", content)


# --- schema evolution -------------------------------------------------------------------------------------------


class Parcel(msgspec.Struct, frozen=True):
    """The third shape of an event: first `{kg}`, then `{grams}`, now `{weight: {grams}, fragile}`."""

    weight: dict[str, int]
    fragile: bool


STEPS: dict[str, Upcast] = {
    "toy.parcel_sent/1": lambda old: {"grams": int(old["kg"] * 1000)},
    "toy.parcel_sent/2": lambda old: {"weight": {"grams": old["grams"]}, "fragile": False},
}
toys = Codec({"toy.parcel_sent/3": Parcel}, STEPS)


@pytest.mark.parametrize(
    "name, content",
    [
        ("toy.parcel_sent/1", b'{"kg":2.5}'),
        ("toy.parcel_sent/2", b'{"grams":2500}'),
        ("toy.parcel_sent/3", b'{"weight":{"grams":2500},"fragile":false}'),
    ],
)
def test_every_version_is_read_as_the_newest(name: str, content: bytes) -> None:
    assert toys.decode(name, content) == Parcel({"grams": 2500}, fragile=False)


def test_only_the_newest_version_is_written() -> None:
    name, content = toys.encode(Parcel({"grams": 1}, fragile=True))
    assert (name, content) == ("toy.parcel_sent/3", b'{"weight":{"grams":1},"fragile":true}')


def test_a_step_that_leads_nowhere_is_an_unknown_name() -> None:
    with pytest.raises(UnknownName, match=r"toy\.parcel_sent/3"):
        Codec({}, STEPS).decode("toy.parcel_sent/1", b'{"kg":1}')


def test_what_an_upcast_makes_is_checked_like_everything_else() -> None:
    wrong = Codec({"toy.parcel_sent/2": Parcel}, {"toy.parcel_sent/1": lambda old: {**old, "weight": "much"}})
    with pytest.raises(Undecodable, match=r"toy\.parcel_sent/1"):
        wrong.decode("toy.parcel_sent/1", b"{}")


def test_versions_are_counted_by_number() -> None:
    assert next_version("conversation.opened/1") == "conversation.opened/2"
    assert next_version("conversation.opened/9") == "conversation.opened/10"
