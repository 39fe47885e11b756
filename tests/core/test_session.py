"""What contracts/shipping.md and streams.md need of a session, without any wire."""

from __future__ import annotations

from typing import Any

import pytest

from core.session import (
    LABEL_KEYS,
    MAX_CHUNKS,
    MAX_CONTENT,
    MAX_DEVICES,
    MAX_OPEN,
    MAX_SETTLED,
    MAX_TEXT,
    MAX_VALUES,
    TOOLS,
    AnswerShared,
    Chat,
    ChatSaid,
    Command,
    ContextUpdated,
    DeviceJoined,
    DeviceLeft,
    DevicesDisconnected,
    DisconnectDevices,
    Effect,
    ExpireAt,
    ExpireSession,
    FailRates,
    FailToolCall,
    FailTranscription,
    FetchRates,
    JoinDevice,
    LeaveDevice,
    LoseDevices,
    Media,
    MediaKind,
    MediaReceived,
    OpenSession,
    PeerChanged,
    PeerState,
    Question,
    QuoteRates,
    RatesFailed,
    RatesQuoted,
    RatesRequested,
    ReceiveMedia,
    RelaySignal,
    ReportPeer,
    RequestKind,
    RequestRates,
    RequestRepeated,
    RequestToolCall,
    RequestTranscription,
    RunTool,
    Session,
    SessionExpired,
    SessionOpened,
    SetValue,
    ShareAnswer,
    Signal,
    SignalRelayed,
    SucceedToolCall,
    SucceedTranscription,
    ToolCallFailed,
    ToolCallRequested,
    ToolCallSucceeded,
    Transcribe,
    TranscriptionFailed,
    TranscriptionRequested,
    TranscriptionSucceeded,
    UpdateContext,
    ValueSet,
    WatchDevices,
    session,
)
from core.specification import given

HOUR = 3_600_000_000
OPENED = SessionOpened("ann", "shipping", 100, HOUR, {"username": "ann"})
LASTING = SessionOpened("", "streams", 100, None)
JOINED = DeviceJoined("b.1", 1, 200)

LABEL: dict[str, Any] = {name: f"a {name}" for name in TOOLS["create_label"]} | {"weight": 2.5}
MADE = {key: f"the {key}" for key in LABEL_KEYS}
ROUTE: dict[str, Any] = {"from_zip": "10001", "to_zip": "94105", "weight": 3}
SHIPMENT: dict[str, Any] = {"origin_zip": "10001", "destination_zip": "94105", "weight": 1}
QUOTES = [
    {"carrier": "UPS", "service": "Ground", "price": 12.5, "eta": "4 days"},
    {"carrier": "USPS", "service": "Priority", "price": 9.0, "eta": "3 days"},
]


def label_call(id: str = "t1", now: int = 300, request_id: str = "q1", **changes: Any) -> RequestToolCall:
    return RequestToolCall(id, "create_label", {**LABEL, **changes}, request_id, now)


def label_requested(number: int = 1, id: str = "t1", at: int = 300, **changes: Any) -> ToolCallRequested:
    return ToolCallRequested(number, id, "create_label", {**LABEL, **changes}, "q1", False, at)


# --- opening and joining ----------------------------------------------------------------------------------------


def test_a_session_is_opened_for_its_user_and_ends_by_itself_when_nobody_comes() -> None:
    (
        given(session)
        .when(OpenSession("ann", "shipping", 100, HOUR, {"username": "ann"})).then(OPENED)
        .leads_to(user="ann", created_at=100, last_active=100, user_info={"username": "ann"}, values={})
        .wants(ExpireAt(100 + HOUR))
    )  # fmt: skip


def test_opening_again_what_is_ones_own_changes_nothing() -> None:
    given(session, OPENED).when(OpenSession("ann", "shipping", 900)).then().leads_to(last_active=100)


