from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.conversation import (
    ClientJoined,
    ConversationMigrated,
    ConversationOpened,
    FinalHeard,
    MessageSaid,
    Phase,
    PhaseEntered,
    Role,
    conversation,
)
from core.decider import CommandRejected
from core.identifiers import Category, MalformedStreamName, StreamName
from core.messages import Recorded, Stamp
from core.views import Board, ConversationSummary, SavedBoard

DECIDERS = {Category.CONVERSATION: conversation}
ONE, TWO, THREE = (StreamName(f"conversation-{n}") for n in (1, 2, 3))


def opened(user_id: str | None = None, created_via: str = "api") -> ConversationOpened:
    return ConversationOpened("friendly_neutral", "daily", "sea", user_id, created_via)


def log(*happened: tuple[StreamName, Any]) -> list[Recorded]:
    """These events one after the other, each a µs after the one before, beginning at 1."""
    return [Recorded(n, stream, n, event, Stamp("k", n)) for n, (stream, event) in enumerate(happened, start=1)]


def board(records: Iterable[Recorded]) -> Board:
    view = Board(DECIDERS)
    for record in records:
        view.apply(record)
    return view


def ids(view: Board, **asked: Any) -> list[str]:
    return [summary.id for summary in view.conversations(**asked).conversations]


SAID = MessageSaid("m1", Role.USER, "hello", reply_id="r1")
ANSWERED = MessageSaid("r1", Role.ASSISTANT, "hi", in_reply_to="m1")
LISTENING = PhaseEntered(Phase.LISTENING, Phase.IDLE)
PROCESSING = PhaseEntered(Phase.PROCESSING, Phase.LISTENING)
WAITING = PhaseEntered(Phase.WAITING_FOR_USER, Phase.PROCESSING)
ENDED = PhaseEntered(Phase.ENDED, Phase.IDLE)


def test_an_empty_board_knows_nothing() -> None:
    view = Board(DECIDERS)
    assert (view.position, view.outstanding, view.conversations().total_count) == (0, set(), 0)
    assert view.conversation(ONE) is None


def test_a_conversation_is_summed_up() -> None:
    view = board(log((ONE, opened("ann")), (ONE, LISTENING), (ONE, SAID), (ONE, PROCESSING), (ONE, ANSWERED)))
    assert view.conversation(ONE) == ConversationSummary(
        "1", "ann", "friendly_neutral", "daily", "sea", "api", created_at=1, last_activity=5,
        phase=Phase.PROCESSING, message_count=2, migrated=False,
    )  # fmt: skip
    assert view.position == 5


def test_anything_that_happens_is_activity() -> None:
    view = board(log((ONE, opened()), (TWO, opened()), (ONE, FinalHeard("x")), (TWO, ClientJoined("b.1", 1))))
    rows = {row.id: (row.created_at, row.last_activity) for row in view.conversations().conversations}
    assert rows == {"1": (1, 3), "2": (2, 4)}


def test_a_refusal_is_activity_too() -> None:
    view = board(log((ONE, opened()), (ONE, CommandRejected("busy", "no"))))
    summary = view.conversation(ONE)
    assert summary is not None
    assert (summary.last_activity, view.position) == (2, 2)


def test_the_newest_come_first_page_by_page() -> None:
    view = board(log((ONE, opened()), (TWO, opened()), (THREE, opened())))
    assert ids(view) == ["3", "2", "1"]
    assert ids(view, limit=1, offset=1) == ["2"]
    assert ids(view, limit=2, offset=5) == []
    assert view.conversations(limit=1, offset=2).total_count == 3


def test_the_list_is_filtered_by_user_and_by_status() -> None:
    view = board(log((ONE, opened("ann")), (TWO, opened("bob")), (THREE, opened("ann")), (THREE, ENDED)))
    assert ids(view, user_id="ann") == ["3", "1"]
    assert ids(view, status="active") == ["2", "1"]
    assert ids(view, status="ended") == ["3"]
    assert ids(view, user_id="ann", status="ended") == ["3"]
    assert ids(view, user_id="eve") == []
    assert view.conversations(user_id="ann", limit=1).total_count == 2


