"""What happens in a session, in words. Requests are called by their number, as answers come by that."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from adapters.telling.words import Devices, as_json, fields, plural, said, shorten
from core import session as s

DIGITS = 12
"""Of a digest: enough to find the bytes by."""


def describe(event: Any, devices: Devices) -> Text | None:
    """None for what is no event of a session."""
    match event:
        case s.SessionOpened(user, opened_via):
            return Text(f"opened by {shorten(user)}, via {shorten(opened_via)}", "bold")
        case s.DeviceJoined(connection_id, count):
            return Text(f"{devices.name(connection_id)} joins, {count} there", "blue")
        case s.DeviceLeft(connection_id, count, reason):
            return Text(f"{devices.name(connection_id)} is gone ({shorten(reason)}), {count} there", "blue")
        case s.DevicesDisconnected(connection_ids):
            return Text(f"{plural(len(connection_ids), 'device')} to be disconnected", "blue")
        case s.ContextUpdated(text, _, content):
            return Text("tells all: ").append(shorten(text), "bold").append(_behind(content), "dim")
        case s.ValueSet(key, value):
            return Text(f"{shorten(key)} = {as_json(value)}")
        case s.ChatSaid(message):
            return said(message, "bold")
        case s.MediaReceived(kind, media):
            what = f"{kind.value}, {media.size:,} bytes of {shorten(media.media_type)}"
            return Text(what).append(f"  sha256 {media.digest[:DIGITS]}…", "dim")
        case s.SignalRelayed(signal, content, to):
            whom = "all others" if to is None else devices.name(to)
            return Text(f"{signal.value} for {whom}").append(_behind(content), "dim")
        case s.PeerChanged(connection_id, peer_state):
            return Text(f"{devices.name(connection_id)}'s WebRTC is {peer_state.value}", "blue")
        case s.AnswerShared(question):
            return Text(f"shows all the answer to: {question.value}")
        case s.SessionExpired():
            return Text("over: nobody was there for too long", "bold")
        case _:
            return _describe_request(event)


def _describe_request(event: Any) -> Text | None:
    match event:
        case s.ToolCallRequested(number, _, tool_name, parameters):
            return Text(f"#{number} wants {shorten(tool_name)}: ").append(fields(parameters), "dim")
        case s.RatesRequested(number, _, shipment):
            return Text(f"#{number} wants rates: ").append(fields(shipment), "dim")
        case s.TranscriptionRequested(number, media):
            size = sum(clip.size for clip in media)
            return Text(f"#{number} wants {plural(len(media), 'clip')}, {size:,} bytes, written down")
        case s.RequestRepeated(number):
            return Text(f"#{number} is wanted again while it is under way: all will hear the answer", "yellow")
        case s.ToolCallSucceeded(number=number, result=result):
            return Text(f"#{number} is done: ", "green").append(_brief(result), "dim")
        case s.RatesQuoted(number=number, quotes=quotes):
            return Text(f"#{number} has rates: ", "green").append(_brief(quotes), "dim")
        case s.TranscriptionSucceeded(number, transcript):
            return Text(f"#{number} is written down: “{shorten(transcript)}”", "green")
        case s.ToolCallFailed(number=number, error=error) | s.RatesFailed(number=number, error=error):
            return Text(f"#{number} failed: {shorten(error)}", "bold red")
        case s.TranscriptionFailed(number, error):
            return Text(f"#{number} failed: {shorten(error)}", "bold red")
        case _:
            return None


def _behind(content: Any) -> str:
    return f"  {_brief(content)}" if content else ""


def _brief(value: Any) -> str:
    return fields(value) if isinstance(value, dict) else as_json(value)