@pytest.mark.parametrize("user, via", [("bob", "shipping"), ("ann", "streams"), ("", "streams")])
def test_somebody_elses_session_is_as_good_as_unknown(user: str, via: str) -> None:
    given(session, OPENED).when(OpenSession(user, via, 200)).rejected("session_not_found")
    given(session, OPENED).when(JoinDevice("b.1", user, via, 200)).rejected("session_not_found")


@pytest.mark.parametrize(
    "command",
    [
        JoinDevice("b.1", "ann", "shipping", 1), Chat("x", 1), SetValue("a", 1, 1), label_call(),
        ShareAnswer(Question.PING, "q1"),
    ],
)  # fmt: skip
def test_nothing_can_be_asked_of_an_unknown_session(command: Command) -> None:
    given(session).when(command).rejected("session_not_found")


def test_devices_are_counted_as_they_come_and_go() -> None:
    (
        given(session, OPENED)
        .when(JoinDevice("b.1", "ann", "shipping", 200)).then(DeviceJoined("b.1", 1, 200)).wants(WatchDevices("b"))
        .when(JoinDevice("b.2", "ann", "shipping", 300)).then(DeviceJoined("b.2", 2, 300))
        .when(JoinDevice("b.2", "ann", "shipping", 400)).rejected("already_joined")
        .when(LeaveDevice("b.1", 500)).then(DeviceLeft("b.1", 1, "disconnected", 500)).wants(WatchDevices("b"))
        .when(LeaveDevice("b.1", 600)).then().leads_to(devices=("b.2",), last_active=300)
    )  # fmt: skip


def test_only_so_many_devices_may_share_a_session() -> None:
    crowd = Session("ann", opened_via="shipping", devices=tuple(f"b.{n}" for n in range(MAX_DEVICES)))
    given(session, state=crowd).when(JoinDevice("b.x", "ann", "shipping", 1)).rejected("busy")
    given(session, state=crowd).when(JoinDevice("c.1", "ann", "shipping", 1)).leads_to(devices=("c.1",))


def test_the_devices_of_an_earlier_boot_went_with_that_server() -> None:
    (
        given(session, OPENED, DeviceJoined("a.1", 1, 200))
        .when(JoinDevice("b.1", "ann", "shipping", 900))
        .then(DeviceLeft("a.1", 0, "server_restarted", 900), DeviceJoined("b.1", 1, 900))
    )
    (
        given(session, OPENED, DeviceJoined("a.1", 1, 200)).wants(WatchDevices("a"))
        .when(LoseDevices("a", 900)).then(DeviceLeft("a.1", 0, "server_restarted", 900)).wants(ExpireAt(900 + HOUR))
    )  # fmt: skip
    given(session, OPENED, JOINED).when(LoseDevices("a", 900)).then()


def test_disconnecting_a_session_closes_every_connection_and_keeps_the_session() -> None:
    (
        given(session, LASTING, JOINED, DeviceJoined("b.2", 2, 300))
        .when(DisconnectDevices(400)).then(DevicesDisconnected(("b.1", "b.2"), 400)).leads_to(devices=())
        .when(LeaveDevice("b.1", 500)).then()
        .when(DisconnectDevices(500)).then()
        .when(JoinDevice("b.3", "", "streams", 600)).then(DeviceJoined("b.3", 1, 600))
    )  # fmt: skip


# --- expiry -----------------------------------------------------------------------------------------------------


def test_a_session_expires_when_it_was_idle_for_too_long_without_a_device() -> None:
    (
        given(session, OPENED)
        .when(ExpireSession(100 + HOUR - 1)).then()
        .when(ExpireSession(100 + HOUR)).then(SessionExpired(100 + HOUR)).ends().wants()
    )  # fmt: skip


def test_with_a_device_or_work_outstanding_it_does_not_expire() -> None:
    given(session, OPENED, JOINED).when(ExpireSession(9 * HOUR)).then()
    given(session, OPENED, label_requested()).when(ExpireSession(9 * HOUR)).then().wants(RunTool(1))


