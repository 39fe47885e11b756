"""The call: a voice platform's socket, a transcript, and answers of which only the newest counts (dialect `retell`).

Times are µs UTC since the epoch. An answer is drafted in rounds: the model speaks, or asks for tools and is asked
again once they have answered. Every effect needs a live socket; without one nothing of a call runs on.
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
from core.ports import Turn

GREETING = "Hello! How can I help you today?"
APOLOGY = "I'm sorry, I did not get that done. Could you say it again?"
"""What is said in place of an answer that failed."""
GREETING_FALLBACK = 2.0
"""Seconds after which the greeting is given although no call details came."""

MAX_TEXT = 100_000
"""Characters in one answer, or in one tool's arguments or result."""
MAX_TRANSCRIPT = 1_000_000
"""Characters in a transcript; a longer one is refused."""
MAX_UTTERANCES = 10_000
"""Utterances in a transcript."""
MAX_CONTENT = 262_144
"""Extent of call details, a webhook's call, a metadata or agent frame (core.extent)."""
MAX_NOTE = 200
"""Characters kept of what was not understood."""
MAX_TOOLS = 64
"""Settled tool calls remembered; the log keeps all of them."""
MAX_OPEN_TOOLS = 16
"""Tool calls that may run at one time."""
MAX_ROUNDS = 8
"""Times one answer may ask for tools."""
MAX_WEBHOOKS = 32
"""Kinds of webhook a call may be told of."""
ENDING_WEBHOOK = "call_ended"


class Speaker(StrEnum):
    AGENT = "agent"
    USER = "user"


class Utterance(Struct, frozen=True, gc=False):
    role: Speaker
    content: str


class ToolCall(Struct, frozen=True, gc=False):
    """What a model asks a tool for; `arguments` is the model's own JSON text."""

    tool_call_id: str
    name: str
    arguments: str


# --- commands ---------------------------------------------------------------------------------------------------


class ConnectSocket(Struct, frozen=True, gc=False):
    """The platform connected. Its id is `<boot>.<number>`. The newest socket is the call's, an older one is not."""

    connection_id: str
    now: int


class DisconnectSocket(Struct, frozen=True, gc=False):
    connection_id: str
    now: int
    reason: str = "disconnected"


class LoseSocket(Struct, frozen=True, gc=False):
    """The server of this boot is gone, and the call's socket with it."""

    boot: str
    now: int = 0


class DescribeCall(Struct, frozen=True):
    """The platform's call details, and what is to be said on them."""

    details: dict[str, Any]
    greeting: str = GREETING


class Greet(Struct, frozen=True, gc=False):
    """No call details came."""

    greeting: str = GREETING


class UpdateTranscript(Struct, frozen=True, gc=False):
    """The whole of what was said, as far as the caller heard it. `turn` is whose turn the platform says it is."""

    transcript: tuple[Utterance, ...]
    turn: str | None = None


class RequireResponse(Struct, frozen=True, gc=False):
    """`reminder`: the caller has been silent, and is to be nudged."""

    response_id: int
    transcript: tuple[Utterance, ...]
    reminder: bool = False


class BeginResponse(Struct, frozen=True, gc=False):
    """A model is about to be asked."""

    response_id: int
    model: str


class AddResponsePiece(Struct, frozen=True, gc=False):
    response_id: int
    attempt: int
    text: str


class RequestTools(Struct, frozen=True, gc=False):
    """The model wants these before it goes on. That ends its round."""

    response_id: int
    attempt: int
    calls: tuple[ToolCall, ...]


class CompleteResponse(Struct, frozen=True, gc=False):
    """`rest` is what no piece has brought yet."""

    response_id: int
    attempt: int
    rest: str = ""
    end_call: bool = False
    transfer_number: str | None = None
    digit_to_press: str | None = None
    no_interruption_allowed: bool = False


class FailResponse(Struct, frozen=True, gc=False):
    response_id: int
    reason: str
    apology: str = APOLOGY


class BeginTool(Struct, frozen=True, gc=False):
    """A tool is about to be run. One that was begun before is not run again: it counts as failed."""

    tool_call_id: str


class SucceedTool(Struct, frozen=True, gc=False):
    tool_call_id: str
    result: str


class FailTool(Struct, frozen=True, gc=False):
    tool_call_id: str
    error: str


