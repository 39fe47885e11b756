"""What the dialect says of itself in the API reference."""

from __future__ import annotations

from adapters.protocols.retell import frames, requests
from core.dialect import Described, Reference

RECEIVED = (
    Described("ping_pong", requests.Ping, "A sign of life, in milliseconds; it is answered at once."),
    Described("call_details", requests.Details, "What is known of the call; the greeting follows, once in its life."),
    Described("update_only", requests.Update, "The transcript so far. Recorded, and not answered."),
    Described("response_required", requests.Required, "An answer is wanted; those of older ids go no further."),
    Described("reminder_required", requests.Reminded, "The caller says nothing; something is to be said to that."),
)

SENT = (
    Described("config", frames.Config, "The first frame on every socket."),
    Described("ping_pong", frames.Pong, "The sign of life, with the time as it came."),
    Described(
        "response",
        frames.Response,
        "A piece of an answer, or with `content_complete` its end. The greeting is of `response_id` 0.",
    ),
    Described("tool_call_invocation", frames.ToolCallInvocation, "A tool is used for the answer."),
    Described("tool_call_result", frames.ToolCallResult, "What the tool gave, or why it failed."),
    Described("metadata", frames.Metadata, "For the application behind the platform, as it is."),
    Described("agent_interrupt", frames.AgentInterrupt, "The agent speaks up without being asked."),
    Described("update_agent", frames.UpdateAgent, "The agent's settings for the rest of the call."),
)

REFERENCE = Reference(
    "retell",
    "Retell's custom-LLM socket: a voice platform asks for what its agent says in one call. What is not understood is "
    "recorded and ignored, as the platform's protocol has no error frame.",
    RECEIVED,
    SENT,
    closes={
        1000: "the call has ended; this and nothing else hangs up",
        1007: "a binary frame was sent",
        1008: "the path names no call's id",
        1011: "what was sent is no JSON, or the call cannot be joined",
        4008: "too many frames were sent",
        4409: "a newer socket has taken the call over",
    },
    parameters={
        "OBFUSCATED_WS_PATH": "A setting of the server, and its secret; nobody is asked for a token here.",
        "call_id": "The platform's id of the call, the same over reconnects.",
    },
    names={"obfuscated_ws_path": "<OBFUSCATED_WS_PATH>"},
)
