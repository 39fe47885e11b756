"""The session: one user's devices ask for labels and rates, stream media, signal (dialects `shipping`, `streams`).

Times are µs UTC since the epoch. What a session asks of the outside, i.e. tool calls, rates and transcriptions, is a
`Request` with a number of its own, since clients may use one id twice for different things.
It is longer than other modules because the two dialects share one actor; it is in the order of `conversation.py`.
"""

# long because: a decider is one file, read from its commands to its effects without leaving it

from __future__ import annotations

from enum import StrEnum
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import replace

from core.decider import Decider, Rejected
from core.extent import extent
from core.identifiers import Category

MAX_CONTENT = 32_768
"""Extent of one request, contextual update, signal or value (core.extent)."""
MAX_TEXT = 100_000
"""Characters in one chat message."""
MAX_DEVICES = 10_000
"""Connections that may share one session at one time."""
MAX_OPEN = 32
"""Requests that may wait for their answer at one time."""
MAX_SETTLED = 128
"""Answers remembered, so that a repeated request finds its first one; the log keeps all of them."""
MAX_VALUES = 256
"""Keys in the session's state."""
MAX_CHUNKS = 1024
"""Chunks of audio kept for a transcription; the oldest goes first."""


class RequestKind(StrEnum):
    TOOL = "tool"
    RATES = "rates"
    TRANSCRIPTION = "transcription"


class PeerState(StrEnum):
    """How a device's WebRTC connection is, in the browsers' own words."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


class Signal(StrEnum):
    OFFER = "webrtc_offer"
    ANSWER = "webrtc_answer"
    ICE_CANDIDATE = "webrtc_ice_candidate"


class MediaKind(StrEnum):
    AUDIO = "audio"
    VIDEO = "video"


_ADDRESS = ("name", "street", "city", "state", "zip")
TOOLS: dict[str, tuple[str, ...]] = {
    "create_label": (
        "carrier", "service_type",
        *(f"{who}_{part}" for who in ("shipper", "recipient") for part in _ADDRESS),
        "weight",
    ),
    "get_shipping_quotes": ("from_zip", "to_zip", "weight"),
}  # fmt: skip
"""The client tools there are, and the parameters each one must have."""

RATE_FIELDS = ("origin_zip", "destination_zip", "weight")
"""What a request for rates must have."""

LABEL_KEYS = ("tracking_number", "carrier", "label_url", "qr_code", "estimated_delivery")
"""What of a label all devices of the session are shown."""


class Question(StrEnum):
    """What a session can be asked without anything being done for it."""

    PING = "ping"
    STATE = "state"


class Media(Struct, frozen=True, gc=False):
    """Bytes in the blob store. `size` in bytes; `digest` is their SHA-256 in hex."""

    digest: str
    size: int
    media_type: str


# --- commands ---------------------------------------------------------------------------------------------------


class OpenSession(Struct, frozen=True):
    """`max_age` µs of idleness, without any device, end the session; None: it is never ended.

    `user` owns it; `user_info` is what clients are shown of the user; `opened_via` is the dialect's name.
    """

    user: str
    opened_via: str
    now: int
    max_age: int | None = None
    user_info: dict[str, Any] = {}


class JoinDevice(Struct, frozen=True, gc=False):
    """A connection of the same user and dialect shares the session. Its id is `<boot>.<number>`."""

    connection_id: str
    user: str
    via: str
    now: int


class LeaveDevice(Struct, frozen=True, gc=False):
    connection_id: str
    now: int
    reason: str = "disconnected"


class LoseDevices(Struct, frozen=True, gc=False):
    """The server of this boot is gone, and all its connections with it."""

    boot: str
    now: int = 0


class DisconnectDevices(Struct, frozen=True, gc=False):
    """Somebody wants every connection of the session closed. The session itself stays."""

    now: int


class RequestToolCall(Struct, frozen=True):
    """`broadcast`: all devices get the answer, not only the one that asked. `command_id` is the client's, for it to
    find the answer by."""

    tool_call_id: str
    tool_name: str
    parameters: dict[str, Any]
    request_id: str
    now: int
    broadcast: bool = False
    command_id: str | None = None


class SucceedToolCall(Struct, frozen=True):
    number: int
    result: Any


class FailToolCall(Struct, frozen=True, gc=False):
    number: int
    error: str


class RequestRates(Struct, frozen=True):
    request_id: str
    shipment: dict[str, Any]
    now: int
    broadcast: bool = False
    command_id: str | None = None


class QuoteRates(Struct, frozen=True):
    number: int
    quotes: Any


class FailRates(Struct, frozen=True, gc=False):
    number: int
    error: str


class UpdateContext(Struct, frozen=True):
    text: str
    request_id: str
    now: int
    content: Any = None


class ShareAnswer(Struct, frozen=True, gc=False):
    """All devices are to get the answer to this question, not only the one that asked. `request_id` is the asker's."""

    question: Question
    request_id: str


