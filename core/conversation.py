"""The conversation: people and an assistant take turns, devices listen (dialects `conversations`, `channels`)."""

# long because: a decider is one file, read from its commands to its effects without leaving it

from __future__ import annotations

from enum import StrEnum
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import replace

from core.decider import Decider, Rejected
from core.feedback import Feedback, assess
from core.identifiers import Category
from core.ports import Prompt, Turn

MAX_TEXT = 100_000
"""Characters in one message or one piece of transcript."""
MAX_TRANSCRIPT = 1_000_000
"""Characters in the accumulated transcript; a final that would go beyond is refused."""
MAX_WAITING = 16
"""User messages that may wait for their answer at one time."""
MAX_CLIENTS = 10_000
"""Connections that may listen to one conversation at one time."""
REMEMBERED_TURNS = 24
"""Turns the assistant is told of; the log keeps all of them."""


class Phase(StrEnum):
    """The wire's `current_state`; the decider's own state is called state, so this is called phase."""

    IDLE = "idle"
    LISTENING = "listening"
    PROCESSING = "processing"
    SPEAKING = "speaking"
    WAITING_FOR_USER = "waiting_for_user"
    ERROR = "error"
    ENDED = "ended"


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.IDLE: frozenset({Phase.LISTENING, Phase.ENDED}),
    Phase.LISTENING: frozenset({Phase.PROCESSING, Phase.IDLE, Phase.ERROR}),
    Phase.PROCESSING: frozenset({Phase.SPEAKING, Phase.ERROR, Phase.WAITING_FOR_USER}),
    Phase.SPEAKING: frozenset({Phase.WAITING_FOR_USER, Phase.IDLE, Phase.ERROR}),
    Phase.WAITING_FOR_USER: frozenset({Phase.LISTENING, Phase.IDLE, Phase.ERROR}),
    Phase.ERROR: frozenset({Phase.IDLE, Phase.ENDED}),
    Phase.ENDED: frozenset(),
}
"""The state machine of seed 002. A self-transition is illegal."""

TO_PROCESSING: dict[Phase, tuple[Phase, ...]] = {
    Phase.IDLE: (Phase.LISTENING, Phase.PROCESSING),
    Phase.LISTENING: (Phase.PROCESSING,),
    Phase.PROCESSING: (),
    Phase.SPEAKING: (Phase.WAITING_FOR_USER, Phase.LISTENING, Phase.PROCESSING),
    Phase.WAITING_FOR_USER: (Phase.LISTENING, Phase.PROCESSING),
    Phase.ERROR: (Phase.IDLE, Phase.LISTENING, Phase.PROCESSING),
}
"""The legal path a user's message walks."""

TO_ENDED: dict[Phase, tuple[Phase, ...]] = {
    Phase.IDLE: (Phase.ENDED,),
    Phase.LISTENING: (Phase.IDLE, Phase.ENDED),
    Phase.PROCESSING: (Phase.ERROR, Phase.ENDED),
    Phase.SPEAKING: (Phase.IDLE, Phase.ENDED),
    Phase.WAITING_FOR_USER: (Phase.IDLE, Phase.ENDED),
    Phase.ERROR: (Phase.ENDED,),
}
"""Ending is administrative: legal from every phase, by its legal path."""

ANSWERING = frozenset({Phase.PROCESSING, Phase.SPEAKING})
"""The phases in which a reply may be under way."""


# --- commands ---------------------------------------------------------------------------------------------------


class OpenConversation(Struct, frozen=True, gc=False):
    personality: str = "friendly_neutral"
    session_type: str = "daily"
    topic: str | None = None
    user_id: str | None = None
    created_via: str = "api"


class UpdateTranscript(Struct, frozen=True, gc=False):
    """What the recogniser heard. With a final, the interim counts for nothing."""

    interim: str | None = None
    final: str | None = None
    confidence: float | None = None


class RequestPhase(Struct, frozen=True):
    phase: Phase
    metadata: dict[str, Any] = {}


class ReportSpeech(Struct, frozen=True):
    event_type: str
    data: dict[str, Any] = {}


class Say(Struct, frozen=True, gc=False):
    """A user's message; `reply_id` will be the message id of its answer."""

    message_id: str
    reply_id: str
    content: str
    audio_url: str | None = None
    target_vocabulary: tuple[str, ...] = ()


