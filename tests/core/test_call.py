"""What contracts/retell.md needs of a call, without any wire."""

from __future__ import annotations

import pytest

from core.call import (
    APOLOGY,
    GREETING_FALLBACK,
    MAX_CONTENT,
    MAX_NOTE,
    MAX_OPEN_TOOLS,
    MAX_ROUNDS,
    MAX_TEXT,
    MAX_TOOLS,
    MAX_TRANSCRIPT,
    MAX_UTTERANCES,
    MAX_WEBHOOKS,
    AddResponsePiece,
    AdjustAgent,
    AgentAdjusted,
    BeginResponse,
    BeginTool,
    CallDescribed,
    CallEnded,
    CallerInterrupted,
    Command,
    CompleteResponse,
    ConnectSocket,
    DescribeCall,
    DisconnectSocket,
    DraftResponse,
    Effect,
    EndCall,
    Event,
    FailResponse,
    FailTool,
    Greet,
    GreetAfter,
    GreetingGiven,
    InterruptCaller,
    LoseSocket,
    MetadataShown,
    NoteUnknown,
    ReceiveWebhook,
    RequestTools,
    RequireResponse,
    ResponseBegun,
    ResponseCompleted,
    ResponseFailed,
    ResponsePaused,
    ResponsePieceAdded,
    ResponseRequired,
    ResponseSuperseded,
    RunTool,
    ShowMetadata,
    SocketConnected,
    SocketDisconnected,
    Speaker,
    SucceedTool,
    ToolBegun,
    ToolCall,
    ToolFailed,
    ToolRequested,
    ToolSucceeded,
    TranscriptRewritten,
    TurnPassed,
    UnknownNoted,
    UpdateTranscript,
    Utterance,
    UtteranceContinued,
    UtterancesAdded,
    WatchSocket,
    WebhookReceived,
    call,
)
from core.ports import Turn
from core.specification import given

SECOND = 1_000_000
CONNECTED = SocketConnected("b.1", 10 * SECOND)
GREETED = (CONNECTED, GreetingGiven("Hi."))
WATCH = WatchSocket("b")
ASKED = (*GREETED, ResponseRequired(1, False))
BEGUN = (*ASKED, ResponseBegun(1, 1, "model"))
WEATHER = ToolCall("t1", "forecast", '{"city":"Bonn"}')
PAUSED = (*BEGUN, ResponsePaused(1, 1, ("t1",)), ToolRequested("t1", "forecast", '{"city":"Bonn"}', 1))


def agent(content: str) -> Utterance:
    return Utterance(Speaker.AGENT, content)


def user(content: str) -> Utterance:
    return Utterance(Speaker.USER, content)


# --- sockets ----------------------------------------------------------------------------------------------------


def test_a_call_begins_with_its_socket_and_is_to_be_greeted() -> None:
    given(call).when(ConnectSocket("b.1", 10 * SECOND)).then(CONNECTED).wants(WATCH, GreetAfter(GREETING_FALLBACK))


def test_the_newest_socket_wins() -> None:
    (
        given(call, *GREETED)
        .when(ConnectSocket("b.2", 14 * SECOND))
        .then(SocketDisconnected("b.1", "replaced", 4.0), SocketConnected("b.2", 14 * SECOND))
        .when(DisconnectSocket("b.1", 15 * SECOND)).then().leads_to(socket="b.2")
        .when(ConnectSocket("b.2", 15 * SECOND)).then()
    )  # fmt: skip


def test_a_disconnect_tells_the_duration_and_nothing_runs_on() -> None:
    (
        given(call, *PAUSED, ResponsePieceAdded(1, 1, 0, "Let me see."))
        .when(DisconnectSocket("b.1", 12_500_000, "gone"))
        .then(
            ResponseSuperseded(1, None, "Let me see."), ToolFailed("t1", "the caller is gone"),
            SocketDisconnected("b.1", "gone", 2.5),
        )
        .wants()
        .when(DisconnectSocket("b.1", 99)).then()
    )  # fmt: skip