def test_a_session_that_was_opened_to_last_never_expires() -> None:
    given(session, LASTING).wants().when(ExpireSession(9 * HOUR)).then()


def test_a_device_that_was_silent_for_long_may_come_back_after_it_left() -> None:
    left = DeviceLeft("b.1", 0, "disconnected", 5 * HOUR)
    given(session, OPENED, JOINED, left).wants(ExpireAt(6 * HOUR)).when(ExpireSession(6 * HOUR)).ends()


@pytest.mark.parametrize(
    "command",
    [
        JoinDevice("b.1", "ann", "shipping", 9), OpenSession("ann", "shipping", 9), Chat("x", 9), label_call(),
        RequestRates("q1", SHIPMENT, 9), RequestTranscription(9), UpdateContext("x", "q1", 9), SetValue("a", 1, 9),
    ],
)  # fmt: skip
def test_nothing_more_can_be_asked_of_an_expired_session(command: Command) -> None:
    given(session, OPENED, SessionExpired(9 * HOUR)).when(command).rejected("session_expired").ends()


@pytest.mark.parametrize(
    "command", [LeaveDevice("b.1", 9), LoseDevices("b", 9), SucceedToolCall(1, MADE), ExpireSession(99 * HOUR)]
)
def test_what_comes_too_late_for_an_expired_session_is_of_no_consequence(command: Command) -> None:
    given(session, OPENED, SessionExpired(9 * HOUR)).when(command).then().ends()


def test_activity_never_goes_back_when_clocks_do() -> None:
    given(session, OPENED).when(Chat("Hello", 50)).then(ChatSaid("Hello", 50)).leads_to(last_active=100)


# --- tool calls -------------------------------------------------------------------------------------------------


def test_a_label_is_made_and_the_whole_session_is_told() -> None:
    (
        given(session, OPENED, JOINED)
        .when(label_call()).then(label_requested()).wants(WatchDevices("b"), RunTool(1)).leads_to(last_active=300)
        .when(SucceedToolCall(1, {**MADE, "more": 1})).then(
            ToolCallSucceeded(1, "t1", "q1", False, {**MADE, "more": 1}),
            ContextUpdated("label_created", "q1", MADE, None),
        )
        .wants(WatchDevices("b")).leads_to(last_active=300)
    )  # fmt: skip


def test_the_whole_session_is_told_of_the_cheapest_quote() -> None:
    shown = {
        "from": "10001", "to": "94105", "weight_lbs": 3,
        "carrier": "USPS", "service": "Priority", "price": 9.0, "eta": "3 days",
    }  # fmt: skip
    asked = RequestToolCall("t1", "get_shipping_quotes", ROUTE, "q1", 300, broadcast=True)
    given(session, OPENED).when(asked).when(SucceedToolCall(1, QUOTES)).then(
        ToolCallSucceeded(1, "t1", "q1", False, QUOTES), ContextUpdated("quote_ready", "q1", shown, None)
    )
    given(session, OPENED).when(asked).when(SucceedToolCall(1, [])).then(ToolCallSucceeded(1, "t1", "q1", True, []))


def test_a_failing_tool_says_what_was_asked_and_tells_the_session_nothing() -> None:
    original = {"tool_name": "create_label", "tool_call_id": "t1", "parameters": LABEL}
    failed = ToolCallFailed(1, "t1", "q1", False, "timeout calling rates endpoint", original)
    given(session, OPENED, label_requested()).when(FailToolCall(1, "timeout calling rates endpoint")).then(failed)


@pytest.mark.parametrize("name", TOOLS["create_label"])
def test_a_missing_parameter_fails_the_call_at_once(name: str) -> None:
    for missing in ({key: value for key, value in LABEL.items() if key != name}, {**LABEL, name: None}):
        verdict = given(session, LASTING).when(RequestToolCall("t1", "create_label", missing, "q1", 300)).wants()
        original = {"tool_name": "create_label", "tool_call_id": "t1", "parameters": missing}
        verdict.then(
            ToolCallRequested(1, "t1", "create_label", missing, "q1", False, 300),
            ToolCallFailed(1, "t1", "q1", False, f"Missing required parameter: {name}", original),
        )


