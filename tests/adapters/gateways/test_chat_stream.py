from __future__ import annotations

import pytest

from adapters.gateways.chat_stream import MAX_UNREAD, ChatReader, CutOff
from core.ports import ModelFailure
from tests.adapters.gateways.model_server import DONE, piece

WHOLE = piece("Grüß") + piece(" dich") + piece(None, "stop") + DONE


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_the_pieces_do_not_depend_on_how_the_bytes_were_cut(size: int) -> None:
    reader = ChatReader()
    cuts = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    assert [text for cut in cuts for text in reader.feed(cut)] == ["Grüß", " dich"]
    assert reader.is_done


def test_lines_may_end_as_on_windows() -> None:
    assert ChatReader().feed(WHOLE.replace(b"\n", b"\r\n")) == ["Grüß", " dich"]


def test_a_line_separator_inside_the_text_is_text() -> None:
    assert ChatReader().feed(piece("one\u2028two\x85three")) == ["one\u2028two\x85three"]


def test_an_event_may_have_several_data_lines() -> None:
    assert ChatReader().feed(b'data: {"choices":\ndata: [{"delta":{"content":"Hi"}}]}\n\n') == ["Hi"]


def test_other_fields_comments_and_chunks_without_choices_are_passed_over() -> None:
    stream = b': ping\n\nevent: x\nid: 7\n\ndata: {"choices":[],"usage":{"total_tokens":3}}\n\n' + piece("Hi")
    assert ChatReader().feed(stream) == ["Hi"]


def test_a_refusal_to_answer_is_the_answer() -> None:
    assert ChatReader().feed(b'data: {"choices":[{"delta":{"refusal":"I cannot."}}]}\n\n') == ["I cannot."]


def test_what_comes_after_the_end_mark_counts_nothing() -> None:
    assert ChatReader().feed(DONE + piece("late")) == []


def test_the_last_event_needs_no_empty_line() -> None:
    reader = ChatReader()
    reader.feed(piece("Hi"))
    reader.feed(b"data: [DONE]")
    assert not reader.is_done
    assert reader.end() == []
    assert reader.is_done


def test_an_end_without_a_finish_reason_is_a_cut() -> None:
    reader = ChatReader()
    reader.feed(piece("Hi"))
    with pytest.raises(CutOff):
        reader.end()


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ModelFailure, match="lines without end"):
        ChatReader().feed(b"data: " + b"x" * MAX_UNREAD)


def test_an_event_of_lines_without_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ModelFailure, match="lines without end"):
        ChatReader().feed(b"data: xxxxxxxxxx\n" * (MAX_UNREAD // 10 + 1))