def test_a_socket_of_an_earlier_boot_went_with_that_server() -> None:
    given(call, *ASKED).when(LoseSocket("b", 11 * SECOND)).wants().then(
        ResponseSuperseded(1, None, ""), SocketDisconnected("b.1", "server_restarted", 1.0)
    )
    given(call, *ASKED).when(LoseSocket("a", 11 * SECOND)).then()


def test_a_duration_is_never_negative() -> None:
    given(call, CONNECTED).when(DisconnectSocket("b.1", 0)).then(SocketDisconnected("b.1", "disconnected", 0.0))


@pytest.mark.parametrize("command", [Greet(), RequireResponse(1, ()), UpdateTranscript(()), AdjustAgent({})])
def test_a_call_without_a_socket_can_be_asked_nothing(command: Command) -> None:
    given(call).when(command).rejected("call_not_found")
    given(call, CONNECTED, SocketDisconnected("b.1", "gone", 1.0)).when(command).rejected("not_connected")


# --- greeting ---------------------------------------------------------------------------------------------------


def test_call_details_are_kept_and_greeted() -> None:
    (
        given(call, CONNECTED)
        .when(DescribeCall({"call_id": "c1"}, "Welcome."))
        .then(CallDescribed({"call_id": "c1"}), GreetingGiven("Welcome.")).wants(WATCH)
        .when(DescribeCall({"call_id": "c1"}, "Welcome.")).then()
    )  # fmt: skip


def test_without_call_details_the_fallback_greets() -> None:
    given(call, CONNECTED).when(Greet("Welcome.")).then(GreetingGiven("Welcome.")).wants(WATCH)


def test_a_greeting_is_given_once_in_a_calls_life() -> None:
    (
        given(call, *GREETED, SocketDisconnected("b.1", "gone", 1.0))
        .when(ConnectSocket("c.1", 20 * SECOND)).wants(WatchSocket("c"))
        .when(Greet()).then()
        .when(DescribeCall({"call_id": "c1"})).then(CallDescribed({"call_id": "c1"}))
    )  # fmt: skip


def test_no_greeting_comes_behind_an_answer() -> None:
    (
        given(call, CONNECTED)
        .when(RequireResponse(1, ())).wants(WATCH, DraftResponse(1, 0))
        .when(Greet()).then()
        .when(BeginResponse(1, "model")).when(CompleteResponse(1, 1, "Yes?")).wants(WATCH)
        .when(DescribeCall({})).then(CallDescribed({}))
    )  # fmt: skip


# --- transcript -------------------------------------------------------------------------------------------------


def test_a_transcript_is_stored_as_what_was_added() -> None:
    (
        given(call, *GREETED)
        .when(UpdateTranscript((agent("Hi."),))).then(UtterancesAdded(0, (agent("Hi."),)))
        .when(UpdateTranscript((agent("Hi."), user("Hello")))).then(UtterancesAdded(1, (user("Hello"),)))
        .when(UpdateTranscript((agent("Hi."), user("Hello")))).then()
        .leads_to(transcript=(agent("Hi."), user("Hello")))
    )  # fmt: skip


def test_an_utterance_that_goes_on_is_stored_as_its_continuation() -> None:
    (
        given(call, *GREETED, UtterancesAdded(0, (agent("Hi."), user("I"))))
        .when(UpdateTranscript((agent("Hi."), user("I want")))).then(UtteranceContinued(1, " want"))
        .when(UpdateTranscript((agent("Hi."), user("I want tea."), agent("Sure."))))
        .then(UtteranceContinued(1, " tea."), UtterancesAdded(2, (agent("Sure."),)))
        .leads_to(transcript=(agent("Hi."), user("I want tea."), agent("Sure.")))
    )  # fmt: skip