class Ask(Struct, frozen=True, gc=False):
    """A user's message to the assistant of a channel, where everybody shall see what it does about it.

    It opens the conversation if nobody has: whoever asks names the thread, and need not begin it.
    """

    channel: str
    message_id: str
    reply_id: str
    content: str


class GiveReply(Struct, frozen=True, gc=False):
    """The assistant's words from outside: recorded and shown, no model asked."""

    message_id: str
    content: str
    audio_url: str | None = None
    feedback: dict[str, Any] | None = None


class BeginReply(Struct, frozen=True, gc=False):
    """A model is about to be asked. A reply begun again (after a crash) starts over as its next attempt."""

    reply_id: str
    model: str


class AddReplyPiece(Struct, frozen=True, gc=False):
    reply_id: str
    attempt: int
    text: str


class BeginReplyTool(Struct, frozen=True, gc=False):
    """The model wants a tool run before it goes on. `arguments` are as it wrote them."""

    reply_id: str
    attempt: int
    tool_call_id: str
    name: str
    arguments: str


class EndReplyTool(Struct, frozen=True, gc=False):
    """`result` is what the model is told of it, also where it failed."""

    reply_id: str
    attempt: int
    tool_call_id: str
    result: str
    failed: bool = False


class CompleteReply(Struct, frozen=True, gc=False):
    reply_id: str
    attempt: int
    content: str


class FailReply(Struct, frozen=True, gc=False):
    reply_id: str
    reason: str
    retry_after: float | None = None


class JoinClient(Struct, frozen=True, gc=False):
    """A device listens. Its id is `<boot>.<number>`: the devices of an earlier boot went with that server."""

    connection_id: str


class LeaveClient(Struct, frozen=True, gc=False):
    connection_id: str
    reason: str = "disconnected"


class MigrateConversation(Struct, frozen=True, gc=False):
    """A legacy conversation moves to the WebSocket API, under its own id and with its whole past."""


class ForkConversation(Struct, frozen=True, gc=False):
    """Go on otherwise from here, where the past was copied from another conversation, up to its `version`.

    What is None stays as it was; `prompt` takes the place of all that the model is told beside what was said.
    """

    source: str
    version: int
    model: str | None = None
    prompt: str | None = None
    personality: str | None = None
    topic: str | None = None


class EndConversation(Struct, frozen=True, gc=False):
    reason: str = "ended"


Command = (
    OpenConversation | UpdateTranscript | RequestPhase | ReportSpeech | Say | GiveReply | BeginReply | AddReplyPiece
    | CompleteReply | FailReply | JoinClient | LeaveClient | MigrateConversation | EndConversation | Ask
    | BeginReplyTool | EndReplyTool | ForkConversation
)  # fmt: skip


# --- events -----------------------------------------------------------------------------------------------------


class ConversationOpened(Struct, frozen=True, gc=False):
    personality: str
    session_type: str
    topic: str | None
    user_id: str | None
    created_via: str


class InterimHeard(Struct, frozen=True, gc=False):
    text: str | None
    confidence: float | None = None


class FinalHeard(Struct, frozen=True, gc=False):
    text: str
    confidence: float | None = None


class PhaseEntered(Struct, frozen=True):
    """The state machine moved. `metadata` is what the requester wanted shown beside it."""

    phase: Phase
    left: Phase
    metadata: dict[str, Any] = {}


class SpeechReported(Struct, frozen=True):
    event_type: str
    data: dict[str, Any] = {}


class MessageSaid(Struct, frozen=True):
    """A whole message. A user's carries the `reply_id` its answer will have; an answer carries `in_reply_to`.

    `feedback` is on the user's words; the answer repeats it, as clients get it with the answer.
    """

    message_id: str
    role: Role
    content: str
    audio_url: str | None = None
    reply_id: str | None = None
    in_reply_to: str | None = None
    feedback: dict[str, Any] | None = None


class ReplyBegun(Struct, frozen=True, gc=False):
    reply_id: str
    attempt: int
    model: str


class ReplyPieceAdded(Struct, frozen=True, gc=False):
    reply_id: str
    attempt: int
    index: int
    text: str


class ReplyFailed(Struct, frozen=True, gc=False):
    reply_id: str
    reason: str
    retry_after: float | None = None


class ReplyInterrupted(Struct, frozen=True, gc=False):
    """Somebody moved the conversation on; `text` is how far the answer had come."""

    reply_id: str
    text: str


class ClientJoined(Struct, frozen=True, gc=False):
    connection_id: str
    client_count: int


class ClientLeft(Struct, frozen=True, gc=False):
    connection_id: str
    client_count: int
    reason: str


