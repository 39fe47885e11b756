"""What happens in a conversation, in words."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from adapters.telling.words import Devices, as_json, said, shorten
from core import conversation as c


def describe(event: Any, devices: Devices) -> Text | None:
    """None for what is no event of a conversation."""
    match event:
        case c.PhaseEntered(phase, left, metadata):
            line = Text(left.value, "dim").append(" → ").append(phase.value, "bold magenta")
            return line.append(f"  {as_json(metadata)}" if metadata else "", "dim")
        case c.FinalHeard(text):
            return Text(f"heard “{shorten(text)}”")
        case c.InterimHeard(text):
            return Text(f"hears “{shorten(text or '')}…”", "dim")
        case c.SpeechReported(event_type, detail):
            return Text(f"speech: {shorten(event_type)}").append(f"  {as_json(detail)}" if detail else "", "dim")
        case c.ClientJoined(connection_id, count):
            return Text(f"{devices.name(connection_id)} joins, {count} listening", "blue")
        case c.ClientLeft(connection_id, count, reason):
            return Text(f"{devices.name(connection_id)} is gone ({shorten(reason)}), {count} listening", "blue")
        case c.ConversationOpened(personality, session_type, topic):
            about = f", about {topic}" if topic else ""
            return Text(shorten(f"opened: {personality}, {session_type}{about}"), "bold")
        case c.ConversationMigrated():
            return Text("moved from the legacy API to the WebSocket API", "bold")
        case c.ChannelChosen(channel):
            return Text(f"what the assistant does is published on {shorten(channel)} from here on", "blue")
        case _:
            return _describe_answer(event)


def _describe_answer(event: Any) -> Text | None:
    match event:
        case c.MessageSaid(role=role, content=content):
            return said(content, "green" if role is c.Role.ASSISTANT else "bold")
        case c.ReplyPieceAdded(text=text):
            return Text(f"… {shorten(text)}", "green")
        case c.ReplyBegun(_, attempt, model):
            again = " again, from the start: the attempt before was cut off" if attempt > 1 else ""
            return Text(f"{shorten(model)} begins to answer{again}", "yellow" if again else "dim")
        case c.ReplyToolBegun(name=name, arguments=arguments):
            return Text(f"looks it up: {shorten(name)}").append(f" {shorten(arguments)}", "dim")
        case c.ReplyToolEnded(result=result, failed=failed):
            return Text(f"{'the tool failed' if failed else 'finds'}: {shorten(result)}", "red" if failed else "")
        case c.ReplyFailed(_, reason):
            return Text(f"no answer: {shorten(reason)}", "bold red")
        case c.ReplyInterrupted(_, text):
            return Text(f"interrupted after “{shorten(text)}”", "yellow")
        case _:
            return None