@pytest.mark.parametrize(
    "transcript, rewritten",
    [
        ((agent("Hi."), user("Hello"), agent("It is")), TranscriptRewritten(2, (agent("It is"),))),
        (
            (agent("Hi."), user("Hallo"), agent("It is sunny.")),
            TranscriptRewritten(1, (user("Hallo"), agent("It is sunny."))),
        ),
        ((agent("Hi."), user("Hello")), TranscriptRewritten(2, ())),
        ((agent("Hi."), user("Hello"), user("It is sunny.")), TranscriptRewritten(2, (user("It is sunny."),))),
        ((), TranscriptRewritten(0, ())),
    ],
)
def test_what_was_said_otherwise_before_is_stored_as_a_rewrite(
    transcript: tuple[Utterance, ...], rewritten: Event
) -> None:
    said = UtterancesAdded(0, (agent("Hi."), user("Hello"), agent("It is sunny.")))
    given(call, *GREETED, said).when(UpdateTranscript(transcript)).then(rewritten).leads_to(transcript=transcript)


def test_a_model_is_told_what_the_caller_heard_and_nothing_else() -> None:
    situation = given(call, *BEGUN, ResponsePieceAdded(1, 1, 0, "It is sunny, and then"))
    heard = (agent("Hi."), user("Weather?"), agent("It is"), user("Stop."))
    state = situation.when(RequireResponse(2, heard)).state
    assert state.turns() == (
        Turn("assistant", "Hi."), Turn("user", "Weather?"), Turn("assistant", "It is"), Turn("user", "Stop."),
    )  # fmt: skip


def test_whose_turn_it_is_is_recorded_when_it_changes() -> None:
    (
        given(call, *GREETED)
        .when(UpdateTranscript((), "user_turn")).then(TurnPassed("user_turn"))
        .when(UpdateTranscript((), "user_turn")).then()
        .when(UpdateTranscript((user("Hi"),))).then(UtterancesAdded(0, (user("Hi"),)))
        .when(UpdateTranscript((user("Hi"),), "x" * 9999)).then(TurnPassed("x" * MAX_NOTE))
        .when(UpdateTranscript((user("Hi"),), "x" * 9999)).then()
    )  # fmt: skip


@pytest.mark.parametrize("transcript", [(user("x" * (MAX_TRANSCRIPT + 1)),), (user("x"),) * (MAX_UTTERANCES + 1)])
def test_an_overlong_transcript_is_refused(transcript: tuple[Utterance, ...]) -> None:
    given(call, *GREETED).when(UpdateTranscript(transcript)).rejected("too_long")
    given(call, *GREETED).when(RequireResponse(1, transcript)).rejected("too_long")


# --- answers ----------------------------------------------------------------------------------------------------


def test_an_answer_comes_in_pieces_and_is_completed_once() -> None:
    (
        given(call, *GREETED)
        .when(RequireResponse(1, (user("Hello"),)))
        .then(UtterancesAdded(0, (user("Hello"),)), ResponseRequired(1, False)).wants(WATCH, DraftResponse(1, 0))
        .when(BeginResponse(1, "model")).then(ResponseBegun(1, 1, "model"))
        .when(AddResponsePiece(1, 1, "Good ")).then(ResponsePieceAdded(1, 1, 0, "Good "))
        .when(AddResponsePiece(1, 1, "day")).then(ResponsePieceAdded(1, 1, 1, "day"))
        .when(CompleteResponse(1, 1, ".", end_call=True)).then(ResponseCompleted(1, ".", "Good day.", end_call=True))
        .wants(WATCH)
        .when(CompleteResponse(1, 1, ".")).then()
        .when(FailResponse(1, "late")).then()
    )  # fmt: skip


def test_a_reminder_is_answered_like_a_response() -> None:
    given(call, *GREETED).when(RequireResponse(1, (), reminder=True)).then(ResponseRequired(1, True)).wants(
        WATCH, DraftResponse(1, 0)
    )


def test_a_newer_response_id_supersedes_the_answer_under_way() -> None:
    (
        given(call, *BEGUN, ResponsePieceAdded(1, 1, 0, "Good "))
        .when(RequireResponse(2, ())).then(ResponseSuperseded(1, 2, "Good "), ResponseRequired(2, False))
        .wants(WATCH, DraftResponse(2, 0))
        .when(AddResponsePiece(1, 1, "day")).then()
        .when(CompleteResponse(1, 1, "day")).then()
        .when(FailResponse(1, "cancelled")).then()
    )  # fmt: skip


