"""What people said in a fork's source after the fork was made, said to the fork too: one thing at a time, in order,
each when the answer before it is complete. So one sees what another model or prompt makes of the same talk.

How far that has come is in the fork's own log: the cause of whatever is said again is the event in the source. So it
may be left off and taken up at any time, also by two at once, and nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from actors.system import System
from adapters.forking import NoSuchPast, NotForked, refuse_forgotten
from core.call import (
    Call,
    ConnectSocket,
    DisconnectSocket,
    RequireResponse,
    ResponseCompleted,
    ResponseFailed,
    ResponseSuperseded,
    Speaker,
    UpdateTranscript,
    Utterance,
)
from core.conversation import Ask, MessageSaid, ReplyFailed, ReplyInterrupted, Role, Say
from core.decider import CommandRejected
from core.identifiers import Category, StreamName
from core.lineage import lineage
from core.messages import Accepted, Recorded, Refused, Stamp, Unavailable
from core.ports import StoreUnavailable

T = TypeVar("T")


class Step(Struct, frozen=True):
    """One thing said, None where there was nothing left to say; its answer, or why there is none; and how many are
    left to be said."""

    said: str | None = None
    answer: str | None = None
    failure: str | None = None
    left: int = 0


class Said(Struct, frozen=True):
    """Something that a person said in the source: the event's id, the words, the command that said it."""

    id: str
    words: str
    command: Any


class Answer(Struct, frozen=True):
    text: str | None = None
    failure: str | None = None


async def continue_once(system: System, fork: StreamName, stamp: Stamp) -> Step:
    """Say the next thing, and wait for its answer; again with the stamp's command id, it is what was said the first
    time. Raises NotForked, StoreUnavailable."""
    since = system.store.forgettings
    records = await system.store.read_stream(fork)
    if (found := lineage(records)) is None:
        missing = f"{fork} was not forked from another stream"
        raise NotForked(missing) if records else NoSuchPast(f"the log has no stream {fork}")
    record, forked = found
    source = StreamName(forked.source)
    all_said = await said_after(system, source, forked.version)
    causes = {each.stamp.causation_id: each for each in records if each.version > record.version}
    done = max((n for n, said in enumerate(all_said, start=1) if said.id in causes), default=0)
    if stamp.command_id is not None and (told := await system.store.read_outcome(fork, stamp.command_id)):
        said = next((said for said in all_said if said.id == told[0].stamp.causation_id), None)
        if said is None:
            raise NotForked("that key was used for another kind of request")
        answer = await _until(system, fork, told[-1].version - 1, _answers(told))
        return Step(said.words, answer.text, answer.failure, len(all_said) - done)
    if done == len(all_said):
        return Step()
    said = all_said[done]
    stamp = replace(stamp, command_id=stamp.command_id or said.id, causation_id=said.id)
    say = _say_to_call if source.category is Category.CALL else _say_to_conversation
    answer = await say(system, fork, said, stamp, since)
    return Step(said.words, answer.text, answer.failure, len(all_said) - done - 1)


def _answers(told: Sequence[Recorded]) -> Callable[[Any], Answer | None]:
    """What ends the answer to what was said."""
    asked = next((record.event for record in told if isinstance(record.event, MessageSaid)), None)
    return _answer_in_call if asked is None else lambda event: _answer_to(event, asked.reply_id)


async def said_after(system: System, source: StreamName, version: int) -> list[Said]:
    """What people said there behind a version, as far as the log still has it."""
    records, commands = await system.store.read_stream(source), await system.store.read_commands(source)
    if source.category is Category.CALL:
        return list(_said_in_call(records, commands, version))
    return [
        Said(record.id, record.event.content, command)
        for record, command in _told(records, commands)
        if record.version > version and isinstance(record.event, MessageSaid) and record.event.role is Role.USER
    ]


def _told(records: Sequence[Recorded], commands: Mapping[int, Any]) -> Iterator[tuple[Recorded, Any]]:
    """Each record with the command that led to it, where there still is one."""
    command = None
    for record in records:
        command = commands.get(record.version, command)
        if command is not None:
            yield record, command


# --- conversations ----------------------------------------------------------------------------------------------


async def _say_to_conversation(system: System, fork: StreamName, said: Said, stamp: Stamp, since: int) -> Answer:
    state, version = await system.look(fork)
    if state.replies:
        await _until(system, fork, version, lambda event: _answer_to(event, state.replies[-1].reply_id))
        stamp = replace(stamp, time=system.clock.now())
    told = (await _ask(system, fork, _said_again(system, said.command), stamp, since)).records
    return await _until(system, fork, told[-1].version, _answers(told))


def _said_again(system: System, command: Say | Ask) -> Say:
    new = system.identifiers.new
    if isinstance(command, Ask):
        return Say(new(), new(), command.content)
    return replace(command, message_id=new(), reply_id=new())