class ChannelChosen(Struct, frozen=True, gc=False):
    """What the assistant does from here on is also published on this channel."""

    channel: str


class ReplyToolBegun(Struct, frozen=True, gc=False):
    reply_id: str
    attempt: int
    tool_call_id: str
    name: str
    arguments: str


class ReplyToolEnded(Struct, frozen=True, gc=False):
    reply_id: str
    attempt: int
    tool_call_id: str
    result: str
    failed: bool


class ConversationMigrated(Struct, frozen=True, gc=False):
    """From here on the WebSocket API knows this conversation too."""


class ConversationForked(Struct, frozen=True, gc=False):
    """The lineage: what comes before is a copy of `source` up to its `version`, what comes behind is its own.

    Nobody listens here yet, and no channel shows it. The rest says what is different from here on, None for nothing.
    """

    source: str
    version: int
    model: str | None = None
    prompt: str | None = None
    personality: str | None = None
    topic: str | None = None


Event = (
    InterimHeard | FinalHeard | ReplyPieceAdded | PhaseEntered | MessageSaid | SpeechReported | ReplyBegun | ReplyFailed
    | ReplyInterrupted | ClientJoined | ClientLeft | ConversationOpened | ConversationMigrated | ChannelChosen
    | ReplyToolBegun | ReplyToolEnded | ConversationForked
)  # fmt: skip


# --- effects ----------------------------------------------------------------------------------------------------


class DraftReply(Struct, frozen=True, gc=False):
    """Ask the language model for the answer `reply_id`."""

    reply_id: str


Effect = DraftReply


# --- state ------------------------------------------------------------------------------------------------------


class Said(Struct, frozen=True, gc=False):
    """One remembered message."""

    message_id: str
    role: Role
    content: str


class Reply(Struct, frozen=True):
    """An answer somebody waits for. `attempt` 0: not begun; `text` is what its current attempt has said so far."""

    reply_id: str
    message_id: str
    attempt: int = 0
    pieces: int = 0
    text: str = ""
    feedback: dict[str, Any] | None = None


class Conversation(Struct, frozen=True):
    """`phase` None: nobody has opened it. `replies`: the first is being drafted, the others wait their turn.

    `channel` is where what the assistant does is published too, None for nowhere; `looks_up` says that it may use tools
    although there is none. `model` and `instructions` are other ones than the server's, where a fork has its own.
    """

    phase: Phase | None = None
    personality: str = ""
    session_type: str = ""
    topic: str | None = None
    user_id: str | None = None
    created_via: str = ""
    migrated: bool = False
    interim: str | None = None
    transcript: str = ""
    said: tuple[Said, ...] = ()
    message_count: int = 0
    replies: tuple[Reply, ...] = ()
    clients: tuple[str, ...] = ()
    channel: str | None = None
    looks_up: bool = False
    model: str | None = None
    instructions: str | None = None

    @property
    def uses_tools(self) -> bool:
        return self.looks_up or self.channel is not None

    @property
    def is_legacy(self) -> bool:
        """Known to the legacy API alone, until it is migrated."""
        return self.created_via == "legacy" and not self.migrated

    def prompt(self) -> Prompt:
        """What the model is told for the reply under way: what was said, the message to answer last.

        Messages that wait behind it are left out: their own replies will answer them.
        """
        answered = self.replies[0].message_id if self.replies else None
        waiting = {reply.message_id for reply in self.replies}
        past = [said for said in self.said if said.message_id not in waiting]
        now = [said for said in self.said if said.message_id == answered]
        turns = tuple(Turn(said.role.value, said.content) for said in (*past, *now))
        return Prompt(self.personality, self.topic, self.session_type, turns, instructions=self.instructions)


# --- decide -----------------------------------------------------------------------------------------------------


HAS_ENDED = Rejected("conversation_ended", "The conversation has ended")


def decide(state: Conversation, command: Command) -> tuple[Event, ...] | Rejected:
    """What happens when `command` meets `state`; () when events overtook it (effects, leaves, late joins)."""
    match command:
        case OpenConversation():
            return _open(state, command)
        case Ask():
            return _ask(state, command)
        case _ if state.phase is None:
            return Rejected("conversation_not_found", "Conversation not found")
        case LeaveClient():
            return _leave(state, command)
        case JoinClient() if state.phase is Phase.ENDED:
            return ()  # it is shown the end; the log of what is over does not grow by it
        case BeginReply() | AddReplyPiece() | BeginReplyTool() | EndReplyTool() | CompleteReply() | FailReply():
            return _draft(state, command)
        case _ if state.phase is Phase.ENDED:
            return HAS_ENDED
        case _:
            return _converse(state, state.phase, command)