@pytest.mark.parametrize("response_id", [1, 2, 3])
def test_a_repeated_or_older_response_id_changes_nothing(response_id: int) -> None:
    repeated = RequireResponse(response_id, (user("Other words"),))
    given(call, *GREETED, ResponseRequired(3, False)).when(repeated).then().wants(WATCH, DraftResponse(3, 0))
    given(call, *GREETED, ResponseRequired(3, False), ResponseCompleted(3, "Yes.", "Yes.")).when(repeated).then()


def test_an_update_supersedes_nothing() -> None:
    given(call, *BEGUN).when(UpdateTranscript((user("Hm"),))).wants(WATCH, DraftResponse(1, 0))


def test_a_failed_answer_ends_with_an_apology() -> None:
    (
        given(call, *BEGUN, ResponsePieceAdded(1, 1, 0, "Good "))
        .when(FailResponse(1, "timed out")).then(ResponseFailed(1, "timed out", APOLOGY, "Good ")).wants(WATCH)
        .when(RequireResponse(1, ())).then()
    )  # fmt: skip


def test_an_answer_begun_again_counts_anew_and_its_first_attempt_no_more() -> None:
    (
        given(call, *BEGUN)
        .when(BeginResponse(1, "model")).then(ResponseBegun(1, 2, "model"))
        .when(AddResponsePiece(1, 1, "late")).then()
        .when(RequestTools(1, 1, (WEATHER,))).then()
        .when(CompleteResponse(1, 2, "Yes.")).then(ResponseCompleted(1, "Yes.", "Yes."))
    )  # fmt: skip


def test_an_answer_cut_off_with_its_socket_may_be_required_again_but_no_older_one() -> None:
    reconnected = given(
        call, *GREETED, ResponseRequired(5, False), ResponseSuperseded(5, None, ""),
        SocketDisconnected("b.1", "gone", 1.0), SocketConnected("b.2", 20 * SECOND),
    )  # fmt: skip
    reconnected.wants(WATCH)
    reconnected.when(RequireResponse(4, ())).then()
    reconnected.when(RequireResponse(5, ())).then(ResponseRequired(5, False)).wants(WATCH, DraftResponse(5, 0))


def test_an_endless_answer_fails() -> None:
    full = given(call, *BEGUN, ResponsePieceAdded(1, 1, 0, "x" * MAX_TEXT))
    for command in (AddResponsePiece(1, 1, "y"), CompleteResponse(1, 1, "y")):
        full.when(command).wants(WATCH).leads_to(response=None, newest=1)
    full.when(CompleteResponse(1, 1)).then(ResponseCompleted(1, "", "x" * MAX_TEXT))


# --- tools ------------------------------------------------------------------------------------------------------


def test_an_answer_pauses_for_its_tools_and_goes_on_when_they_have_answered() -> None:
    other = ToolCall("t2", "clock", "{}")
    (
        given(call, *BEGUN)
        .when(RequestTools(1, 1, (WEATHER, other)))
        .then(
            ResponsePaused(1, 1, ("t1", "t2")), ToolRequested("t1", "forecast", '{"city":"Bonn"}', 1),
            ToolRequested("t2", "clock", "{}", 1),
        )
        .wants(WATCH, RunTool("t1"), RunTool("t2"))
        .when(BeginTool("t1")).then(ToolBegun("t1"))
        .when(SucceedTool("t1", "sunny")).then(ToolSucceeded("t1", "sunny")).wants(WATCH, RunTool("t2"))
        .when(BeginResponse(1, "model")).then()
        .when(FailTool("t2", "broken")).then(ToolFailed("t2", "broken")).wants(WATCH, DraftResponse(1, 1))
        .when(SucceedTool("t2", "late")).then()
        .when(AddResponsePiece(1, 1, "of the round before")).then()
    )  # fmt: skip