@pytest.mark.parametrize("weight", [0, -1, "3", True, float("nan"), float("inf")])
def test_a_weight_is_a_number_above_zero(weight: Any) -> None:
    given(session, LASTING).when(label_call(weight=weight)).wants().leads_to(
        lambda state: "weight must be" in str(state.settled[0].error)
    )


def test_an_unsupported_tool_is_named() -> None:
    given(session, LASTING).when(RequestToolCall("t1", "fly", {}, "q1", 300)).wants().leads_to(
        lambda state: state.settled[0].error == "Unsupported tool: fly"
    )


def test_a_repeated_call_changes_nothing_and_finds_the_first_ones_result() -> None:
    verdict = (
        given(session, OPENED, label_requested())
        .when(SucceedToolCall(1, MADE))
        .when(label_call(now=900, request_id="q2")).then().leads_to(last_active=300, requests=1)
    )  # fmt: skip
    known = verdict.state.find(RequestKind.TOOL, "t1", "create_label", LABEL)
    assert known is not None
    assert (known.number, known.result, known.error) == (1, MADE, None)


def test_a_call_repeated_while_it_is_under_way_goes_to_all_devices_since_the_first_asker_may_be_gone() -> None:
    (
        given(session, OPENED, label_requested())
        .when(label_call(now=900)).then(RequestRepeated(1)).wants(RunTool(1))
        .when(label_call(now=950)).then()
        .when(SucceedToolCall(1, MADE)).then(
            ToolCallSucceeded(1, "t1", "q1", True, MADE), ContextUpdated("label_created", "q1", MADE, None)
        )
    )  # fmt: skip


def test_the_same_id_with_other_content_is_another_call() -> None:
    (
        given(session, LASTING, label_requested())
        .when(label_call(weight=7)).then(label_requested(2, weight=7)).wants(RunTool(1), RunTool(2))
    )  # fmt: skip


@pytest.mark.parametrize(
    "command", [SucceedToolCall(7, MADE), FailToolCall(7, "no"), QuoteRates(1, QUOTES), FailRates(1, "x")]
)
def test_an_answer_to_nothing_or_of_another_kind_is_of_no_consequence(command: Command) -> None:
    given(session, LASTING, label_requested()).when(command).then().wants(RunTool(1))


@pytest.mark.parametrize("result", [None, "a label", {}, [{"price": 1}], {"qr_code": "x"}])
def test_an_answer_that_is_no_label_fails_the_call(result: Any) -> None:
    given(session, LASTING, label_requested()).when(SucceedToolCall(1, result)).wants().leads_to(
        lambda state: state.settled[0].error is not None
    )


def test_only_so_many_requests_may_wait() -> None:
    waiting = given(session, LASTING, *(label_requested(n, f"t{n}") for n in range(1, MAX_OPEN + 1)))
    for command in (label_call("t0"), RequestRates("q0", SHIPMENT, 1), RequestTranscription(1)):
        waiting.when(command).rejected("busy")
    waiting.when(label_call("t1", now=900)).then(RequestRepeated(1))


def test_so_many_answers_are_remembered() -> None:
    situation = given(session, LASTING)
    for number in range(1, MAX_SETTLED + 2):
        situation = situation.when(label_call(f"t{number}")).when(SucceedToolCall(number, MADE))
    situation.leads_to(lambda state: len(state.settled) == MAX_SETTLED)
    situation.when(label_call("t2", now=900)).then()
    situation.when(label_call("t1", now=900)).wants(RunTool(MAX_SETTLED + 2))


# --- rates ------------------------------------------------------------------------------------------------------