class ShowMetadata(Struct, frozen=True):
    """The platform's front end is to be shown something, e.g. another page."""

    metadata: dict[str, Any]


class InterruptCaller(Struct, frozen=True, gc=False):
    """The agent speaks without being asked."""

    interrupt_id: int
    content: str


class AdjustAgent(Struct, frozen=True):
    agent_config: dict[str, Any]


class NoteUnknown(Struct, frozen=True, gc=False):
    """A frame nobody understands: recorded, and of no other consequence."""

    interaction_type: str
    reason: str


class ReceiveWebhook(Struct, frozen=True):
    event: str
    call: dict[str, Any]
    now: int


class ForkCall(Struct, frozen=True, gc=False):
    """Go on otherwise from here, where the past was copied from another call, up to its `version`.

    What is None stays as it was; `prompt` takes the place of all that the model is told beside what was said.
    """

    source: str
    version: int
    now: int
    model: str | None = None
    prompt: str | None = None


class EndCall(Struct, frozen=True, gc=False):
    now: int
    reason: str = "ended"


Drafting = BeginResponse | AddResponsePiece | RequestTools | CompleteResponse | FailResponse
Tooling = BeginTool | SucceedTool | FailTool
Talking = (
    DescribeCall | Greet | UpdateTranscript | RequireResponse | ShowMetadata | InterruptCaller | AdjustAgent
    | NoteUnknown
)  # fmt: skip
Command = (
    ConnectSocket | DisconnectSocket | LoseSocket | Talking | Drafting | Tooling | ReceiveWebhook | EndCall | ForkCall
)  # fmt: skip


# --- events -----------------------------------------------------------------------------------------------------


class SocketConnected(Struct, frozen=True, gc=False):
    connection_id: str
    at: int


class SocketDisconnected(Struct, frozen=True, gc=False):
    """`duration` in seconds. The reason `replaced` says that a newer socket took its place."""

    connection_id: str
    reason: str
    duration: float


class CallDescribed(Struct, frozen=True):
    details: dict[str, Any]


class GreetingGiven(Struct, frozen=True, gc=False):
    """Once in a call's life, however often it reconnects."""

    content: str


class UtterancesAdded(Struct, frozen=True, gc=False):
    """`first` is the index of the first of them in the transcript."""

    first: int
    utterances: tuple[Utterance, ...]


class UtteranceContinued(Struct, frozen=True, gc=False):
    """The last utterance went on with `text`."""

    index: int
    text: str


class TranscriptRewritten(Struct, frozen=True, gc=False):
    """From index `first` on the transcript is now this."""

    first: int
    utterances: tuple[Utterance, ...]


class TurnPassed(Struct, frozen=True, gc=False):
    to: str


class ResponseRequired(Struct, frozen=True, gc=False):
    response_id: int
    reminder: bool


class ResponseBegun(Struct, frozen=True, gc=False):
    response_id: int
    attempt: int
    model: str


class ResponsePieceAdded(Struct, frozen=True, gc=False):
    response_id: int
    attempt: int
    index: int
    text: str


class ResponsePaused(Struct, frozen=True, gc=False):
    """The model asked for tools; it is asked again when all of `awaits` have answered."""

    response_id: int
    round: int
    awaits: tuple[str, ...]


class ResponseCompleted(Struct, frozen=True, gc=False):
    """`text` is the whole answer, `rest` what no piece had brought."""

    response_id: int
    rest: str
    text: str
    end_call: bool = False
    transfer_number: str | None = None
    digit_to_press: str | None = None
    no_interruption_allowed: bool = False


class ResponseFailed(Struct, frozen=True, gc=False):
    """The answer ends with the apology. `text` is how far it had come."""

    response_id: int
    reason: str
    apology: str
    text: str


class ResponseSuperseded(Struct, frozen=True, gc=False):
    """By the newer `by`; None: the socket went, and the answer may be required again. `text` is how far it had come."""

    response_id: int
    by: int | None
    text: str


class ToolRequested(Struct, frozen=True, gc=False):
    tool_call_id: str
    name: str
    arguments: str
    response_id: int


class ToolBegun(Struct, frozen=True, gc=False):
    tool_call_id: str


class ToolSucceeded(Struct, frozen=True, gc=False):
    tool_call_id: str
    result: str


class ToolFailed(Struct, frozen=True, gc=False):
    tool_call_id: str
    error: str


