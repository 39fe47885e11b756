from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct
from msgspec.json import Decoder

from adapters.protocols import wire


class Outside(Struct, frozen=True):
    name: Raw = wire.NULL


class Inside(Struct, frozen=True):
    numbers: list[str]


OUTSIDE = Decoder(Outside)


@pytest.mark.parametrize(
    "frame",
    ["", " ", "{", "nope", "NaN", '{"a": NaN}', '{"a": -Infinity}', "{} {}", "\ufeff{}", '{"a": "\\ud800"}', "\ud800"],
)
def test_what_is_no_json_is_malformed(frame: str) -> None:
    with pytest.raises(wire.MalformedFrame, match="not JSON"):
        wire.read_object(frame, OUTSIDE)


@pytest.mark.parametrize("frame", ["[]", "null", "3", '"{}"', "true"])
def test_json_that_is_no_object_is_malformed(frame: str) -> None:
    with pytest.raises(wire.MalformedFrame, match="one JSON object"):
        wire.read_object(frame, OUTSIDE)


def test_a_binary_frame_is_malformed_whatever_it_holds() -> None:
    with pytest.raises(wire.MalformedFrame, match="text frames"):
        wire.read_object(b"{}", OUTSIDE)


def test_bottomless_json_is_malformed_instead_of_a_crash() -> None:
    with pytest.raises(wire.MalformedFrame, match="too deeply"):
        wire.read_object('{"other": ' + "[" * 100_000 + "]" * 100_000 + "}", OUTSIDE)


def test_a_bottomless_field_is_wrong_instead_of_a_crash() -> None:
    with pytest.raises(wire.WrongField, match="`payload` is nested too deeply"):
        wire.read_field(Raw(b"[" * 100_000 + b"]" * 100_000), "payload", Decoder())


def test_keys_nobody_knows_are_ignored() -> None:
    assert wire.read_object('{"other": {"a": [1, 2]}, "name": "x"}', OUTSIDE).name == Raw(b'"x"')


def test_a_wrong_field_is_named_with_its_path() -> None:
    with pytest.raises(wire.WrongField, match=r"got `int` - at `payload\.numbers\[0\]`"):
        wire.read_field(Raw(b'{"numbers": [3]}'), "payload", Decoder(Inside))


def test_a_field_of_the_wrong_type_is_named() -> None:
    with pytest.raises(wire.WrongField, match="got `int` - at `type`"):
        wire.read_text(Raw(b"3"), "type")


@pytest.mark.parametrize(("raw", "command_id"), [(b"null", None), (b'"a"', "a"), (b'"' + b"x" * 128 + b'"', "x" * 128)])
def test_a_command_id_is_a_text_or_absent(raw: bytes, command_id: str | None) -> None:
    assert wire.read_command_id(Raw(raw)) == command_id


@pytest.mark.parametrize("raw", [b'""', b'"' + b"x" * 129 + b'"', b"1", b"true", b"[]", b"{}", b"1e999"])
def test_any_other_command_id_is_refused_by_its_name(raw: bytes) -> None:
    with pytest.raises(wire.WrongField, match="`command_id`"):
        wire.read_command_id(Raw(raw))


def nested(levels: int) -> Any:
    value: Any = {}
    for level in range(levels - 1):
        value = {"a": value} if level % 2 else ["x", value]
    return value


def test_depth_is_counted_in_levels() -> None:
    wire.check_depth(nested(wire.MAX_DEPTH), "a")
    with pytest.raises(wire.WrongField, match="`a` has more than 32 levels"):
        wire.check_depth(nested(wire.MAX_DEPTH + 1), "a")


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000))
def test_times_keep_their_microseconds_and_sort_as_texts(time: int) -> None:
    text, later = wire.iso_time(time), wire.iso_time(time + 1)
    assert text < later
    assert text.endswith("+00:00")
    assert len(text) == len(later) == 32


def test_a_known_time() -> None:
    assert wire.iso_time(1_735_862_400_000_001) == "2025-01-03T00:00:00.000001+00:00"


def test_an_excerpt_has_a_limit() -> None:
    assert wire.excerpt("x" * 60) == "x" * 60
    assert wire.excerpt("x" * 61) == "x" * 60 + "…"