def test_rates_are_quoted_without_a_contextual_update() -> None:
    (
        given(session, LASTING)
        .when(RequestRates("q1", SHIPMENT, 300)).then(RatesRequested(1, "q1", SHIPMENT, False, 300))
        .wants(FetchRates(1))
        .when(QuoteRates(1, QUOTES)).then(RatesQuoted(1, "q1", False, QUOTES)).wants()
        .when(RequestRates("q1", SHIPMENT, 900)).then()
        .when(RequestRates("q1", {**SHIPMENT, "weight": 2}, 900)).wants(FetchRates(2))
    )  # fmt: skip


def test_failing_rates_say_what_was_asked() -> None:
    asked = RatesRequested(1, "q1", SHIPMENT, True, 300)
    failed = RatesFailed(1, "q1", True, "timeout calling rates endpoint", SHIPMENT)
    given(session, LASTING, asked).when(FailRates(1, "timeout calling rates endpoint")).then(failed)
    missing = {"origin_zip": "10001", "weight": 1}
    given(session, LASTING).when(RequestRates("q1", missing, 300)).wants().then(
        RatesRequested(1, "q1", missing, False, 300),
        RatesFailed(1, "q1", False, "Missing required field: destination_zip", missing),
    )


# --- what devices tell each other -------------------------------------------------------------------------------


def test_a_contextual_update_and_a_chat_message_are_activity() -> None:
    (
        given(session, OPENED)
        .when(UpdateContext("hint", "q1", 300, {"a": 1})).then(ContextUpdated("hint", "q1", {"a": 1}, 300))
        .leads_to(last_active=300)
        .when(Chat("Hello", 400)).then(ChatSaid("Hello", 400)).leads_to(last_active=400)
    )  # fmt: skip


@pytest.mark.parametrize("question", Question)
def test_an_answer_all_devices_get_is_nobodys_activity(question: Question) -> None:
    (
        given(session, OPENED, JOINED, ValueSet("step", 1, 300))
        .when(ShareAnswer(question, "q1")).then(AnswerShared(question, "q1"))
        .leads_to(last_active=300, values={"step": 1}, devices=("b.1",))
        .when(LeaveDevice("b.1", 400)).wants(ExpireAt(400 + HOUR))
        .when(ExpireSession(400 + HOUR)).when(ShareAnswer(question, "q2")).rejected("session_expired")
    )  # fmt: skip


def test_a_value_is_set_and_set_again() -> None:
    (
        given(session, OPENED)
        .when(SetValue("step", 1, 300)).then(ValueSet("step", 1, 300)).leads_to(values={"step": 1})
        .when(SetValue("step", [2], 400)).leads_to(values={"step": [2]}, last_active=400)
    )  # fmt: skip


def test_a_session_has_so_many_values() -> None:
    full = given(session, OPENED, *(ValueSet(f"key{n}", n, 200) for n in range(MAX_VALUES)))
    full.when(SetValue("one more", 1, 300)).rejected("too_many")
    full.when(SetValue("key0", "new", 300)).leads_to(lambda state: state.values["key0"] == "new")