def test_a_superseded_answers_tool_runs_on_and_its_result_is_there_for_the_next() -> None:
    state = (
        given(call, *PAUSED, ToolBegun("t1"))
        .when(RequireResponse(2, ())).wants(WATCH, RunTool("t1"), DraftResponse(2, 0))
        .when(SucceedTool("t1", "sunny")).wants(WATCH, DraftResponse(2, 0))
        .state
    )  # fmt: skip
    assert [(tool.call, tool.response_id, tool.result) for tool in state.tools] == [(WEATHER, 1, "sunny")]


def test_a_tool_asked_for_again_is_not_run_again() -> None:
    settled = (*PAUSED, ToolSucceeded("t1", "sunny"), ResponseBegun(1, 3, "model"))
    given(call, *settled).when(RequestTools(1, 3, (WEATHER,))).then(ResponsePaused(1, 2, ())).wants(
        WATCH, DraftResponse(1, 2)
    )
    running = (*PAUSED, ResponseSuperseded(1, 2, ""), ResponseRequired(2, False), ResponseBegun(2, 1, "model"))
    (
        given(call, *running)
        .when(RequestTools(2, 1, (WEATHER,))).then(ResponsePaused(2, 1, ("t1",))).wants(WATCH, RunTool("t1"))
        .when(SucceedTool("t1", "sunny")).wants(WATCH, DraftResponse(2, 1))
    )  # fmt: skip


def test_a_tool_that_was_interrupted_is_not_run_twice() -> None:
    given(call, *PAUSED, ToolBegun("t1")).when(BeginTool("t1")).then(
        ToolFailed("t1", "it was interrupted, and is not run twice")
    ).wants(WATCH, DraftResponse(1, 1))


@pytest.mark.parametrize(
    "calls",
    [
        (ToolCall("t1", "a", "{}"), ToolCall("t1", "b", "{}")),
        tuple(ToolCall(f"t{n}", "a", "{}") for n in range(MAX_OPEN_TOOLS + 1)),
        (ToolCall("t1", "a", "x" * (MAX_TEXT + 1)),),
    ],
)
def test_an_answer_that_asks_for_impossible_tools_fails(calls: tuple[ToolCall, ...]) -> None:
    given(call, *BEGUN).when(RequestTools(1, 1, calls)).wants(WATCH).leads_to(response=None, tools=())


def test_a_tool_calls_id_is_not_used_for_something_else() -> None:
    settled = (*PAUSED, ToolSucceeded("t1", "sunny"), ResponseBegun(1, 3, "model"))
    again = RequestTools(1, 3, (ToolCall("t1", "forecast", '{"city":"Cologne"}'),))
    given(call, *settled).when(again).then(
        ResponseFailed(1, "it used a tool call's id for something else", APOLOGY, "")
    )


def test_an_answer_asks_for_tools_so_many_times() -> None:
    tired = (*BEGUN, ResponsePaused(1, MAX_ROUNDS, ()), ResponseBegun(1, 9, "model"))
    given(call, *tired).when(RequestTools(1, 9, (WEATHER,))).then(
        ResponseFailed(1, "it asked for too many tools", APOLOGY, "")
    )


def test_so_many_tool_calls_are_remembered() -> None:
    events: list[Event] = []
    for number in range(MAX_TOOLS * 2):
        events += [ToolRequested(f"t{number}", "a", "{}", 1), ToolSucceeded(f"t{number}", "x")]
    state = given(call, *ASKED, *events).state
    assert len(state.tools) == MAX_TOOLS
    assert state.tools[-1].call.tool_call_id == f"t{MAX_TOOLS * 2 - 1}"


def test_a_tools_answer_is_cut_to_its_limit() -> None:
    given(call, *PAUSED).when(SucceedTool("t1", "x" * (MAX_TEXT + 1))).then(ToolSucceeded("t1", "x" * MAX_TEXT))


