from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from adapters.differences import Change, differences, in_short
from core.conversation import Conversation, Phase, Reply
from core.session import Session

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"a": 3, "b": 2}, [Change("a", 1, 3)]),
        ({"a": {"b": None}}, {"a": {"b": "x"}}, [Change("a.b", None, "x")]),
        ({"a": 1}, {"b": 1}, [Change("a", 1), Change("b", UNSET, 1)]),
        ([1, 2], [1, 2, 3], [Change("[2]", UNSET, 3)]),
        ({"said": ["a", "b", "c"]}, {"said": ["b", "c", "d"]}, [Change("said[0]", "a"), Change("said[2]", UNSET, "d")]),
        ([{"n": 1, "m": 0}], [{"n": 2, "m": 0}], [Change("[0].n", 1, 2)]),
        ({"a": True}, {"a": 1}, [Change("a", True, 1)]),
        ({"a": [1]}, {"a": None}, [Change("a", [1], None)]),
    ],
)
def test_what_changed_is_told_by_its_path(old: Any, new: Any, changes: list[Change]) -> None:
    assert list(differences(old, new)) == changes


@given(values, values)
def test_nothing_differs_exactly_where_two_are_the_same(old: Any, new: Any) -> None:
    assert (list(differences(old, new)) == []) == (repr(_sorted(old)) == repr(_sorted(new)))


def _sorted(value: Any) -> Any:
    match value:
        case dict():
            return {key: _sorted(value[key]) for key in sorted(value)}
        case list():
            return [_sorted(item) for item in value]
        case _:
            return value


def test_long_lists_are_compared_place_by_place() -> None:
    assert list(differences(list(range(3000)), [*range(2999), "x"])) == [Change("[2999]", 2999, "x")]


def test_in_short_a_state_says_which_fields_changed() -> None:
    one = Conversation(phase=Phase.IDLE, transcript="a" * 40, clients=("1.1",), replies=(Reply("r", "m"),))
    other = Conversation(
        phase=Phase.LISTENING, transcript="a" * 45, clients=("1.1", "1.2"), replies=(Reply("r", "m", attempt=1),),
        topic="boats",
    )  # fmt: skip
    assert list(in_short(one, other)) == [
        "phase idle → listening",
        "topic boats",
        "transcript +5 characters",
        "replies[0].attempt 0 → 1",
        "clients 1 → 2",
    ]
    assert list(in_short(one, one)) == []


def test_in_short_what_a_terminal_would_obey_is_not_shown() -> None:
    assert list(in_short(Conversation(), Conversation(topic="a\x1b[31mb"))) == ["topic a�[31mb"]
    assert list(in_short(Session(), Session(user="\x9b"))) == ["user �"]