@pytest.mark.parametrize(
    "command",
    [
        Chat("x" * (MAX_TEXT + 1), 1), SetValue("a", "x" * MAX_CONTENT, 1), UpdateContext("x" * MAX_CONTENT, "q1", 1),
        RelaySignal(Signal.OFFER, {"sdp": "x" * MAX_CONTENT}, 1), label_call(shipper_name="x" * MAX_CONTENT),
        RequestRates("q1", {"weight": "x" * MAX_CONTENT}, 1),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused(command: Command) -> None:
    given(session, OPENED).when(command).rejected("too_long")


def test_signals_are_relayed() -> None:
    relayed = SignalRelayed(Signal.OFFER, {"sdp": "v=0"}, "b.2", 300)
    given(session, LASTING).when(RelaySignal(Signal.OFFER, {"sdp": "v=0"}, 300, "b.2")).then(relayed).wants()


def test_a_peers_change_is_told_once() -> None:
    (
        given(session, LASTING, JOINED)
        .when(ReportPeer("b.1", PeerState.CONNECTED, 300)).then(PeerChanged("b.1", PeerState.CONNECTED, 300))
        .when(ReportPeer("b.1", PeerState.CONNECTED, 400)).then().leads_to(peers={"b.1": PeerState.CONNECTED})
        .when(ReportPeer("b.2", PeerState.CONNECTED, 400)).rejected("not_joined")
        .when(ReportPeer("b.1", PeerState.FAILED, 500)).then(PeerChanged("b.1", PeerState.FAILED, 500))
        .when(LeaveDevice("b.1", 600)).then(DeviceLeft("b.1", 0, "disconnected", 600)).leads_to(peers={})
    )  # fmt: skip


def test_a_connected_peer_that_leaves_takes_its_peer_connection_with_it() -> None:
    (
        given(session, LASTING, JOINED, PeerChanged("b.1", PeerState.CONNECTED, 300))
        .when(LeaveDevice("b.1", 600))
        .then(PeerChanged("b.1", PeerState.CLOSED, 600), DeviceLeft("b.1", 0, "disconnected", 600))
        .leads_to(peers={})
    )


# --- media and transcription ------------------------------------------------------------------------------------

WAV, MORE = Media("d1", 3, "audio/wav"), Media("d2", 4, "audio/wav")


def test_audio_accumulates_until_it_is_transcribed() -> None:
    (
        given(session, LASTING, JOINED)
        .when(ReceiveMedia(MediaKind.AUDIO, WAV, 300)).then(MediaReceived(MediaKind.AUDIO, WAV, 300))
        .when(ReceiveMedia(MediaKind.VIDEO, MORE, 300))
        .when(ReceiveMedia(MediaKind.AUDIO, MORE, 300)).leads_to(audio=(WAV, MORE))
        .when(RequestTranscription(400)).then(TranscriptionRequested(1, (WAV, MORE), True, 400))
        .leads_to(audio=()).wants(Transcribe(1))
        .when(SucceedTranscription(1, "hello")).then(TranscriptionSucceeded(1, "hello")).wants()
    )  # fmt: skip


def test_a_request_with_audio_of_its_own_leaves_what_accumulated() -> None:
    received = MediaReceived(MediaKind.AUDIO, WAV, 300)
    (
        given(session, LASTING, JOINED, received)
        .when(RequestTranscription(400, MORE)).then(TranscriptionRequested(1, (MORE,), False, 400))
        .leads_to(audio=(WAV,))
        .when(FailTranscription(1, "no engine")).then(TranscriptionFailed(1, "no engine")).wants()
    )  # fmt: skip


def test_without_any_audio_there_is_nothing_to_transcribe() -> None:
    given(session, LASTING).when(RequestTranscription(400)).wants().then(
        TranscriptionRequested(1, (), True, 400), TranscriptionFailed(1, "There is no audio to transcribe")
    )


def test_the_oldest_audio_goes_first_and_all_of_it_with_the_last_device() -> None:
    chunks = [Media(f"d{n}", 1, "audio/wav") for n in range(MAX_CHUNKS + 1)]
    (
        given(session, LASTING, JOINED, *(MediaReceived(MediaKind.AUDIO, chunk, 300) for chunk in chunks))
        .leads_to(audio=tuple(chunks[1:]))
        .when(LeaveDevice("b.1", 400)).leads_to(audio=())
    )  # fmt: skip


# --- giving up --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command, effect",
    [
        (label_call(), RunTool(1)),
        (RequestRates("q1", SHIPMENT, 1), FetchRates(1)),
        (RequestTranscription(1, WAV), Transcribe(1)),
    ],
)
def test_giving_up_an_effect_fails_its_request(command: Command, effect: Effect) -> None:
    assert session.give_up is not None
    given(session, LASTING).when(command).wants(effect).when(session.give_up(effect, "it crashed")).wants()
