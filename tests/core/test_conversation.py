"""What contracts/conversations.md says of a conversation, without any wire."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest

from core.conversation import (
    MAX_CLIENTS,
    MAX_TEXT,
    MAX_TRANSCRIPT,
    MAX_WAITING,
    REMEMBERED_TURNS,
    TO_ENDED,
    TO_PROCESSING,
    TRANSITIONS,
    AddReplyPiece,
    BeginReply,
    ClientJoined,
    ClientLeft,
    Command,
    CompleteReply,
    Conversation,
    ConversationMigrated,
    ConversationOpened,
    DraftReply,
    EndConversation,
    Event,
    FailReply,
    FinalHeard,
    GiveReply,
    InterimHeard,
    JoinClient,
    LeaveClient,
    MessageSaid,
    MigrateConversation,
    OpenConversation,
    Phase,
    PhaseEntered,
    ReplyBegun,
    ReplyFailed,
    ReplyInterrupted,
    ReplyPieceAdded,
    ReportSpeech,
    RequestPhase,
    Role,
    Say,
    SpeechReported,
    UpdateTranscript,
    conversation,
    feedback_fields,
)
from core.feedback import assess
from core.ports import Turn
from core.specification import given

OPENED = ConversationOpened("friendly_neutral", "daily", None, None, "api")
IDLE, LISTENING, PROCESSING, SPEAKING, WAITING, ERROR, ENDED = Phase

WAYS: dict[Phase, tuple[Phase, ...]] = {
    IDLE: (), LISTENING: (LISTENING,), PROCESSING: (LISTENING, PROCESSING), SPEAKING: (LISTENING, PROCESSING, SPEAKING),
    WAITING: (LISTENING, PROCESSING, WAITING), ERROR: (LISTENING, ERROR), ENDED: (ENDED,),
}  # fmt: skip
"""How to get from idle to each phase."""


def steps(*phases: Phase, **metadata: Any) -> tuple[PhaseEntered, ...]:
    """The steps through these phases; the metadata is the last one's."""
    walked = [PhaseEntered(phase, left) for left, phase in pairwise(phases)]
    return (*walked[:-1], PhaseEntered(walked[-1].phase, walked[-1].left, metadata))


def been(phase: Phase) -> tuple[Event, ...]:
    """The events of a conversation that was moved to `phase`."""
    way = WAYS[phase]
    return (OPENED, *(steps(IDLE, *way) if way else ()))


def said(number: int, content: str = "Hello there.") -> MessageSaid:
    feedback = feedback_fields(assess(content))
    return MessageSaid(f"m{number}", Role.USER, content, reply_id=f"r{number}", feedback=feedback)


def answered(number: int, content: str) -> MessageSaid:
    feedback = said(number).feedback
    return MessageSaid(f"r{number}", Role.ASSISTANT, content, in_reply_to=f"m{number}", feedback=feedback)


def say(number: int, content: str = "Hello there.") -> Say:
    return Say(f"m{number}", f"r{number}", content)


ASKED = (*been(LISTENING), said(1), *steps(LISTENING, PROCESSING))
"""A message waits for its answer."""
BEGUN = (*ASKED, ReplyBegun("r1", 1, "model"))


# --- opening ----------------------------------------------------------------------------------------------------


def test_a_new_conversation_is_idle_and_wants_nothing() -> None:
    given(conversation).when(OpenConversation()).then(OPENED).leads_to(phase=IDLE, message_count=0).wants()


def test_a_conversation_is_opened_once() -> None:
    given(conversation, OPENED).when(OpenConversation()).rejected("conversation_exists")


@pytest.mark.parametrize(
    "command", [say(1), RequestPhase(LISTENING), JoinClient("b.1"), LeaveClient("b.1"), EndConversation()]
)
def test_nothing_can_be_asked_of_an_unknown_conversation(command: Command) -> None:
    given(conversation).when(command).rejected("conversation_not_found")


