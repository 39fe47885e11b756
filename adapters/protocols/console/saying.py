"""What happened, in one line for people: what was said, which phase, which tool. Pure.

It is text, not markup: whoever shows it shows it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adapters.protocols import wire
from core import audit, call, channel, conversation, delivery, session
from core.decider import CommandRejected

MOST = 200
"""Characters of a line."""


def says(event: Any) -> str:
    """One line of at most MOST printable characters, "" where the event's name says all."""
    return line(_said(event))


def line(text: str) -> str:
    """The text on one line, as far as there is room; without characters that print nothing or turn others around."""
    words = " ".join(text[: 4 * MOST].split())
    shown = "".join(character for character in words if character.isprintable())
    return shown if len(shown) <= MOST and len(text) <= 4 * MOST else f"{shown[: MOST - 1]}…"


def _said(event: Any) -> str:
    if isinstance(event, CommandRejected):
        return f"{event.code}: {event.message}"
    for said in (_in_conversation, _of_reply, _in_session, _of_request, _in_call, _of_response, _elsewhere):
        if (text := said(event)) is not None:
            return text
    return ""


def _in_conversation(event: Any) -> str | None:
    match event:
        case conversation.ConversationOpened(personality, session_type, topic):
            return _listed((personality, session_type, topic))
        case conversation.InterimHeard(text):
            return text or ""
        case conversation.FinalHeard(text) | conversation.MessageSaid(content=text):
            return text
        case conversation.PhaseEntered(phase, left):
            return f"{left.value} → {phase.value}"
        case conversation.SpeechReported(event_type):
            return event_type
        case conversation.ClientJoined(connection_id, count):
            return f"{connection_id}; {count} there"
        case conversation.ClientLeft(connection_id, count, reason):
            return f"{connection_id} ({reason}); {count} there"
        case conversation.ChannelChosen(name):
            return name
        case conversation.ConversationForked(source, version):
            return f"of {source}@{version}"
        case _:
            return None


def _of_reply(event: Any) -> str | None:
    match event:
        case conversation.ReplyBegun(_, attempt, model):
            return _attempt(model, attempt)
        case conversation.ReplyPieceAdded(text=text) | conversation.ReplyInterrupted(text=text):
            return text
        case conversation.ReplyFailed(_, reason):
            return reason
        case conversation.ReplyToolBegun(name=name, arguments=arguments):
            return f"{name} {arguments}"
        case conversation.ReplyToolEnded(result=result, failed=failed):
            return f"failed: {result}" if failed else result
        case _:
            return None


def _in_session(event: Any) -> str | None:
    match event:
        case session.SessionOpened(user, opened_via):
            return f"{user}, via {opened_via}"
        case session.DeviceJoined(connection_id, count):
            return f"{connection_id}; {count} there"
        case session.DeviceLeft(connection_id, count, reason):
            return f"{connection_id} ({reason}); {count} there"
        case session.DevicesDisconnected(connection_ids):
            return _listed(connection_ids)
        case session.ContextUpdated(text) | session.ChatSaid(text):
            return text
        case session.AnswerShared(question):
            return question.value
        case session.ValueSet(key, value):
            return f"{key} = {_json(value)}"
        case session.MediaReceived(kind, media):
            return f"{kind.value}, {_clip(media)}"
        case session.SignalRelayed(signal, _, to):
            return f"{signal.value} for {to or 'all others'}"
        case session.PeerChanged(connection_id, state):
            return f"{connection_id} is {state.value}"
        case _:
            return None


def _of_request(event: Any) -> str | None:
    match event:
        case session.ToolCallRequested(number, _, name, parameters):
            return f"#{number} {name} {_json(parameters)}"
        case session.RatesRequested(number, shipment=shipment):
            return f"#{number} {_json(shipment)}"
        case session.TranscriptionRequested(number, media):
            return f"#{number} {_listed(map(_clip, media))}"
        case session.RequestRepeated(number):
            return f"#{number}"
        case session.ToolCallSucceeded(number=number, result=told) | session.RatesQuoted(number=number, quotes=told):
            return f"#{number} {_json(told)}"
        case session.TranscriptionSucceeded(number, transcript):
            return f"#{number} {transcript}"
        case (
            session.ToolCallFailed(number=number, error=error)
            | session.RatesFailed(number=number, error=error)
            | session.TranscriptionFailed(number, error)
        ):
            return f"#{number} {error}"
        case _:
            return None


def _in_call(event: Any) -> str | None:
    match event:
        case call.SocketConnected(connection_id):
            return connection_id
        case call.SocketDisconnected(connection_id, reason):
            return f"{connection_id} ({reason})"
        case call.CallDescribed(details):
            return _json(details)
        case call.UtterancesAdded(_, utterances) | call.TranscriptRewritten(_, utterances):
            return "; ".join(f"{one.role.value}: {one.content}" for one in utterances[:MOST])
        case call.UtteranceContinued(_, text):
            return text
        case call.TurnPassed(to):
            return to
        case call.MetadataShown(content) | call.AgentAdjusted(content):
            return _json(content)
        case call.UnknownNoted(interaction_type, reason):
            return f"{interaction_type}: {reason}"
        case call.WebhookReceived(name):
            return name
        case call.CallEnded(reason):
            return reason
        case call.CallForked(source, version):
            return f"of {source}@{version}"
        case _:
            return None


def _of_response(event: Any) -> str | None:
    match event:
        case call.GreetingGiven(text) | call.CallerInterrupted(_, text) | call.ResponsePieceAdded(text=text):
            return text
        case call.ResponseRequired(number, reminder):
            return f"#{number}{', as the caller is silent' if reminder else ''}"
        case call.ResponseBegun(number, attempt, model):
            return f"#{number} {_attempt(model, attempt)}"
        case call.ResponsePaused(number, awaits=awaits):
            return f"#{number} awaits {_listed(awaits)}"
        case call.ResponseCompleted(number, text=text) | call.ResponseFailed(number, text):
            return f"#{number} {text}"
        case call.ResponseSuperseded(number, by, text):
            return f"#{number} {'without a socket' if by is None else f'by #{by}'} after: {text}"
        case call.ToolRequested(id, name, arguments):
            return f"{id} {name} {arguments}"
        case call.ToolBegun(id):
            return id
        case call.ToolSucceeded(id, text) | call.ToolFailed(id, text):
            return f"{id} {text}"
        case _:
            return None


def _elsewhere(event: Any) -> str | None:
    match event:
        case channel.ChannelOpened(name):
            return name
        case channel.Published(_, payload):
            message = payload.get("message")
            return message if isinstance(message, str) else _json(payload)
        case audit.Accessed(way, question, entries):
            asked = _listed(name if value is True else f"{name} {value}" for name, value in question.items())
            return f"{way}: {asked}" + (f"; {entries} events" if entries else "")
        case audit.SubjectForgotten(subject, _, streams):
            return f"{subject} in {streams} streams"
        case audit.StreamsArchived(archive, _, _, recorded, streams):
            return f"{recorded} events of {streams} streams to archive {archive}"
        case delivery.Noted(note):
            return f"{len(note.opened)} opened, {len(note.closed)} closed"
        case _:
            return None


def _attempt(model: str, attempt: int) -> str:
    return f"{model}, attempt {attempt}" if attempt > 1 else model


def _clip(media: session.Media) -> str:
    return f"{media.size} bytes of {media.media_type}"


def _listed(texts: Iterable[str | None]) -> str:
    return ", ".join(text for text in texts if text)


def _json(value: Mapping[str, Any] | Any) -> str:
    return wire.encode(value).decode()