class MetadataShown(Struct, frozen=True):
    metadata: dict[str, Any]


class CallerInterrupted(Struct, frozen=True, gc=False):
    interrupt_id: int
    content: str


class AgentAdjusted(Struct, frozen=True):
    agent_config: dict[str, Any]


class UnknownNoted(Struct, frozen=True, gc=False):
    interaction_type: str
    reason: str


class WebhookReceived(Struct, frozen=True):
    event: str
    call: dict[str, Any]


class CallEnded(Struct, frozen=True, gc=False):
    reason: str
    at: int


class CallForked(Struct, frozen=True, gc=False):
    """The lineage: what comes before is a copy of `source` up to its `version`, what comes behind is its own.

    The rest says what is different from here on, None for nothing.
    """

    source: str
    version: int
    model: str | None = None
    prompt: str | None = None


Heard = UtterancesAdded | UtteranceContinued | TranscriptRewritten | TurnPassed
Drafted = (
    ResponseRequired | ResponseBegun | ResponsePieceAdded | ResponsePaused | ResponseCompleted | ResponseFailed
    | ResponseSuperseded
)  # fmt: skip
Tooled = ToolRequested | ToolBegun | ToolSucceeded | ToolFailed
Shown = MetadataShown | CallerInterrupted | AgentAdjusted | UnknownNoted
Event = (
    SocketConnected | SocketDisconnected | CallDescribed | GreetingGiven | Heard | Drafted | Tooled | Shown
    | WebhookReceived | CallEnded | CallForked
)  # fmt: skip


# --- effects ----------------------------------------------------------------------------------------------------


class DraftResponse(Struct, frozen=True, gc=False):
    """Ask the language model for a round of this answer."""

    response_id: int
    round: int


class RunTool(Struct, frozen=True, gc=False):
    """Tell `BeginTool`; if that led to `ToolBegun`, run the tool."""

    tool_call_id: str


class GreetAfter(Struct, frozen=True, gc=False):
    """Tell `Greet` in so many seconds."""

    seconds: float


class WatchSocket(Struct, frozen=True, gc=False):
    """Tell `LoseSocket` if this boot is not the running one; else wait until it is wanted no more."""

    boot: str


Effect = DraftResponse | RunTool | GreetAfter | WatchSocket


# --- state ------------------------------------------------------------------------------------------------------


class Response(Struct, frozen=True, gc=False):
    """The answer under way. `attempt` 0: no model has been asked; `awaits`: the tools it cannot go on without."""

    response_id: int
    reminder: bool
    attempt: int = 0
    round: int = 0
    pieces: int = 0
    text: str = ""
    awaits: tuple[str, ...] = ()


class Tool(Struct, frozen=True, gc=False):
    """A tool call, and the answer it was first wanted for. Once settled there is a `result`, or an `error`."""

    call: ToolCall
    response_id: int
    begun: bool = False
    result: str | None = None
    error: str | None = None

    @property
    def is_open(self) -> bool:
        return self.result is None and self.error is None


class Answer(Struct, frozen=True, gc=False):
    """An answer that is over, in the words the caller was to hear, an apology among them."""

    response_id: int
    text: str
    end_call: bool = False
    transfer_number: str | None = None
    digit_to_press: str | None = None
    no_interruption_allowed: bool = False


class Call(Struct, frozen=True):
    """`newest` is the newest response id that needs no answer any more, -1 at first. `tools`: open and remembered.

    `answer` is how that one was answered, where it was: a socket that lost it may ask for it again.
    `model` and `instructions` are other ones than the server's, where a fork has its own.
    """

    known: bool = False
    ended: bool = False
    socket: str | None = None
    connected_at: int = 0
    details: dict[str, Any] | None = None
    greeting: str | None = None
    transcript: tuple[Utterance, ...] = ()
    turn: str | None = None
    newest: int = -1
    answer: Answer | None = None
    response: Response | None = None
    tools: tuple[Tool, ...] = ()
    webhooks: tuple[str, ...] = ()
    model: str | None = None
    instructions: str | None = None

    def turns(self) -> tuple[Turn, ...]:
        """What was said, as a model is told: what the platform says the caller heard, and nothing else."""
        roles = {Speaker.AGENT: "assistant", Speaker.USER: "user"}
        return tuple(Turn(roles[said.role], said.content) for said in self.transcript)

    def tool(self, tool_call_id: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.call.tool_call_id == tool_call_id), None)

    @property
    def open_tools(self) -> tuple[Tool, ...]:
        return tuple(tool for tool in self.tools if tool.is_open)

    @property
    def may_be_greeted(self) -> bool:
        """Not greeted yet, and nothing asked yet: a greeting behind an answer would be stale."""
        return self.greeting is None and self.newest < 0 and self.response is None