# --- the state machine ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start, goal", list(product(Phase, repeat=2)))
def test_a_requested_transition_is_made_if_the_table_has_it_and_else_changes_nothing(start: Phase, goal: Phase) -> None:
    verdict = given(conversation, *been(start)).when(RequestPhase(goal, {"by": "test"}))
    if goal in TRANSITIONS[start]:
        verdict.then(PhaseEntered(goal, start, {"by": "test"})).leads_to(phase=goal)
    else:
        verdict.rejected("conversation_ended" if start is ENDED else "illegal_transition").leads_to(phase=start)


def test_the_table_is_the_contracts() -> None:
    contract = {
        "idle": "listening ended", "listening": "processing idle error",
        "processing": "speaking error waiting_for_user", "speaking": "waiting_for_user idle error",
        "waiting_for_user": "listening idle error", "error": "idle ended",
        "ended": "",
    }  # fmt: skip
    assert {left.value: {goal.value for goal in goals} for left, goals in TRANSITIONS.items()} == {
        left: set(goals.split()) for left, goals in contract.items()
    }


@pytest.mark.parametrize("paths", [TO_PROCESSING, TO_ENDED])
def test_the_paths_walk_legal_transitions_only(paths: dict[Phase, tuple[Phase, ...]]) -> None:
    assert set(paths) == set(Phase) - {ENDED}
    for start, path in paths.items():
        assert all(goal in TRANSITIONS[left] for left, goal in zip((start, *path), path, strict=False))


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not ENDED])
def test_ending_walks_the_legal_path_from_every_phase(phase: Phase) -> None:
    path = steps(phase, *TO_ENDED[phase], reason="clean-up")
    given(conversation, *been(phase)).when(EndConversation("clean-up")).then(*path).ends().wants()


# --- transcript -------------------------------------------------------------------------------------------------


def test_an_interim_is_shown_and_replaced_by_the_next() -> None:
    (
        given(conversation, OPENED)
        .when(UpdateTranscript(interim="hel", confidence=0.5)).then(InterimHeard("hel", 0.5)).leads_to(interim="hel")
        .when(UpdateTranscript(interim="hello")).leads_to(interim="hello", transcript="")
        .when(UpdateTranscript()).then(InterimHeard(None)).leads_to(interim=None)
    )  # fmt: skip


def test_a_final_clears_the_interim_and_is_appended_with_one_space() -> None:
    (
        given(conversation, OPENED, InterimHeard("hel"))
        .when(UpdateTranscript(final=" Hello. ", confidence=0.9)).then(FinalHeard("Hello.", 0.9))
        .leads_to(interim=None, transcript="Hello.")
        .when(UpdateTranscript(final="How are you?")).leads_to(transcript="Hello. How are you?")
        .when(UpdateTranscript(final="   ")).then(FinalHeard("")).leads_to(transcript="Hello. How are you?")
    )  # fmt: skip


def test_an_interim_in_the_same_frame_as_a_final_is_ignored() -> None:
    both = UpdateTranscript(interim="hel", final="Hello.")
    given(conversation, OPENED).when(both).then(FinalHeard("Hello.")).leads_to(interim=None)


