"""Stream names are parsed once, and then right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import MAX_ID_LENGTH, Category, MalformedStreamName, StreamName


@pytest.mark.parametrize("category", list(Category))
def test_a_stream_name_is_its_category_and_its_id(category: Category) -> None:
    stream = StreamName.of(category, "ab-c-1")
    assert (stream, stream.category, stream.id) == (f"{category.value}-ab-c-1", category, "ab-c-1")


def test_a_parsed_name_equals_the_one_that_was_made() -> None:
    stream = StreamName.of(Category.CALL, "call_123")
    assert StreamName.parse("call-call_123") == stream
    assert {stream: 1}[StreamName.parse(str(stream))] == 1


@pytest.mark.parametrize(
    "text",
    ["", "-", "call", "call-", "-x", "room-1", "Call-1", "call_1", "call-a b", "call-\n", "call-a\x00", "session-\x7f"],
)
def test_a_text_that_names_no_stream_is_refused(text: str) -> None:
    with pytest.raises(MalformedStreamName):
        StreamName.parse(text)


def test_an_id_has_a_greatest_length() -> None:
    assert StreamName.of(Category.SESSION, "x" * MAX_ID_LENGTH).id == "x" * MAX_ID_LENGTH
    with pytest.raises(MalformedStreamName):
        StreamName.of(Category.SESSION, "x" * (MAX_ID_LENGTH + 1))


def test_the_refusal_of_a_long_text_stays_short() -> None:
    with pytest.raises(MalformedStreamName) as refusal:
        StreamName.parse("nonsense" * 100_000)
    assert len(str(refusal.value)) < 400


@given(st.sampled_from(list(Category)), st.text(max_size=MAX_ID_LENGTH + 2))
def test_whatever_can_be_named_is_parsed_back_the_same(category: Category, id: str) -> None:
    try:
        stream = StreamName.of(category, id)
    except MalformedStreamName:
        with pytest.raises(MalformedStreamName):
            StreamName.parse(f"{category.value}-{id}")
    else:
        again = StreamName.parse(str(stream))
        assert (again, again.category, again.id) == (stream, category, id)