# --- decide -----------------------------------------------------------------------------------------------------


def decide(state: Call, command: Command) -> tuple[Event, ...] | Rejected:
    """What happens when `command` meets `state`; () when it is a repetition or has been overtaken by events."""
    match command:
        case ReceiveWebhook():
            return _receive_webhook(state, command)
        case ConnectSocket():
            return _connect(state, command)
        case _ if not state.known:
            return Rejected("call_not_found", "Call not found")
        case DisconnectSocket(connection_id, now, reason):
            return _hang_up(state, reason, now) if connection_id == state.socket else ()
        case LoseSocket(boot, now):
            return _hang_up(state, "server_restarted", now) if boot == _boot(state.socket or "") else ()
        case BeginResponse() | AddResponsePiece() | RequestTools() | CompleteResponse() | FailResponse():
            return _draft(state, command)
        case BeginTool() | SucceedTool() | FailTool():
            return _use_tool(state, command)
        case _ if state.ended:
            return Rejected("call_ended", "The call has ended")
        case EndCall(now, reason):
            return (*_hang_up(state, "call_ended", now), CallEnded(reason, now))
        case ForkCall():
            return _fork(state, command)
        case _ if state.socket is None:
            return Rejected("not_connected", "The call has no connection")
        case _:
            return _talk(state, command)


def _receive_webhook(state: Call, command: ReceiveWebhook) -> tuple[Event, ...] | Rejected:
    if command.event in state.webhooks:
        return ()
    if len(state.webhooks) >= MAX_WEBHOOKS:
        return Rejected("too_many", f"a call has at most {MAX_WEBHOOKS} kinds of webhook")
    if rejection := _too_large((command.event, command.call)):
        return rejection
    ends = command.event == ENDING_WEBHOOK and not state.ended
    ending = (*_hang_up(state, "call_ended", command.now), CallEnded("webhook", command.now)) if ends else ()
    return (WebhookReceived(command.event, command.call), *ending)


def _connect(state: Call, command: ConnectSocket) -> tuple[Event, ...] | Rejected:
    if state.ended:
        return Rejected("call_ended", "The call has ended")
    if command.connection_id == state.socket:
        return ()
    return (*_hang_up(state, "replaced", command.now), SocketConnected(command.connection_id, command.now))


def _fork(state: Call, command: ForkCall) -> tuple[Event, ...] | Rejected:
    """The socket is the other call's, so it goes from here; a tool that ran there must not run once more."""
    forked = CallForked(command.source, command.version, command.model, command.prompt)
    changed = f"{command.model or ''}{command.prompt or ''}"
    if len(changed) > MAX_TEXT:
        return Rejected("too_long", f"a text has at most {MAX_TEXT} characters, this one {len(changed)}")
    return (forked, *_hang_up(state, "forked", command.now))


def _boot(connection_id: str) -> str:
    return connection_id.partition(".")[0]


def _hang_up(state: Call, reason: str, now: int) -> tuple[Event, ...]:
    """The socket goes, and with it all that runs: nobody would hear the answer."""
    if state.socket is None:
        return ()
    duration = max(0, now - state.connected_at) / 1_000_000
    return (*_stop(state, None), *_stop_tools(state), SocketDisconnected(state.socket, reason, duration))


def _stop(state: Call, by: int | None) -> tuple[Event, ...]:
    response = state.response
    return () if response is None else (ResponseSuperseded(response.response_id, by, response.text),)


def _stop_tools(state: Call) -> tuple[Event, ...]:
    return tuple(ToolFailed(tool.call.tool_call_id, "the caller is gone") for tool in state.open_tools)


def _too_large(content: Any) -> Rejected | None:
    if (size := extent(content)) > MAX_CONTENT:
        return Rejected("too_long", f"at most {MAX_CONTENT} characters are taken here, not {size}")
    return None