def _answer_to(event: Any, reply_id: str | None) -> Answer | None:
    match event:
        case MessageSaid(message_id=id, content=content) if id == reply_id:
            return Answer(content)
        case ReplyFailed(reply_id=id, reason=reason) if id == reply_id:
            return Answer(failure=reason)
        case ReplyInterrupted(reply_id=id, text=text) if id == reply_id:
            return Answer(text, "it was interrupted")
        case _:
            return None


# --- calls ------------------------------------------------------------------------------------------------------


def _said_in_call(records: Sequence[Recorded], commands: Mapping[int, Any], version: int) -> Iterator[Said]:
    """What answers were asked for; not what the caller spoke on before there was one."""
    ends = [record.event for record in records if isinstance(record.event, ResponseSuperseded)]
    dropped = {event.response_id for event in ends if event.by is not None}
    spoken: Sequence[Utterance] = ()
    for first, command in sorted(commands.items()):
        if not isinstance(command, RequireResponse) or command.response_id in dropped:
            continue
        before, spoken = spoken, _of_caller(command.transcript)
        if first > version and not isinstance(records[first - 1].event, CommandRejected):
            fresh = spoken[_alike(before, spoken) :]
            words = " ".join(utterance.content for utterance in fresh)
            yield Said(records[first - 1].id, words or "(silence)", command)


def _of_caller(transcript: Iterable[Utterance]) -> tuple[Utterance, ...]:
    return tuple(utterance for utterance in transcript if utterance.role is Speaker.USER)


def _alike(one: Sequence[Utterance], other: Sequence[Utterance]) -> int:
    """How many of them are the same at the beginning."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


async def _say_to_call(system: System, fork: StreamName, said: Said, stamp: Stamp, since: int) -> Answer:
    """By a socket of our own, as a call without one does nothing; what is answered is heard at once."""
    state, _ = await system.look(fork)
    if state.socket is not None and state.socket.startswith(f"{system.boot}."):
        raise NotForked(f"{fork} has a caller; go on when nobody is connected")
    socket, ours = system.new_connection_id(), replace(stamp, command_id=None, causation_id=None)
    await _ask(system, fork, ConnectSocket(socket, system.clock.now()), ours, since)
    try:
        transcript = _joined(state, _of_caller(said.command.transcript))
        order = RequireResponse(state.newest + 1, transcript, said.command.reminder)
        told = (await _ask(system, fork, order, stamp, since)).records
        answer = await _until(system, fork, told[-1].version, _answer_in_call)
        if answer.text:
            heard = (*transcript, Utterance(Speaker.AGENT, answer.text))
            of_answer = replace(ours, causation_id=told[-1].id)  # and so not done once that is forgotten
            await _ask(system, fork, UpdateTranscript(heard), of_answer, since)
        return answer
    finally:
        system.post(fork, DisconnectSocket(socket, system.clock.now(), "continued"), ours, lambda _: None)


def _joined(state: Call, spoken: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """The fork's transcript up to where the caller says something else, and then the caller's words."""
    kept, count = list[Utterance](), 0
    for utterance in state.transcript:
        if utterance.role is Speaker.USER:
            if count == len(spoken) or utterance != spoken[count]:
                break
            count += 1
        kept.append(utterance)
    return (*kept, *spoken[count:])


def _answer_in_call(event: Any) -> Answer | None:
    match event:
        case ResponseCompleted(text=text):
            return Answer(text)
        case ResponseFailed(reason=reason):
            return Answer(failure=reason)
        case ResponseSuperseded(text=text):
            return Answer(text, "it was interrupted")
        case _:
            return None


# --- both -------------------------------------------------------------------------------------------------------


async def _ask(system: System, fork: StreamName, command: Any, stamp: Stamp, since: int) -> Accepted:
    """What is told comes of what was read when the log's `forgettings` were `since`: only while they still are. From
    here on the actor itself drops what comes of something forgotten."""
    refuse_forgotten(system.store, since)
    match await system.ask(fork, command, stamp):
        case Accepted() as accepted:
            return accepted
        case Refused(rejection):
            raise NotForked(f"{fork} cannot be gone on with: {rejection.message}")
        case Unavailable(reason):
            raise StoreUnavailable(reason)
        case _:
            raise StoreUnavailable("too many commands are waiting")


async def _until(system: System, stream: StreamName, after: int, ends: Callable[[Any], T | None]) -> T:
    """What the first event behind `after` that is an end says. An end comes: effects are performed or given up."""
    while True:  # again, where what comes is too much to be kept for us
        with system.audiences.watch(stream) as coming:
            for record in await system.store.read_stream(stream, after=after):
                if (found := ends(record.event)) is not None:
                    return found
            async for record in coming:
                if (found := ends(record.event)) is not None:
                    return found