class SetValue(Struct, frozen=True):
    key: str
    value: Any
    now: int


class Chat(Struct, frozen=True, gc=False):
    message: str
    now: int


class ReceiveMedia(Struct, frozen=True, gc=False):
    """The bytes are in the blob store already."""

    kind: MediaKind
    media: Media
    now: int


class RequestTranscription(Struct, frozen=True, gc=False):
    """Of these bytes or, with none, of the audio that has accumulated."""

    now: int
    media: Media | None = None


class SucceedTranscription(Struct, frozen=True, gc=False):
    number: int
    transcript: str


class FailTranscription(Struct, frozen=True, gc=False):
    number: int
    error: str


class RelaySignal(Struct, frozen=True):
    """WebRTC signalling for the other devices, or for the one named by `to`."""

    signal: Signal
    content: dict[str, Any]
    now: int
    to: str | None = None


class ReportPeer(Struct, frozen=True, gc=False):
    connection_id: str
    peer_state: PeerState
    now: int


class ExpireSession(Struct, frozen=True, gc=False):
    now: int


ANSWERS: dict[RequestKind, tuple[type, type]] = {
    RequestKind.TOOL: (SucceedToolCall, FailToolCall),
    RequestKind.RATES: (QuoteRates, FailRates),
    RequestKind.TRANSCRIPTION: (SucceedTranscription, FailTranscription),
}
"""The commands that settle each kind of request."""

Requesting = RequestToolCall | RequestRates | RequestTranscription
Settling = SucceedToolCall | FailToolCall | QuoteRates | FailRates | SucceedTranscription | FailTranscription
Departing = LeaveDevice | LoseDevices | DisconnectDevices
Acting = UpdateContext | ShareAnswer | SetValue | Chat | ReceiveMedia | RelaySignal | ReportPeer
Command = OpenSession | JoinDevice | Departing | Requesting | Settling | Acting | ExpireSession


# --- events -----------------------------------------------------------------------------------------------------


class SessionOpened(Struct, frozen=True):
    user: str
    opened_via: str
    at: int
    max_age: int | None
    user_info: dict[str, Any] = {}


class DeviceJoined(Struct, frozen=True, gc=False):
    connection_id: str
    device_count: int
    at: int


class DeviceLeft(Struct, frozen=True, gc=False):
    connection_id: str
    device_count: int
    reason: str
    at: int


class DevicesDisconnected(Struct, frozen=True, gc=False):
    """Every connection of the session is to be closed."""

    connection_ids: tuple[str, ...]
    at: int


class ToolCallRequested(Struct, frozen=True):
    number: int
    tool_call_id: str
    tool_name: str
    parameters: dict[str, Any]
    request_id: str
    broadcast: bool
    at: int
    command_id: str | None = None


class ToolCallSucceeded(Struct, frozen=True):
    number: int
    tool_call_id: str
    request_id: str
    broadcast: bool
    result: Any


class ToolCallFailed(Struct, frozen=True):
    """`original_request` is what was asked, for the client to see what went wrong."""

    number: int
    tool_call_id: str
    request_id: str
    broadcast: bool
    error: str
    original_request: dict[str, Any]


class RatesRequested(Struct, frozen=True):
    number: int
    request_id: str
    shipment: dict[str, Any]
    broadcast: bool
    at: int
    command_id: str | None = None


class RatesQuoted(Struct, frozen=True):
    number: int
    request_id: str
    broadcast: bool
    quotes: Any


class RatesFailed(Struct, frozen=True):
    number: int
    request_id: str
    broadcast: bool
    error: str
    original_request: dict[str, Any]


class RequestRepeated(Struct, frozen=True, gc=False):
    """Somebody asked for what is under way already, perhaps after a reconnect: all devices will get the answer."""

    number: int