def _open(state: Conversation, command: OpenConversation) -> tuple[Event, ...] | Rejected:
    if state.phase is not None:
        return Rejected("conversation_exists", "A conversation with this id exists already")
    opened = ConversationOpened(
        command.personality, command.session_type, command.topic, command.user_id, command.created_via
    )
    return (opened,)


Conversing = (
    UpdateTranscript | RequestPhase | ReportSpeech | Say | GiveReply | JoinClient | MigrateConversation
    | EndConversation | ForkConversation
)  # fmt: skip
Drafting = BeginReply | AddReplyPiece | BeginReplyTool | EndReplyTool | CompleteReply | FailReply


def _converse(state: Conversation, phase: Phase, command: Conversing) -> tuple[Event, ...] | Rejected:
    match command:
        case UpdateTranscript():
            return _hear(state, command)
        case Say():
            return _say(state, phase, command)
        case RequestPhase():
            return _request_phase(state, phase, command)
        case ReportSpeech(event_type, data):
            return (SpeechReported(event_type, data),)
        case GiveReply(message_id, content, audio_url, feedback):
            return _too_long(content) or (
                MessageSaid(message_id, Role.ASSISTANT, content, audio_url, feedback=feedback),
            )
        case JoinClient(connection_id):
            return _join(state, connection_id)
        case MigrateConversation():
            return _migrate(state)
        case ForkConversation():
            return _fork(command)
        case EndConversation(reason):
            return (*_interrupt(state), *_walk(phase, TO_ENDED[phase], {"reason": reason}))
        case _:
            assert_never(command)


def _too_long(text: str) -> Rejected | None:
    if len(text) > MAX_TEXT:
        return Rejected("too_long", f"a text has at most {MAX_TEXT} characters, this one {len(text)}")
    return None


def _hear(state: Conversation, command: UpdateTranscript) -> tuple[Event, ...] | Rejected:
    if command.final is None:
        return _too_long(command.interim or "") or (InterimHeard(command.interim, command.confidence),)
    if len(state.transcript) + len(command.final) >= MAX_TRANSCRIPT:
        return Rejected("too_long", f"the transcript would have more than {MAX_TRANSCRIPT} characters")
    return _too_long(command.final) or (FinalHeard(command.final.strip(), command.confidence),)


def _say(state: Conversation, phase: Phase, command: Say) -> tuple[Event, ...] | Rejected:
    if rejection := _too_long(command.content):
        return rejection
    if len(state.replies) >= MAX_WAITING:
        return Rejected("busy", f"{MAX_WAITING} messages are waiting for their answer", retry_after=1.0)
    feedback = feedback_fields(assess(command.content, command.target_vocabulary))
    said = MessageSaid(
        command.message_id, Role.USER, command.content, command.audio_url, reply_id=command.reply_id, feedback=feedback
    )
    if state.replies:
        return (said,)
    steps = _walk(phase, TO_PROCESSING[phase])
    return (*steps[:-1], said, *steps[-1:])


def _ask(state: Conversation, command: Ask) -> tuple[Event, ...] | Rejected:
    if state.phase is Phase.ENDED:
        return HAS_ENDED
    before: list[Event] = []
    if state.phase is None:
        before.append(ConversationOpened("friendly_neutral", "daily", None, None, "channels"))
    if state.channel != command.channel:
        before.append(ChannelChosen(command.channel))
    for event in before:
        state = evolve(state, event)
    said = _say(state, state.phase or Phase.IDLE, Say(command.message_id, command.reply_id, command.content))
    return said if isinstance(said, Rejected) else (*before, *said)


def _request_phase(state: Conversation, phase: Phase, command: RequestPhase) -> tuple[Event, ...] | Rejected:
    if command.phase not in TRANSITIONS[phase]:
        return Rejected("illegal_transition", f"{phase} → {command.phase} is not a legal transition")
    stopped = () if command.phase in ANSWERING else _interrupt(state)
    return (*stopped, PhaseEntered(command.phase, phase, command.metadata))