def _talk(state: Call, command: Talking) -> tuple[Event, ...] | Rejected:
    match command:
        case DescribeCall(details, greeting):
            described = () if details == state.details else (CallDescribed(details),)
            return _too_large(details) or (*described, *_greet(state, greeting))
        case Greet(greeting):
            return _greet(state, greeting)
        case UpdateTranscript(transcript, turn):
            turn = turn and turn[:MAX_NOTE]
            passed = () if turn is None or turn == state.turn else (TurnPassed(turn),)
            return _overlong(transcript) or (*_difference(state.transcript, transcript), *passed)
        case RequireResponse():
            return _require(state, command)
        case ShowMetadata(metadata):
            return _too_large(metadata) or (MetadataShown(metadata),)
        case InterruptCaller(interrupt_id, content):
            return _too_large(content) or (CallerInterrupted(interrupt_id, content),)
        case AdjustAgent(agent_config):
            return _too_large(agent_config) or (AgentAdjusted(agent_config),)
        case NoteUnknown(interaction_type, reason):
            return (UnknownNoted(interaction_type[:MAX_NOTE], reason[:MAX_NOTE]),)
        case _:
            assert_never(command)


def _greet(state: Call, greeting: str) -> tuple[Event, ...]:
    return (GreetingGiven(greeting),) if state.may_be_greeted else ()


def _overlong(transcript: tuple[Utterance, ...]) -> Rejected | None:
    if len(transcript) > MAX_UTTERANCES or sum(len(said.content) for said in transcript) > MAX_TRANSCRIPT:
        return Rejected(
            "too_long", f"a transcript has at most {MAX_UTTERANCES} utterances and {MAX_TRANSCRIPT} characters"
        )
    return None


def _difference(old: tuple[Utterance, ...], new: tuple[Utterance, ...]) -> tuple[Event, ...]:
    """What leads from one transcript to the other. The usual two cases, more said and something added, stay small."""
    if old == new:
        return ()
    same = next(
        (n for n, (left, right) in enumerate(zip(old, new, strict=False)) if left != right), min(len(old), len(new))
    )
    if same == len(old):
        return (UtterancesAdded(same, new[same:]),)
    if same == len(old) - 1 and same < len(new) and _continues(old[same], new[same]):
        continued = UtteranceContinued(same, new[same].content[len(old[same].content) :])
        return (continued, UtterancesAdded(same + 1, new[same + 1 :])) if new[same + 1 :] else (continued,)
    return (TranscriptRewritten(same, new[same:]),)


def _continues(old: Utterance, new: Utterance) -> bool:
    return old.role is new.role and new.content.startswith(old.content)


def _require(state: Call, command: RequireResponse) -> tuple[Event, ...] | Rejected:
    newest = state.newest if state.response is None else state.response.response_id
    if command.response_id <= newest:
        return ()
    return _overlong(command.transcript) or (
        *_difference(state.transcript, command.transcript),
        *_stop(state, command.response_id),
        ResponseRequired(command.response_id, command.reminder),
    )


def _draft(state: Call, command: Drafting) -> tuple[Event, ...]:
    """What the language model did. Of no consequence unless it is for the answer, and the attempt, under way."""
    response = state.response
    if response is None or response.response_id != command.response_id:
        return ()
    match command:
        case BeginResponse(response_id, model):
            return () if response.awaits else (ResponseBegun(response_id, response.attempt + 1, model),)
        case FailResponse(response_id, reason, apology):
            return (ResponseFailed(response_id, reason, apology, response.text),)
        case AddResponsePiece() | RequestTools() | CompleteResponse() if command.attempt != response.attempt:
            return ()
        case AddResponsePiece(response_id, attempt, text):
            piece = ResponsePieceAdded(response_id, attempt, response.pieces, text)
            return _endless(response, text) or (piece,)
        case CompleteResponse():
            return _endless(response, command.rest) or (_completed(response, command),)
        case RequestTools(_, _, calls):
            return _pause(state, response, calls)
        case _:
            assert_never(command)


def _endless(response: Response, text: str) -> tuple[Event, ...]:
    if len(response.text) + len(text) <= MAX_TEXT:
        return ()
    return (ResponseFailed(response.response_id, f"it has more than {MAX_TEXT} characters", APOLOGY, response.text),)


