"""Server-Sent Events as bytes."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.server.messages import joined
from adapters.web.server_sent import comment, message, progress, retry
from tests.adapters.web.event_source import Message, Parser

LINE_TEXTS = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def test_an_event_is_its_id_its_name_its_data_and_an_empty_line() -> None:
    assert message("record", b'{"a":1}', "e.7") == b'id: e.7\nevent: record\ndata: {"a":1}\n\n'


def test_every_line_of_the_data_is_a_line_of_its_own_whatever_ends_it() -> None:
    written = message("record", b"one\ntwo\rthree\r\nfour\n", "e.1")
    assert written.count(b"\ndata: ") == 5
    assert b"\r" not in written
    assert [said.data for said in Parser().feed(written)] == ["one\ntwo\nthree\nfour\n"]


@given(LINE_TEXTS.filter(bool), TEXTS, LINE_TEXTS)
def test_a_client_gets_the_event_that_was_written(event: str, data: str, id: str) -> None:
    heard = list(Parser().feed(message(event, data.encode(), id)))
    assert heard == [Message(event, re.sub("\r\n|\r", "\n", data), id)]


@pytest.mark.parametrize("text", ["two\nlines", "two\rlines", "nothing\0"])
def test_an_id_or_a_name_or_a_comment_that_breaks_its_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        message("record", b"", text)
    with pytest.raises(ValueError, match="one line"):
        message(text, b"", "e.1")
    with pytest.raises(ValueError, match="one line"):
        progress(text)
    with pytest.raises(ValueError, match="one line"):
        comment(text)


def test_progress_moves_the_last_id_on_and_is_no_event() -> None:
    parser = Parser(last_id="e.1")
    assert list(parser.feed(progress("e.9"))) == []
    assert parser.last_id == "e.9"


def test_a_comment_and_a_retry_change_nothing_else() -> None:
    parser = Parser(last_id="e.1")
    assert list(parser.feed(comment("alive") + retry(2000))) == []
    assert (parser.comments, parser.retry, parser.last_id) == (["alive"], 2000, "e.1")


@given(st.lists(st.binary(min_size=1, max_size=12)), st.integers(1, 30))
def test_joined_messages_are_the_same_bytes_in_as_few_pieces_as_their_order_allows(
    messages: list[bytes], most: int
) -> None:
    pieces = list(joined(messages, most))
    assert b"".join(pieces) == b"".join(messages)
    assert all(len(piece) <= most or piece in messages for piece in pieces)
    assert all(len(one) + len(other) > most for one, other in pairwise(pieces) if one in messages or other in messages)
    assert all(pieces)