def _join(state: Conversation, connection_id: str) -> tuple[Event, ...] | Rejected:
    if connection_id in state.clients:
        return Rejected("already_joined", "This connection listens already")
    boot = connection_id.partition(".")[0]
    here = [client for client in state.clients if client.partition(".")[0] == boot]
    if len(here) >= MAX_CLIENTS:
        return Rejected("busy", f"{MAX_CLIENTS} connections listen already", retry_after=60.0)
    gone = [client for client in state.clients if client not in here]
    losses = tuple(
        ClientLeft(client, len(state.clients) - n, "server_restarted") for n, client in enumerate(gone, start=1)
    )
    return (*losses, ClientJoined(connection_id, len(here) + 1))


def _leave(state: Conversation, command: LeaveClient) -> tuple[Event, ...]:
    if command.connection_id not in state.clients:
        return ()
    return (ClientLeft(command.connection_id, len(state.clients) - 1, command.reason),)


def _migrate(state: Conversation) -> tuple[Event, ...] | Rejected:
    if not state.is_legacy:
        return Rejected("not_legacy", "Only a legacy conversation can be migrated, and only once")
    return (ConversationMigrated(),)


def _fork(command: ForkConversation) -> tuple[Event, ...] | Rejected:
    changes = (command.model, command.prompt, command.personality, command.topic)
    return _too_long("".join(filter(None, changes))) or (ConversationForked(command.source, command.version, *changes),)


def _draft(state: Conversation, command: Drafting) -> tuple[Event, ...]:
    """What the language model did. Of no consequence unless it is for the reply, and the attempt, under way."""
    if not state.replies or state.replies[0].reply_id != command.reply_id or state.phase not in ANSWERING:
        return ()
    reply, phase = state.replies[0], state.phase
    match command:
        case BeginReply():
            return (ReplyBegun(reply.reply_id, reply.attempt + 1, command.model),)
        case FailReply(_, reason, retry_after):
            return (
                ReplyFailed(reply.reply_id, reason, retry_after),
                *_walk(phase, (Phase.ERROR,)),
                *_next_reply(state, Phase.ERROR),
            )
        case _ if command.attempt != reply.attempt:
            return ()
        case BeginReplyTool(_, attempt, tool_call_id, name, arguments):
            return (ReplyToolBegun(reply.reply_id, attempt, tool_call_id, name, arguments),)
        case EndReplyTool(_, attempt, tool_call_id, result, failed):
            return (ReplyToolEnded(reply.reply_id, attempt, tool_call_id, result, failed),)
        case AddReplyPiece():
            started = () if phase is Phase.SPEAKING else _walk(phase, (Phase.SPEAKING,))
            return (*started, ReplyPieceAdded(reply.reply_id, reply.attempt, reply.pieces, command.text))
        case CompleteReply():
            answer = MessageSaid(
                reply.reply_id, Role.ASSISTANT, command.content, in_reply_to=reply.message_id, feedback=reply.feedback
            )
            waiting = _walk(phase, (Phase.WAITING_FOR_USER,))
            return (answer, *waiting, *_next_reply(state, Phase.WAITING_FOR_USER))
        case _:
            assert_never(command)


def _next_reply(state: Conversation, phase: Phase) -> tuple[Event, ...]:
    """The path to the reply that waits behind the one just settled, if one does."""
    return _walk(phase, TO_PROCESSING[phase]) if len(state.replies) > 1 else ()


def _interrupt(state: Conversation) -> tuple[Event, ...]:
    return tuple(ReplyInterrupted(reply.reply_id, reply.text) for reply in state.replies)


def _walk(start: Phase, path: tuple[Phase, ...], metadata: dict[str, Any] | None = None) -> tuple[PhaseEntered, ...]:
    """The steps from `start` along `path`; the last one carries the metadata."""
    froms = (start, *path)
    return tuple(
        PhaseEntered(step, left, (metadata or {}) if step is path[-1] else {})
        for left, step in zip(froms, path, strict=False)
    )


def feedback_fields(feedback: Feedback) -> dict[str, Any]:
    """The feedback as the log and the wire have it: lists, so that what is decided again equals what was stored."""
    fields = {name: getattr(feedback, name) for name in feedback.__struct_fields__}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


# --- evolve -----------------------------------------------------------------------------------------------------