def _completed(response: Response, command: CompleteResponse) -> ResponseCompleted:
    return ResponseCompleted(
        command.response_id, command.rest, response.text + command.rest, command.end_call, command.transfer_number,
        command.digit_to_press, command.no_interruption_allowed,
    )  # fmt: skip


def _pause(state: Call, response: Response, calls: tuple[ToolCall, ...]) -> tuple[Event, ...]:
    """The model waits for tools. One known already is not run again: its answer serves, when it is there."""
    if fault := _tool_fault(state, response, calls):
        return (ResponseFailed(response.response_id, fault, APOLOGY, response.text),)
    asked = {call.tool_call_id: call for call in calls}
    fresh = [call for call in asked.values() if state.tool(call.tool_call_id) is None]
    known = [tool.call for tool in state.open_tools if tool.call.tool_call_id in asked]
    return (
        ResponsePaused(response.response_id, response.round + 1, tuple(call.tool_call_id for call in (*fresh, *known))),
        *(ToolRequested(call.tool_call_id, call.name, call.arguments, response.response_id) for call in fresh),
    )


def _tool_fault(state: Call, response: Response, calls: tuple[ToolCall, ...]) -> str | None:
    """Why the model cannot have these tools."""
    if response.round >= MAX_ROUNDS or len(state.open_tools) + len(calls) > MAX_OPEN_TOOLS:
        return "it asked for too many tools"
    if sum(len(call.arguments) for call in calls) > MAX_TEXT:
        return f"it asked tools with more than {MAX_TEXT} characters"
    known = (*calls, *(tool.call for tool in state.tools))
    if any(call.tool_call_id == other.tool_call_id and call != other for call in calls for other in known):
        return "it used a tool call's id for something else"
    return None


def _use_tool(state: Call, command: Tooling) -> tuple[Event, ...]:
    tool = state.tool(command.tool_call_id)
    if tool is None or not tool.is_open:
        return ()
    match command:
        case BeginTool(tool_call_id) if tool.begun:
            return (ToolFailed(tool_call_id, "it was interrupted, and is not run twice"),)
        case BeginTool(tool_call_id):
            return (ToolBegun(tool_call_id),)
        case SucceedTool(tool_call_id, result):
            return (ToolSucceeded(tool_call_id, result[:MAX_TEXT]),)
        case FailTool(tool_call_id, error):
            return (ToolFailed(tool_call_id, error[:MAX_TEXT]),)
        case _:
            assert_never(command)


# --- evolve -----------------------------------------------------------------------------------------------------


def evolve(state: Call, event: Event) -> Call:
    """The state after `event`. Total: whatever the log holds can be folded."""
    match event:
        case SocketConnected(connection_id, at):
            return replace(state, known=True, socket=connection_id, connected_at=at)
        case SocketDisconnected():
            return replace(state, socket=None)
        case CallDescribed(details):
            return replace(state, details=details)
        case GreetingGiven(content):
            return replace(state, greeting=content)
        case UtterancesAdded() | UtteranceContinued() | TranscriptRewritten() | TurnPassed():
            return _evolve_heard(state, event)
        case ToolRequested() | ToolBegun() | ToolSucceeded() | ToolFailed():
            return _evolve_tool(state, event)
        case MetadataShown() | CallerInterrupted() | AgentAdjusted() | UnknownNoted():
            return state
        case WebhookReceived(name):
            return replace(state, known=True, webhooks=(*state.webhooks, name))
        case CallEnded():
            return replace(state, ended=True)
        case CallForked(_, _, model, prompt):
            return replace(state, model=model or state.model, instructions=prompt or state.instructions)
        case _:
            return _evolve_drafted(state, event)


def _evolve_heard(state: Call, event: Heard) -> Call:
    match event:
        case UtterancesAdded(first, utterances) | TranscriptRewritten(first, utterances):
            return replace(state, transcript=(*state.transcript[:first], *utterances))
        case UtteranceContinued(index, text):
            said = (replace(one, content=one.content + text) for one in state.transcript[index : index + 1])
            return replace(state, transcript=(*state.transcript[:index], *said))
        case TurnPassed(to):
            return replace(state, turn=to)
        case _:
            assert_never(event)


def _answer(event: ResponseCompleted | ResponseFailed) -> Answer:
    if isinstance(event, ResponseFailed):
        return Answer(event.response_id, " ".join(filter(None, (event.text, event.apology))))
    return Answer(
        event.response_id, event.text, event.end_call, event.transfer_number, event.digit_to_press,
        event.no_interruption_allowed,
    )  # fmt: skip