def test_a_transcript_has_an_end() -> None:
    full = [FinalHeard("x" * MAX_TEXT) for _ in range(MAX_TRANSCRIPT // MAX_TEXT)]
    given(conversation, OPENED, *full[:-1]).when(UpdateTranscript(final="x" * (MAX_TEXT - 100))).leads_to(
        lambda state: len(state.transcript) <= MAX_TRANSCRIPT
    ).when(UpdateTranscript(final="x" * 200)).rejected("too_long")


@pytest.mark.parametrize(
    "command",
    [
        UpdateTranscript(interim="x" * (MAX_TEXT + 1)), UpdateTranscript(final="x" * (MAX_TEXT + 1)),
        say(1, "x" * (MAX_TEXT + 1)), GiveReply("a1", "x" * (MAX_TEXT + 1)),
    ],
)  # fmt: skip
def test_a_text_over_the_limit_is_refused(command: Command) -> None:
    given(conversation, OPENED).when(command).rejected("too_long")


def test_a_speech_event_is_recorded_and_changes_nothing() -> None:
    state = given(conversation, OPENED).state
    verdict = given(conversation, OPENED).when(ReportSpeech("speech_start", {"volume": 3}))
    verdict.then(SpeechReported("speech_start", {"volume": 3})).leads_to(lambda after: after == state)


# --- messages and their answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [IDLE, LISTENING, SPEAKING, WAITING, ERROR])
def test_a_user_message_walks_the_legal_path_to_processing(phase: Phase) -> None:
    path = (phase, *TO_PROCESSING[phase])
    walked = steps(*path)
    (
        given(conversation, *been(phase)).when(say(1)).then(*walked[:-1], said(1), walked[-1])
        .leads_to(phase=PROCESSING, message_count=1).wants(DraftReply("r1"))
    )  # fmt: skip


def test_a_message_while_a_client_holds_the_conversation_in_processing_needs_no_step() -> None:
    given(conversation, *been(PROCESSING)).when(say(1)).then(said(1)).wants(DraftReply("r1"))


def test_feedback_is_on_the_users_words_and_comes_again_with_the_answer() -> None:
    content = "The river is wide, and I like it."
    command = Say("m1", "r1", content, target_vocabulary=("river", "sea"))
    verdict = given(conversation, *been(LISTENING)).when(command)
    feedback = feedback_fields(assess(content, ("river", "sea")))
    verdict.leads_to(lambda state: state.replies[0].feedback == feedback)
    answer = MessageSaid("r1", Role.ASSISTANT, "Indeed.", in_reply_to="m1", feedback=feedback)
    verdict.when(BeginReply("r1", "model")).when(CompleteReply("r1", 1, "Indeed.")).then(
        answer, *steps(PROCESSING, WAITING)
    )


def test_an_answer_speaks_piece_by_piece_and_then_waits_for_the_user() -> None:
    (
        given(conversation, *ASKED)
        .when(BeginReply("r1", "model")).then(ReplyBegun("r1", 1, "model")).wants(DraftReply("r1"))
        .when(AddReplyPiece("r1", 1, "Hi")).then(*steps(PROCESSING, SPEAKING), ReplyPieceAdded("r1", 1, 0, "Hi"))
        .when(AddReplyPiece("r1", 1, " you")).then(ReplyPieceAdded("r1", 1, 1, " you")).wants(DraftReply("r1"))
        .leads_to(lambda state: state.replies[0].text == "Hi you")
        .when(CompleteReply("r1", 1, "Hi you")).then(answered(1, "Hi you"), *steps(SPEAKING, WAITING))
        .wants().leads_to(phase=WAITING, replies=(), message_count=2)
    )  # fmt: skip


def test_a_failing_model_leads_to_error_from_which_idle_and_the_next_message_are_reachable() -> None:
    (
        given(conversation, *BEGUN)
        .when(FailReply("r1", "too busy", 5.0)).then(ReplyFailed("r1", "too busy", 5.0), *steps(PROCESSING, ERROR))
        .wants().leads_to(phase=ERROR, replies=())
        .when(RequestPhase(IDLE)).then(*steps(ERROR, IDLE))
        .when(say(2)).wants(DraftReply("r2"))
    )  # fmt: skip


def test_an_answer_begun_again_after_a_crash_starts_over_and_the_first_attempt_counts_no_more() -> None:
    (
        given(conversation, *BEGUN, *steps(PROCESSING, SPEAKING), ReplyPieceAdded("r1", 1, 0, "Hi"))
        .when(BeginReply("r1", "model")).then(ReplyBegun("r1", 2, "model"))
        .leads_to(lambda state: state.replies[0].text == "")
        .when(AddReplyPiece("r1", 1, "late")).then()
        .when(CompleteReply("r1", 1, "late")).then()
        .when(AddReplyPiece("r1", 2, "Hello")).then(ReplyPieceAdded("r1", 2, 0, "Hello"))
    )  # fmt: skip


def test_messages_wait_for_their_answers_in_turn() -> None:
    (
        given(conversation, *BEGUN)
        .when(say(2)).then(said(2)).wants(DraftReply("r1"))
        .when(CompleteReply("r1", 1, "One.")).then(
            answered(1, "One."), *steps(PROCESSING, WAITING), *steps(WAITING, LISTENING, PROCESSING)
        ).wants(DraftReply("r2"))
        .when(FailReply("r2", "broken")).wants().leads_to(phase=ERROR)
    )  # fmt: skip


def test_the_next_message_gets_its_answer_also_when_the_one_before_fails() -> None:
    (
        given(conversation, *BEGUN, said(2))
        .when(FailReply("r1", "broken"))
        .then(ReplyFailed("r1", "broken"), *steps(PROCESSING, ERROR), *steps(ERROR, IDLE, LISTENING, PROCESSING))
        .wants(DraftReply("r2"))
    )


def test_only_so_many_messages_may_wait() -> None:
    given(conversation, *ASKED, *map(said, range(2, MAX_WAITING + 1))).when(say(99)).rejected("busy").leads_to(
        lambda state: len(state.replies) == MAX_WAITING
    )


@pytest.mark.parametrize("goal", [WAITING, ERROR])
def test_moving_the_conversation_on_interrupts_the_answers(goal: Phase) -> None:
    (
        given(conversation, *BEGUN, *steps(PROCESSING, SPEAKING), ReplyPieceAdded("r1", 1, 0, "Hi"), said(2))
        .when(RequestPhase(goal))
        .then(ReplyInterrupted("r1", "Hi"), ReplyInterrupted("r2", ""), *steps(SPEAKING, goal))
        .wants().leads_to(replies=())
        .when(AddReplyPiece("r1", 1, " you")).then()
        .when(CompleteReply("r1", 1, "Hi you")).then()
    )  # fmt: skip


def test_a_client_may_announce_speaking_without_stopping_the_answer() -> None:
    given(conversation, *BEGUN).when(RequestPhase(SPEAKING)).then(*steps(PROCESSING, SPEAKING)).wants(DraftReply("r1"))


@pytest.mark.parametrize(
    "command", [BeginReply("r9", "x"), AddReplyPiece("r9", 1, "x"), CompleteReply("r9", 1, "x"), FailReply("r9", "x")]
)
def test_what_a_model_says_to_somebody_elses_answer_is_of_no_consequence(command: Command) -> None:
    given(conversation, *BEGUN).when(command).then()


def test_an_answer_from_outside_is_recorded_and_asks_no_model() -> None:
    said_so = MessageSaid("a1", Role.ASSISTANT, "Hello.", "https://a/b.mp3", feedback={"clarity": 85})
    given(conversation, *been(IDLE)).when(GiveReply("a1", "Hello.", "https://a/b.mp3", {"clarity": 85})).then(
        said_so
    ).leads_to(phase=IDLE, message_count=1).wants()


def test_giving_up_an_effect_fails_its_answer() -> None:
    assert conversation.give_up is not None
    given(conversation, *BEGUN).when(conversation.give_up(DraftReply("r1"), "it crashed")).leads_to(phase=ERROR).wants()


def test_a_prompt_ends_with_what_is_to_be_answered_and_leaves_out_what_waits_behind_it() -> None:
    state = given(conversation, *BEGUN, said(2, "Second."), MessageSaid("a1", Role.ASSISTANT, "By the way.")).state
    assert state.prompt().turns == (Turn("assistant", "By the way."), Turn("user", "Hello there."))


def test_what_waits_for_its_answer_is_never_forgotten() -> None:
    chatter = [MessageSaid(f"a{n}", Role.ASSISTANT, f"Aside {n}.") for n in range(REMEMBERED_TURNS * 3)]
    state = given(conversation, *BEGUN, *chatter).state
    assert state.prompt().turns[-1] == Turn("user", "Hello there.")
    assert len(state.said) == REMEMBERED_TURNS + 1
    given(conversation, state=state).when(CompleteReply("r1", 1, "Hi.")).leads_to(
        lambda after: len(after.said) == REMEMBERED_TURNS
    )


# --- clients ----------------------------------------------------------------------------------------------------


def test_clients_are_counted_as_they_come_and_go() -> None:
    (
        given(conversation, OPENED)
        .when(JoinClient("b.1")).then(ClientJoined("b.1", 1))
        .when(JoinClient("b.2")).then(ClientJoined("b.2", 2))
        .when(JoinClient("b.2")).rejected("already_joined")
        .when(LeaveClient("b.1")).then(ClientLeft("b.1", 1, "disconnected")).leads_to(clients=("b.2",))
        .when(LeaveClient("b.1")).then()
    )  # fmt: skip


def test_the_clients_of_an_earlier_boot_went_with_that_server() -> None:
    (
        given(conversation, OPENED, ClientJoined("a.1", 1), ClientJoined("a.2", 2))
        .when(JoinClient("b.1"))
        .then(
            ClientLeft("a.1", 1, "server_restarted"), ClientLeft("a.2", 0, "server_restarted"), ClientJoined("b.1", 1)
        )
        .leads_to(clients=("b.1",))
    )


def test_only_so_many_clients_may_listen() -> None:
    crowd = Conversation(phase=IDLE, clients=tuple(f"b.{n}" for n in range(MAX_CLIENTS)))
    given(conversation, state=crowd).when(JoinClient("b.x")).rejected("busy")
    given(conversation, state=crowd).when(JoinClient("c.1")).leads_to(clients=("c.1",))


# --- migration and the end --------------------------------------------------------------------------------------


def test_a_legacy_conversation_is_migrated_once() -> None:
    legacy = ConversationOpened("friendly_neutral", "daily", None, None, "legacy")
    (
        given(conversation, legacy).leads_to(is_legacy=True)
        .when(MigrateConversation()).then(ConversationMigrated()).leads_to(is_legacy=False)
        .when(MigrateConversation()).rejected("not_legacy")
    )  # fmt: skip
    given(conversation, OPENED).when(MigrateConversation()).rejected("not_legacy")


def test_ending_interrupts_the_answers_and_lets_all_clients_go() -> None:
    (
        given(conversation, *BEGUN, ClientJoined("b.1", 1))
        .when(EndConversation())
        .then(ReplyInterrupted("r1", ""), *steps(PROCESSING, ERROR, ENDED, reason="ended"))
        .ends().wants().leads_to(clients=(), replies=())
        .when(LeaveClient("b.1")).then()
        .when(CompleteReply("r1", 1, "late")).then()
    )  # fmt: skip


@pytest.mark.parametrize("command", [say(1), EndConversation(), RequestPhase(IDLE), UpdateTranscript("x")])
def test_nothing_more_can_be_asked_of_an_ended_conversation(command: Command) -> None:
    given(conversation, *been(ENDED)).when(command).rejected("conversation_ended").ends()


def test_who_comes_when_it_is_over_leaves_no_trace() -> None:
    given(conversation, *been(ENDED)).when(JoinClient("b.1")).then().ends()


def test_pieces_of_an_answer_nobody_waits_for_can_still_be_folded() -> None:
    state = given(conversation, *been(PROCESSING)).state
    strays = (ReplyBegun("r9", 1, "model"), ReplyPieceAdded("r9", 1, 0, "x"), ReplyFailed("r9", "x"))
    assert conversation.fold(state, strays) == state
