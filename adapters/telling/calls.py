"""What happens in a call, in words. Answers are called by their response id, tools by the id of their call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text

from adapters.telling.words import Devices, as_json, listed, said, shorten
from core import call as c


def describe(event: Any, devices: Devices) -> Text | None:
    """None for what is no event of a call."""
    match event:
        case c.SocketConnected(connection_id):
            return Text(f"{devices.name(connection_id)} is the call's socket", "blue")
        case c.SocketDisconnected(connection_id, reason, duration):
            return Text(f"{devices.name(connection_id)} is gone ({shorten(reason)}) after {duration:.1f} s", "blue")
        case c.CallDescribed(details):
            return Text("the call is ").append(as_json(details), "dim")
        case c.GreetingGiven(content):
            return said(content, "green").append("  (greeting)", "dim")
        case c.CallerInterrupted(_, content):
            return said(content, "green").append("  (unasked)", "dim")
        case c.MetadataShown(metadata):
            return Text("shows ").append(as_json(metadata), "dim")
        case c.AgentAdjusted(agent_config):
            return Text("adjusts the agent: ").append(as_json(agent_config), "dim")
        case c.UnknownNoted(interaction_type, reason):
            return Text(f"not understood: {shorten(interaction_type)} ({shorten(reason)})", "red")
        case c.WebhookReceived(event=name):
            return Text(f"webhook {shorten(name)}", "blue")
        case c.CallEnded(reason):
            return Text(f"over: {shorten(reason)}", "bold")
        case _:
            return _describe_transcript(event) or _describe_answer(event)


def _describe_transcript(event: Any) -> Text | None:
    match event:
        case c.UtterancesAdded(_, utterances):
            return Text("heard ").append(_spoken(utterances))
        case c.UtteranceContinued(_, text):
            return Text(f"heard on: “…{shorten(text)}”")
        case c.TranscriptRewritten(first, utterances):
            return Text(f"what was heard, from utterance {first} on, is now ", "yellow").append(_spoken(utterances))
        case c.TurnPassed(to):
            return Text(f"it is the {shorten(to)}'s turn", "dim")
        case _:
            return None


def _spoken(utterances: Iterable[c.Utterance]) -> str:
    return shorten("; ".join(f"{one.role.value}: “{one.content}”" for one in utterances) or "nothing")


def _describe_answer(event: Any) -> Text | None:
    match event:
        case c.ResponseRequired(number, reminder):
            return Text(f"wants answer {number}{', as the caller is silent' if reminder else ''}")
        case c.ResponseBegun(number, attempt, model):
            return Text(f"{shorten(model)} begins answer {number}{f', attempt {attempt}' * (attempt > 1)}", "dim")
        case c.ResponsePieceAdded(text=text):
            return Text(f"… {shorten(text)}", "green")
        case c.ResponsePaused(number, _, awaits):
            return Text(f"answer {number} waits for {listed(awaits)}", "dim")
        case c.ResponseCompleted(text=text):
            return said(text, "green").append(_and_then(event), "bold")
        case c.ResponseFailed(number, reason):
            return Text(f"answer {number} failed: {shorten(reason)}", "bold red")
        case c.ResponseSuperseded(number, by, text):
            why = "as the socket is gone" if by is None else f"for answer {by}"
            return Text(f"answer {number} ends after “{shorten(text)}”, {why}", "yellow")
        case _:
            return _describe_tool(event)


def _and_then(event: c.ResponseCompleted) -> str:
    ends = "  and ends the call" if event.end_call else ""
    transfers = f"  and transfers to {shorten(event.transfer_number)}" if event.transfer_number else ""
    return ends + transfers + (f"  and presses {shorten(event.digit_to_press)}" if event.digit_to_press else "")


def _describe_tool(event: Any) -> Text | None:
    match event:
        case c.ToolRequested(tool_call_id, name, arguments):
            return Text(f"{shorten(tool_call_id)} wants {shorten(name)}").append(f" {shorten(arguments)}", "dim")
        case c.ToolBegun(tool_call_id):
            return Text(f"{shorten(tool_call_id)} runs", "dim")
        case c.ToolSucceeded(tool_call_id, result):
            return Text(f"{shorten(tool_call_id)} gives {shorten(result)}", "green")
        case c.ToolFailed(tool_call_id, error):
            return Text(f"{shorten(tool_call_id)} failed: {shorten(error)}", "bold red")
        case _:
            return None