def _evolve_drafted(state: Call, event: Drafted) -> Call:
    match event:
        case ResponseRequired(response_id, reminder):
            return replace(state, response=Response(response_id, reminder))
        case ResponseCompleted() | ResponseFailed():
            return replace(state, newest=max(state.newest, event.response_id), answer=_answer(event), response=None)
        case ResponseSuperseded(by=int()):
            return replace(state, newest=max(state.newest, event.response_id), response=None)
        case ResponseSuperseded():  # the platform may ask for this one again, but not for an older one
            return replace(state, newest=max(state.newest, event.response_id - 1), response=None)
        case ResponseBegun() | ResponsePieceAdded() | ResponsePaused():
            return state if state.response is None else replace(state, response=_evolve_response(state.response, event))
        case _:
            assert_never(event)


def _evolve_response(response: Response, event: ResponseBegun | ResponsePieceAdded | ResponsePaused) -> Response:
    match event:
        case ResponseBegun():
            return replace(response, attempt=event.attempt)
        case ResponsePieceAdded():
            return replace(response, pieces=event.index + 1, text=response.text + event.text)
        case ResponsePaused():
            # What the round that ended here still says does not count: it is for an attempt that is over.
            return replace(response, attempt=response.attempt + 1, round=event.round, awaits=event.awaits)
        case _:
            assert_never(event)


def _evolve_tool(state: Call, event: Tooled) -> Call:
    match event:
        case ToolRequested(tool_call_id, name, arguments):
            settled = [tool for tool in state.tools if not tool.is_open][1 - MAX_TOOLS :]
            fresh = Tool(ToolCall(tool_call_id, name, arguments), event.response_id)
            return replace(state, tools=(*settled, *state.open_tools, fresh))
        case ToolBegun():
            return _with_tool(state, event.tool_call_id, begun=True)
        case ToolSucceeded(tool_call_id, result):
            return _without_wait(_with_tool(state, tool_call_id, result=result), tool_call_id)
        case ToolFailed(tool_call_id, error):
            return _without_wait(_with_tool(state, tool_call_id, error=error), tool_call_id)
        case _:
            assert_never(event)


def _with_tool(state: Call, tool_call_id: str, **changes: Any) -> Call:
    tools = (replace(tool, **changes) if tool.call.tool_call_id == tool_call_id else tool for tool in state.tools)
    return replace(state, tools=tuple(tools))


def _without_wait(state: Call, tool_call_id: str) -> Call:
    if state.response is None:
        return state
    awaits = tuple(awaited for awaited in state.response.awaits if awaited != tool_call_id)
    return replace(state, response=replace(state.response, awaits=awaits))


# --- wanted -----------------------------------------------------------------------------------------------------


def wanted(state: Call) -> frozenset[Effect]:
    """While there is a socket: the newest answer, unless it waits for tools; every open tool; the greeting; a watch."""
    if state.socket is None or state.ended:
        return frozenset()
    effects: set[Effect] = {WatchSocket(_boot(state.socket))}
    effects.update(RunTool(tool.call.tool_call_id) for tool in state.open_tools)
    if state.response is not None and not state.response.awaits:
        effects.add(DraftResponse(state.response.response_id, state.response.round))
    if state.may_be_greeted:
        effects.add(GreetAfter(GREETING_FALLBACK))
    return frozenset(effects)


def is_terminal(state: Call) -> bool:
    return state.ended


def opens_work(event: Event) -> bool | None:
    """A call wants something for as long as it has a socket."""
    match event:
        case SocketConnected():
            return True
        case SocketDisconnected() | CallEnded():
            return False
        case _:
            return None


def give_up(effect: Effect, reason: str) -> Command:
    match effect:
        case DraftResponse(response_id):
            return FailResponse(response_id, reason)
        case RunTool(tool_call_id):
            return FailTool(tool_call_id, reason)
        case GreetAfter():
            return Greet()
        case WatchSocket(boot):
            return LoseSocket(boot)
        case _:
            assert_never(effect)


call: Decider[Call, Command, Event, Effect] = Decider(
    Category.CALL, Call(), decide, evolve, is_terminal, wanted, opens_work, give_up
)