def evolve(state: Conversation, event: Event) -> Conversation:
    """The state after `event`. Total: whatever the log holds can be folded."""
    match event:
        case InterimHeard(text):
            return replace(state, interim=text)
        case FinalHeard(text):
            return replace(state, interim=None, transcript=_accumulate(state.transcript, text))
        case ReplyPieceAdded():
            return _evolve_first_reply(state, event)
        case PhaseEntered(phase):
            ended = {"clients": (), "replies": ()} if phase is Phase.ENDED else {}
            return replace(state, phase=phase, **ended)
        case MessageSaid():
            return _evolve_said(state, event)
        case SpeechReported():
            return state
        case ReplyBegun():
            return _evolve_first_reply(state, event)
        case ReplyFailed(reply_id) | ReplyInterrupted(reply_id):
            return replace(state, replies=_without(state.replies, reply_id))
        case ClientJoined(connection_id):
            return replace(state, clients=(*state.clients, connection_id))
        case ClientLeft(connection_id):
            return replace(state, clients=_without_client(state.clients, connection_id))
        case ConversationOpened():
            return Conversation(
                Phase.IDLE, event.personality, event.session_type, event.topic, event.user_id, event.created_via
            )
        case ConversationMigrated():
            return replace(state, migrated=True)
        case ChannelChosen(channel):
            return replace(state, channel=channel)
        case ReplyToolBegun() | ReplyToolEnded():
            return state
        case ConversationForked():
            return _evolve_forked(state, event)
        case _:
            assert_never(event)


def _evolve_forked(state: Conversation, event: ConversationForked) -> Conversation:
    """An answer that was under way stays wanted: it is drafted here again, by whoever drafts here."""
    return replace(
        state,
        clients=(),
        channel=None,
        looks_up=state.uses_tools,
        migrated=True,
        model=event.model or state.model,
        instructions=event.prompt or state.instructions,
        personality=event.personality or state.personality,
        topic=event.topic or state.topic,
    )


def _without_client(clients: tuple[str, ...], gone: str) -> tuple[str, ...]:
    """By slices: when thousands leave one after the other, each in front, comparing all of them takes seconds."""
    if gone not in clients:
        return clients
    at = clients.index(gone)
    return clients[:at] + clients[at + 1 :]


def _accumulate(transcript: str, text: str) -> str:
    return f"{transcript} {text}" if transcript and text else transcript or text


def _evolve_first_reply(state: Conversation, event: ReplyBegun | ReplyPieceAdded) -> Conversation:
    if not state.replies or state.replies[0].reply_id != event.reply_id:
        return state
    reply, *others = state.replies
    match event:
        case ReplyBegun():
            reply = replace(reply, attempt=event.attempt, pieces=0, text="")
        case ReplyPieceAdded():
            reply = replace(reply, pieces=event.index + 1, text=reply.text + event.text)
    return replace(state, replies=(reply, *others))


def _evolve_said(state: Conversation, event: MessageSaid) -> Conversation:
    replies = state.replies
    if event.reply_id is not None:
        replies = (*replies, Reply(event.reply_id, event.message_id, feedback=event.feedback))
    elif event.in_reply_to is not None:
        replies = _without(replies, event.message_id)
    # A message that waits for its answer is not forgotten, whatever is said before its turn comes.
    waiting = {reply.message_id for reply in replies}
    past = [said for said in state.said[: 1 - REMEMBERED_TURNS] if said.message_id in waiting]
    said = (*past, *state.said[1 - REMEMBERED_TURNS :], Said(event.message_id, event.role, event.content))
    return replace(state, replies=replies, said=said, message_count=state.message_count + 1)


def _without(replies: tuple[Reply, ...], reply_id: str) -> tuple[Reply, ...]:
    return tuple(reply for reply in replies if reply.reply_id != reply_id)


# --- wanted -----------------------------------------------------------------------------------------------------

_NOTHING: frozenset[Effect] = frozenset()


def wanted(state: Conversation) -> frozenset[Effect]:
    """The first reply waiting is to be drafted, while the conversation is in a phase for that."""
    if state.replies and state.phase in ANSWERING:
        return frozenset({DraftReply(state.replies[0].reply_id)})
    return _NOTHING


def is_terminal(state: Conversation) -> bool:
    return state.phase is Phase.ENDED


def opens_work(event: Event) -> bool | None:
    match event:
        case PhaseEntered(phase):
            return phase in ANSWERING
        case MessageSaid():
            return True if event.reply_id is not None else None
        case _:
            return None


def give_up(effect: Effect, reason: str) -> Command:
    return FailReply(effect.reply_id, reason)


conversation: Decider[Conversation, Command, Event, Effect] = Decider(
    Category.CONVERSATION, Conversation(), decide, evolve, is_terminal, wanted, opens_work, give_up
)