def test_a_legacy_conversation_is_listed_once_migrated() -> None:
    view = board(log((ONE, opened(created_via="legacy"))))
    summary = view.conversation(ONE)
    assert summary is not None
    assert summary.is_legacy
    assert (ids(view), view.conversations().total_count) == ([], 0)
    view.apply(Recorded(2, ONE, 2, ConversationMigrated(), Stamp("k", 2)))
    assert ids(view) == ["1"]
    assert not summary.is_legacy


def test_work_is_outstanding_from_the_message_until_its_answer() -> None:
    records = log((ONE, opened()), (ONE, LISTENING), (ONE, SAID), (ONE, PROCESSING), (ONE, ANSWERED), (ONE, WAITING))
    view, seen = Board(DECIDERS), []
    for record in records:
        view.apply(record)
        seen.append(set(view.outstanding))
    assert seen == [set(), set(), {ONE}, {ONE}, {ONE}, set()]


def test_streams_without_a_decider_here_are_passed_over() -> None:
    view = Board({})
    for record in log((StreamName("call-1"), PROCESSING), (ONE, opened()), (ONE, SAID)):
        view.apply(record)
    assert (view.position, view.outstanding) == (3, set())
    assert ids(view) == ["1"]


def test_an_event_of_a_conversation_nobody_opened_is_passed_over() -> None:
    view = board(log((ONE, FinalHeard("x"))))
    assert (view.position, view.conversation(ONE)) == (1, None)


def test_a_saved_board_is_independent_of_the_one_that_goes_on() -> None:
    view = board(log((ONE, opened())))
    saved = view.to_saved()
    view.apply(Recorded(2, ONE, 2, ENDED, Stamp("k", 2)))
    again = Board.from_saved(saved, DECIDERS)
    assert ids(again, status="active") == ["1"]
    again.apply(Recorded(2, ONE, 2, ENDED, Stamp("k", 2)))
    assert saved.conversations[0].phase is Phase.IDLE


def test_a_checkpoint_not_of_our_making_is_refused() -> None:
    with pytest.raises(MalformedStreamName):
        Board.from_saved(SavedBoard(1, (), ("nonsense",)), DECIDERS)


EVENTS = st.sampled_from(
    [
        opened("ann"), opened(created_via="legacy"), ConversationMigrated(), LISTENING, PROCESSING, WAITING, ENDED,
        SAID, ANSWERED, FinalHeard("x"), CommandRejected("busy", "no"),
    ]
)  # fmt: skip
LOGS = st.lists(st.tuples(st.sampled_from([ONE, TWO, THREE]), EVENTS), max_size=30).map(lambda pairs: log(*pairs))


@given(LOGS, st.integers(0, 30))
def test_a_board_taken_up_from_a_checkpoint_is_the_board(records: list[Recorded], cut: int) -> None:
    bytes_on_disk = msgspec.json.encode(board(records[:cut]).to_saved())
    taken_up = Board.from_saved(msgspec.json.decode(bytes_on_disk, type=SavedBoard), DECIDERS)
    for record in records[cut:]:
        taken_up.apply(record)
    assert taken_up.to_saved() == board(records).to_saved()


@given(LOGS)
def test_a_record_that_is_in_already_changes_nothing(records: list[Recorded]) -> None:
    twice = board(record for record in records for _ in range(2))
    assert twice.to_saved() == board(records).to_saved()


@given(LOGS)
def test_no_stream_that_wants_something_is_left_out(records: list[Recorded]) -> None:
    """Of histories the decider can make; others it need not judge."""
    view, states = board([]), dict.fromkeys([ONE, TWO, THREE], conversation.initial)
    for record in records:
        state = states[record.stream]
        if isinstance(record.event, ConversationOpened) == (state.phase is None):
            states[record.stream] = conversation.fold(state, (record.event,))
            view.apply(record)
    assert {stream for stream, state in states.items() if conversation.wanted(state)} <= view.outstanding