class ContextUpdated(Struct, frozen=True):
    """All devices are to know this. `at` is None for the consequence of a tool call, which is nobody's activity."""

    text: str
    request_id: str
    content: Any
    at: int | None


class AnswerShared(Struct, frozen=True, gc=False):
    """All devices get the answer to this question. What it says is the state at this event; asking is no activity."""

    question: Question
    request_id: str


class ValueSet(Struct, frozen=True):
    key: str
    value: Any
    at: int


class ChatSaid(Struct, frozen=True, gc=False):
    message: str
    at: int


class MediaReceived(Struct, frozen=True, gc=False):
    kind: MediaKind
    media: Media
    at: int


class TranscriptionRequested(Struct, frozen=True):
    """Of these bytes, in this order. What had accumulated and is named here is used up."""

    number: int
    media: tuple[Media, ...]
    accumulated: bool
    at: int


class TranscriptionSucceeded(Struct, frozen=True, gc=False):
    number: int
    transcript: str


class TranscriptionFailed(Struct, frozen=True, gc=False):
    number: int
    error: str


class SignalRelayed(Struct, frozen=True):
    signal: Signal
    content: dict[str, Any]
    to: str | None
    at: int


class PeerChanged(Struct, frozen=True, gc=False):
    connection_id: str
    peer_state: PeerState
    at: int


class SessionExpired(Struct, frozen=True, gc=False):
    at: int


Requested = ToolCallRequested | RatesRequested | TranscriptionRequested
Settled = (
    ToolCallSucceeded | ToolCallFailed | RatesQuoted | RatesFailed | TranscriptionSucceeded | TranscriptionFailed
)  # fmt: skip
Acted = ContextUpdated | ValueSet | ChatSaid | MediaReceived | SignalRelayed | PeerChanged
Event = (
    SessionOpened | DeviceJoined | DeviceLeft | DevicesDisconnected | Requested | RequestRepeated | Settled
    | AnswerShared | Acted | SessionExpired
)  # fmt: skip


# --- effects ----------------------------------------------------------------------------------------------------


class RunTool(Struct, frozen=True, gc=False):
    """Run a tool call. After a crash it is run again: what it does outside needs an idempotency key of the call."""

    number: int


class FetchRates(Struct, frozen=True, gc=False):
    number: int


class Transcribe(Struct, frozen=True, gc=False):
    number: int


class WatchDevices(Struct, frozen=True, gc=False):
    """Tell `LoseDevices` if this boot is not the running one; else wait until it is wanted no more."""

    boot: str


class ExpireAt(Struct, frozen=True, gc=False):
    """Tell `ExpireSession` at this time."""

    time: int


Effect = RunTool | FetchRates | Transcribe | WatchDevices | ExpireAt


# --- state ------------------------------------------------------------------------------------------------------


class Request(Struct, frozen=True):
    """What was asked of the outside. `id` is the client's: a tool call's, a rate request's; "" for transcriptions.

    `repeated`: it was asked again while under way. Once settled there is a `result`, or an `error`.
    """

    number: int
    kind: RequestKind
    id: str = ""
    request_id: str = ""
    tool_name: str = ""
    content: dict[str, Any] = {}
    media: tuple[Media, ...] = ()
    broadcast: bool = False
    repeated: bool = False
    result: Any = None
    error: str | None = None
    command_id: str | None = None

    def is_for(self, kind: RequestKind, id: str, tool_name: str, content: dict[str, Any]) -> bool:
        """The same id and the same content: the same request again."""
        return (self.kind, self.id, self.tool_name, self.content) == (kind, id, tool_name, content)

    def original(self) -> dict[str, Any]:
        """What was asked, as the client gets it back with an error."""
        if self.kind is RequestKind.TOOL:
            return {"tool_name": self.tool_name, "tool_call_id": self.id, "parameters": self.content}
        return self.content