# --- what else a socket carries ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command, event",
    [
        (ShowMetadata({"type": "navigation"}), MetadataShown({"type": "navigation"})),
        (AdjustAgent({"responsiveness": 1}), AgentAdjusted({"responsiveness": 1})),
        (InterruptCaller(3, "One moment."), CallerInterrupted(3, "One moment.")),
        (NoteUnknown("x" * 999, "unknown type"), UnknownNoted("x" * MAX_NOTE, "unknown type")),
    ],
)
def test_what_is_only_shown_changes_nothing(command: Command, event: Event) -> None:
    state = given(call, *BEGUN).state
    given(call, *BEGUN).when(command).then(event).leads_to(lambda after: after == state)


@pytest.mark.parametrize(
    "command",
    [
        DescribeCall({"metadata": "x" * MAX_CONTENT}), ShowMetadata({"page": "x" * MAX_CONTENT}),
        AdjustAgent({"x" * MAX_CONTENT: 1}), InterruptCaller(1, "x" * (MAX_CONTENT + 1)),
        ReceiveWebhook("call_started", {"x": "x" * MAX_CONTENT}, 0),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused(command: Command) -> None:
    given(call, *GREETED).when(command).rejected("too_long")


# --- webhooks and the end ---------------------------------------------------------------------------------------


def test_a_webhook_is_recorded_once_and_may_be_the_first_that_is_heard_of_a_call() -> None:
    (
        given(call)
        .when(ReceiveWebhook("call_started", {"x": 1}, 5)).then(WebhookReceived("call_started", {"x": 1}))
        .when(ReceiveWebhook("call_started", {"x": 2}, 6)).then().wants()
        .when(ConnectSocket("b.1", 10 * SECOND)).then(CONNECTED)
    )  # fmt: skip


def test_the_webhook_of_the_end_ends_the_call_and_later_ones_are_still_recorded() -> None:
    (
        given(call, *BEGUN)
        .when(ReceiveWebhook("call_ended", {}, 13 * SECOND))
        .then(
            WebhookReceived("call_ended", {}), ResponseSuperseded(1, None, ""),
            SocketDisconnected("b.1", "call_ended", 3.0), CallEnded("webhook", 13 * SECOND),
        )
        .ends().wants()
        .when(ReceiveWebhook("call_ended", {}, 14 * SECOND)).then()
        .when(ReceiveWebhook("call_analyzed", {"score": 1}, 14 * SECOND))
        .then(WebhookReceived("call_analyzed", {"score": 1})).ends()
    )  # fmt: skip


def test_there_are_so_many_kinds_of_webhook() -> None:
    heard = [WebhookReceived(f"kind{n}", {}) for n in range(MAX_WEBHOOKS)]
    given(call, *heard).when(ReceiveWebhook("one more", {}, 0)).rejected("too_many")


def test_ending_a_call_ends_its_socket_too() -> None:
    given(call, *GREETED).when(EndCall(11 * SECOND, "hung up")).ends().wants().then(
        SocketDisconnected("b.1", "call_ended", 1.0), CallEnded("hung up", 11 * SECOND)
    )


@pytest.mark.parametrize(
    "command",
    [ConnectSocket("b.2", 1), RequireResponse(9, ()), Greet(), UpdateTranscript(()), EndCall(1), AdjustAgent({})],
)
def test_nothing_more_can_be_asked_of_an_ended_call(command: Command) -> None:
    given(call, *GREETED, CallEnded("ended", 1)).when(command).rejected("call_ended").ends()


@pytest.mark.parametrize("command", [DisconnectSocket("b.1", 1), CompleteResponse(1, 1), SucceedTool("t1", "x")])
def test_what_comes_too_late_for_an_ended_call_is_of_no_consequence(command: Command) -> None:
    ended = given(call, *PAUSED).when(EndCall(11 * SECOND))
    ended.when(command).then().ends()


@pytest.mark.parametrize(
    "events, effect",
    [(ASKED, DraftResponse(1, 0)), (PAUSED, RunTool("t1")), ((CONNECTED,), GreetAfter(2.0)), (GREETED, WATCH)],
)
def test_an_effect_that_is_given_up_is_settled(events: tuple[Event, ...], effect: Effect) -> None:
    assert call.give_up is not None
    settled = given(call, *events).when(call.give_up(effect, "it crashed"))
    assert effect not in call.wanted(settled.state)