class Session(Struct, frozen=True):
    """`user` None: nobody has opened it. `requests` counts all requests ever; `values` is the wire's `state`."""

    user: str | None = None
    user_info: dict[str, Any] = {}
    opened_via: str = ""
    created_at: int = 0
    last_active: int = 0
    alone_since: int = 0
    max_age: int | None = None
    expired: bool = False
    devices: tuple[str, ...] = ()
    peers: dict[str, PeerState] = {}
    values: dict[str, Any] = {}
    audio: tuple[Media, ...] = ()
    requests: int = 0
    open: tuple[Request, ...] = ()
    settled: tuple[Request, ...] = ()

    def find(self, kind: RequestKind, id: str, tool_name: str, content: dict[str, Any]) -> Request | None:
        """The same request asked before, under way or answered, as far as it is remembered."""
        asked = (*self.open, *reversed(self.settled))
        return next((request for request in asked if request.is_for(kind, id, tool_name, content)), None)

    def numbered(self, number: int) -> Request | None:
        """The request under way with this number."""
        return next((request for request in self.open if request.number == number), None)

    @property
    def expires_at(self) -> int | None:
        """When it ends if nothing happens; None while a device is there, or work is outstanding, or it never does."""
        if self.user is None or self.expired or self.max_age is None or self.devices or self.open:
            return None
        return max(self.last_active, self.alone_since) + self.max_age


# --- decide -----------------------------------------------------------------------------------------------------


def decide(state: Session, command: Command) -> tuple[Event, ...] | Rejected:
    """What happens when `command` meets `state`; () when it is a repetition or has been overtaken by events."""
    match command:
        case OpenSession():
            return _open(state, command)
        case _ if state.user is None:
            return Rejected("session_not_found", "Session not found")
        case LeaveDevice() | LoseDevices() | DisconnectDevices():
            return _depart(state, command)
        case (
            SucceedToolCall() | FailToolCall() | QuoteRates() | FailRates() | SucceedTranscription()
            | FailTranscription()
        ):  # fmt: skip
            return _settle(state, command)
        case ExpireSession(now):
            due = state.expires_at
            return (SessionExpired(now),) if due is not None and now >= due else ()
        case _ if state.expired:
            return Rejected("session_expired", "The session has expired")
        case JoinDevice():
            return _join(state, command)
        case RequestToolCall():
            return _request_tool_call(state, command)
        case RequestRates():
            return _request_rates(state, command)
        case RequestTranscription():
            return _request_transcription(state, command)
        case _:
            return _act(state, command)


def _open(state: Session, command: OpenSession) -> tuple[Event, ...] | Rejected:
    if state.user is None:
        return (SessionOpened(command.user, command.opened_via, command.now, command.max_age, command.user_info),)
    if state.expired:
        return Rejected("session_expired", "The session has expired")
    return _foreign(state, command.user, command.opened_via) or ()


def _foreign(state: Session, user: str, via: str) -> Rejected | None:
    """Somebody else's session, or another dialect's, is none of yours: it is not said that it exists."""
    if (user, via) != (state.user, state.opened_via):
        return Rejected("session_not_found", "Session not found")
    return None


def _join(state: Session, command: JoinDevice) -> tuple[Event, ...] | Rejected:
    if foreign := _foreign(state, command.user, command.via):
        return foreign
    if command.connection_id in state.devices:
        return Rejected("already_joined", "This connection is there already")
    boot = _boot(command.connection_id)
    gone = [device for device in state.devices if _boot(device) != boot]
    here = len(state.devices) - len(gone)
    if here >= MAX_DEVICES:
        return Rejected("busy", f"{MAX_DEVICES} connections share this session already", retry_after=60.0)
    losses = _losses(state, gone, "server_restarted", command.now)
    return (*losses, DeviceJoined(command.connection_id, here + 1, command.now))


def _boot(connection_id: str) -> str:
    return connection_id.partition(".")[0]


def _depart(state: Session, command: Departing) -> tuple[Event, ...]:
    match command:
        case LeaveDevice(connection_id, now, reason):
            return _losses(state, [connection_id] if connection_id in state.devices else [], reason, now)
        case LoseDevices(boot, now):
            gone = [device for device in state.devices if _boot(device) == boot]
            return _losses(state, gone, "server_restarted", now)
        case DisconnectDevices(now):
            return (DevicesDisconnected(state.devices, now),) if state.devices else ()
        case _:
            assert_never(command)


def _losses(state: Session, gone: list[str], reason: str, now: int) -> tuple[Event, ...]:
    """These devices leave. The others hear of it first when a peer of theirs goes."""
    events: list[Event] = []
    for left, device in enumerate(gone, start=1):
        if state.peers.get(device) is PeerState.CONNECTED:
            events.append(PeerChanged(device, PeerState.CLOSED, now))
        events.append(DeviceLeft(device, len(state.devices) - left, reason, now))
    return tuple(events)


def _request_tool_call(state: Session, command: RequestToolCall) -> tuple[Event, ...] | Rejected:
    again = _again(state, RequestKind.TOOL, command.tool_call_id, command.tool_name, command.parameters)
    if again is not None:
        return again
    number = state.requests + 1
    asked = ToolCallRequested(
        number, command.tool_call_id, command.tool_name, command.parameters, command.request_id, command.broadcast,
        command.now, command.command_id,
    )  # fmt: skip
    required = TOOLS.get(command.tool_name)
    if required is None:
        fault = f"Unsupported tool: {command.tool_name}"
    else:
        fault = _fault(command.parameters, required, "parameter")
    return (asked, *_settle(_evolve_requested(state, asked), FailToolCall(number, fault))) if fault else (asked,)


def _request_rates(state: Session, command: RequestRates) -> tuple[Event, ...] | Rejected:
    again = _again(state, RequestKind.RATES, command.request_id, "", command.shipment)
    if again is not None:
        return again
    number = state.requests + 1
    asked = RatesRequested(
        number, command.request_id, command.shipment, command.broadcast, command.now, command.command_id
    )
    fault = _fault(command.shipment, RATE_FIELDS, "field")
    return (asked, *_settle(_evolve_requested(state, asked), FailRates(number, fault))) if fault else (asked,)


def _again(
    state: Session, kind: RequestKind, id: str, tool_name: str, content: dict[str, Any]
) -> tuple[Event, ...] | Rejected | None:
    """What becomes of a request that is repeated, too large or one too many; None when it is to be made."""
    if (known := state.find(kind, id, tool_name, content)) is not None:
        under_way = state.numbered(known.number) is not None
        return (RequestRepeated(known.number),) if under_way and not known.repeated else ()
    if len(state.open) >= MAX_OPEN:
        return Rejected("busy", f"{MAX_OPEN} requests are waiting for their answer", retry_after=1.0)
    return _too_large(content)


def _too_large(content: Any) -> Rejected | None:
    if (size := extent(content)) > MAX_CONTENT:
        return Rejected("too_long", f"at most {MAX_CONTENT} characters are taken here, not {size}")
    return None


def _fault(content: dict[str, Any], required: tuple[str, ...], what: str) -> str:
    """What is wrong with the parameters, "" when nothing is."""
    for name in required:
        if content.get(name) in (None, ""):
            return f"Missing required {what}: {name}"
    weight = content["weight"]
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
        return f"Invalid {what}: weight must be a number above 0"
    return ""


def _request_transcription(state: Session, command: RequestTranscription) -> tuple[Event, ...] | Rejected:
    if len(state.open) >= MAX_OPEN:
        return Rejected("busy", f"{MAX_OPEN} requests are waiting for their answer", retry_after=1.0)
    number, media = state.requests + 1, state.audio if command.media is None else (command.media,)
    asked = TranscriptionRequested(number, media, command.media is None, command.now)
    return (asked,) if media else (asked, TranscriptionFailed(number, "There is no audio to transcribe"))


def _settle(state: Session, command: Settling) -> tuple[Event, ...]:
    """An answer from outside; of no consequence when the request is answered already, or is of another kind."""
    request = state.numbered(command.number)
    if request is None or not isinstance(command, ANSWERS[request.kind]):
        return ()
    number, id, request_id = request.number, request.id, request.request_id
    broadcast = request.broadcast or request.repeated
    match command:
        case SucceedToolCall(_, result):
            if not _is_whole(request.tool_name, result):
                return _settle(state, FailToolCall(number, "the tool's answer is not what it should be"))
            shown = _consequence(request, result)
            broadcast = request.repeated or (request.broadcast and not shown)  # else all hear of it by the update
            return (ToolCallSucceeded(number, id, request_id, broadcast, result), *shown)
        case FailToolCall(_, error):
            return (ToolCallFailed(number, id, request_id, broadcast, error, request.original()),)
        case QuoteRates(_, quotes):
            return (RatesQuoted(number, request_id, broadcast, quotes),)
        case FailRates(_, error):
            return (RatesFailed(number, request_id, broadcast, error, request.original()),)
        case SucceedTranscription(_, transcript):
            return (TranscriptionSucceeded(number, transcript),)
        case FailTranscription(_, error):
            return (TranscriptionFailed(number, error),)
        case _:
            assert_never(command)


def _is_whole(tool_name: str, result: Any) -> bool:
    if tool_name == "create_label":
        return isinstance(result, dict) and all(key in result for key in LABEL_KEYS)
    return isinstance(result, list) and all(
        isinstance(quote, dict) and isinstance(quote.get("price"), int | float) for quote in result
    )


def _consequence(request: Request, result: Any) -> tuple[Event, ...]:
    """What all devices are to know of a tool's result: the label, or the cheapest of the quotes."""
    if request.tool_name == "create_label":
        label = {key: result[key] for key in LABEL_KEYS}
        return (ContextUpdated("label_created", request.request_id, label, None),)
    if not result:
        return ()
    cheapest = min(result, key=lambda quote: quote["price"])
    asked = request.content
    route = {"from": asked["from_zip"], "to": asked["to_zip"], "weight_lbs": asked["weight"]}
    quote = {key: cheapest.get(key) for key in ("carrier", "service", "price", "eta")}
    return (ContextUpdated("quote_ready", request.request_id, {**route, **quote}, None),)


def _act(state: Session, command: Acting) -> tuple[Event, ...] | Rejected:
    match command:
        case UpdateContext(text, request_id, now, content):
            return _too_large((text, content)) or (ContextUpdated(text, request_id, content, now),)
        case ShareAnswer(question, request_id):
            return (AnswerShared(question, request_id),)
        case SetValue(key, value, now):
            if key not in state.values and len(state.values) >= MAX_VALUES:
                return Rejected("too_many", f"a session has at most {MAX_VALUES} values")
            return _too_large((key, value)) or (ValueSet(key, value, now),)
        case Chat(message, now):
            if len(message) > MAX_TEXT:
                return Rejected("too_long", f"a text has at most {MAX_TEXT} characters, this one {len(message)}")
            return (ChatSaid(message, now),)
        case ReceiveMedia(kind, media, now):
            return (MediaReceived(kind, media, now),)
        case RelaySignal(signal, content, now, to):
            return _too_large(content) or (SignalRelayed(signal, content, to, now),)
        case ReportPeer(connection_id, peer_state, now):
            if connection_id not in state.devices:
                return Rejected("not_joined", "This connection does not share the session")
            known = state.peers.get(connection_id)
            return () if known is peer_state else (PeerChanged(connection_id, peer_state, now),)
        case _:
            assert_never(command)


# --- evolve -----------------------------------------------------------------------------------------------------


def evolve(state: Session, event: Event) -> Session:
    """The state after `event`. Total: whatever the log holds can be folded."""
    match event:
        case SessionOpened():
            return Session(event.user, event.user_info, event.opened_via, event.at, event.at, event.at, event.max_age)
        case DeviceJoined(connection_id, _, at):
            return _active(replace(state, devices=(*state.devices, connection_id)), at)
        case DeviceLeft(connection_id, _, _, at):
            return _evolve_left(state, _without(state.devices, connection_id), at)
        case DevicesDisconnected(_, at):
            return _evolve_left(state, (), at)
        case ToolCallRequested() | RatesRequested() | TranscriptionRequested():
            return _active(_evolve_requested(state, event), event.at)
        case RequestRepeated(number):
            again = (replace(one, repeated=True) if one.number == number else one for one in state.open)
            return replace(state, open=tuple(again))
        case (
            ToolCallSucceeded() | ToolCallFailed() | RatesQuoted() | RatesFailed() | TranscriptionSucceeded()
            | TranscriptionFailed()
        ):  # fmt: skip
            return _evolve_settled(state, event)
        case AnswerShared():
            return state
        case SessionExpired():
            return replace(state, expired=True, devices=(), peers={}, audio=(), open=(), settled=(), values={})
        case _:
            return _evolve_acted(state, event)


def _active(state: Session, at: int) -> Session:
    """Clocks may be set back; activity never is."""
    return replace(state, last_active=max(state.last_active, at))


def _without(devices: tuple[str, ...], gone: str) -> tuple[str, ...]:
    """By slices: when thousands leave one after the other, each in front, comparing all of them takes seconds."""
    if gone not in devices:
        return devices
    at = devices.index(gone)
    return devices[:at] + devices[at + 1 :]


def _evolve_left(state: Session, devices: tuple[str, ...], at: int) -> Session:
    """With the last device goes the audio it had not had transcribed."""
    peers = {device: peer for device, peer in state.peers.items() if device in devices}
    audio = state.audio if devices else ()
    return replace(state, devices=devices, peers=peers, audio=audio, alone_since=max(state.alone_since, at))


def _evolve_requested(state: Session, event: Requested) -> Session:
    audio = state.audio
    match event:
        case ToolCallRequested(number, id, name, parameters, request_id, broadcast, command_id=by):
            request = Request(
                number, RequestKind.TOOL, id, request_id, name, parameters, broadcast=broadcast, command_id=by
            )
        case RatesRequested(number, id, shipment, broadcast, command_id=by):
            request = Request(number, RequestKind.RATES, id, id, "", shipment, broadcast=broadcast, command_id=by)
        case TranscriptionRequested(number, media, accumulated):
            request = Request(number, RequestKind.TRANSCRIPTION, media=media)
            audio = () if accumulated else audio
        case _:
            assert_never(event)
    return replace(state, requests=request.number, open=(*state.open, request), audio=audio)


def _evolve_settled(state: Session, event: Settled) -> Session:
    request = state.numbered(event.number)
    if request is None:
        return state
    match event:
        case ToolCallSucceeded(result=result) | RatesQuoted(quotes=result) | TranscriptionSucceeded(transcript=result):
            request = replace(request, result=result)
        case ToolCallFailed() | RatesFailed() | TranscriptionFailed():
            request = replace(request, error=event.error)
        case _:
            assert_never(event)
    still = tuple(one for one in state.open if one.number != event.number)
    if request.kind is RequestKind.TRANSCRIPTION:  # it has no id, so nobody can ask for it again
        return replace(state, open=still)
    return replace(state, open=still, settled=(*state.settled[1 - MAX_SETTLED :], request))


def _evolve_acted(state: Session, event: Acted) -> Session:
    match event:
        case ContextUpdated() | ChatSaid() | SignalRelayed():
            pass
        case ValueSet(key, value):
            state = replace(state, values={**state.values, key: value})
        case MediaReceived(kind, media):
            if kind is MediaKind.AUDIO:
                state = replace(state, audio=(*state.audio[1 - MAX_CHUNKS :], media))
        case PeerChanged(connection_id, peer_state):
            state = replace(state, peers={**state.peers, connection_id: peer_state})
        case _:
            assert_never(event)
    return state if event.at is None else _active(state, event.at)


# --- wanted -----------------------------------------------------------------------------------------------------


def wanted(state: Session) -> frozenset[Effect]:
    """Every open request's answer; and where the session may end, somebody to notice that its devices have gone."""
    effects: list[Effect] = [_answering(request) for request in state.open]
    if state.max_age is not None and state.devices:
        effects.append(WatchDevices(_boot(state.devices[0])))
    if (time := state.expires_at) is not None:
        effects.append(ExpireAt(time))
    return frozenset(effects)


def _answering(request: Request) -> Effect:
    match request.kind:
        case RequestKind.TOOL:
            return RunTool(request.number)
        case RequestKind.RATES:
            return FetchRates(request.number)
        case RequestKind.TRANSCRIPTION:
            return Transcribe(request.number)
        case _:
            assert_never(request.kind)


def is_terminal(state: Session) -> bool:
    return state.expired


def opens_work(event: Event) -> bool | None:
    """A session that may end wants something all its life, another one since its first request."""
    match event:
        case SessionOpened():
            return event.max_age is not None
        case ToolCallRequested() | RatesRequested() | TranscriptionRequested():
            return True
        case SessionExpired():
            return False
        case _:
            return None


def give_up(effect: Effect, reason: str) -> Command:
    match effect:
        case RunTool(number):
            return FailToolCall(number, reason)
        case FetchRates(number):
            return FailRates(number, reason)
        case Transcribe(number):
            return FailTranscription(number, reason)
        case WatchDevices(boot):
            return LoseDevices(boot)
        case ExpireAt(time):
            return ExpireSession(time)
        case _:
            assert_never(effect)


session: Decider[Session, Command, Event, Effect] = Decider(
    Category.SESSION, Session(), decide, evolve, is_terminal, wanted, opens_work, give_up
)
