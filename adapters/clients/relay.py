"""What lies between an ElevenLabs session and our `/ws`: an agent's tool calls go to us, our results back to it.

ElevenLabs' agent calls a client tool in the app that holds its session. The app relays that frame to us as it is, and
gives our `client_tool_result` back. Theirs takes a text as `result` and has no other keys than `type`, `tool_call_id`,
`result` and `is_error`; ours is an object with a time, an id, a user and a session around it. `ToolRelay` flattens it.

    async with trio.open_nursery() as nursery:
        relay = ToolRelay(shipping.send_message)          # our socket, of adapters.clients.wire.open_wire
        nursery.start_soon(...)                           # give what it sends to `relay.heard`
        ...
        frame = await elevenlabs.get_message()            # theirs
        if is_tool_call(frame):
            await elevenlabs.send_message(await relay.call(frame))

In JavaScript the official client asks for a function for each tool, and what that resolves to is the text:

    const waiting = new Map();
    shipping.addEventListener("message", ({data}) => {
      const frame = JSON.parse(data);
      if (frame.type !== "client_tool_result") return;    // a contextual_update is for the page
      waiting.get(frame.tool_call_id)?.(frame);
      waiting.delete(frame.tool_call_id);
    });
    const relay = (tool_name) => (parameters) => new Promise((resolve, reject) => {
      const tool_call_id = crypto.randomUUID();           // keep it, and send it again after a reconnect: one label
      waiting.set(tool_call_id, ({result, is_error}) =>
        is_error ? reject(new Error(result.error)) : resolve(JSON.stringify(result)));
      const client_tool_call = {tool_name, tool_call_id, parameters};
      shipping.send(JSON.stringify({type: "client_tool_call", client_tool_call}));
    });
    await Conversation.startSession({..., clientTools: {
      create_label: relay("create_label"), get_shipping_quotes: relay("get_shipping_quotes"),
    }});
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import trio

TIMEOUT = 30.0
"""Seconds an agent waits for a tool, longer than a carrier gets."""

Send = Callable[[str], Awaitable[None]]
"""Sends a text frame to our `/ws`."""

_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


class NotAToolCall(ValueError):
    """The frame to relay is no `client_tool_call` with an id."""


class ToolRelay:
    """Relays tool calls through one socket of ours. Several may be under way, told apart by their `tool_call_id`.

    Whoever reads the socket gives every frame to `heard`. After a reconnect `resend` asks again for what is still
    waited for: the same id gets the first result, and nothing is done twice.
    """

    def __init__(self, send: Send, *, timeout: float = TIMEOUT) -> None:
        self._send, self._timeout = send, timeout
        self._waiting: dict[str, _Call] = {}

    async def call(self, frame: str) -> str:
        """The agent's frame in, the frame for the agent out; also where we fail or say nothing within `timeout` s.

        Raises NotAToolCall, and what `send` raises.
        """
        id = _tool_call_id(frame)
        call = self._waiting.setdefault(id, _Call(frame))
        call.waiters += 1
        try:
            with trio.move_on_after(self._timeout):
                if call.waiters == 1:
                    await self._send(frame)
                await call.answered.wait()
        finally:
            call.waiters -= 1
            if not call.waiters:
                del self._waiting[id]
        return call.answer or _flat(id, f"no result within {self._timeout:g} s", is_error=True)

    def heard(self, frame: str) -> bool:
        """A frame of ours has come. Whether it was the result of a call under way here."""
        received = _object(frame)
        call = self._waiting.get(str(received.get("tool_call_id")))
        if received.get("type") != "client_tool_result" or call is None:
            return False
        call.answer = flatten(received)
        call.answered.set()
        return True

    async def resend(self, send: Send | None = None) -> None:
        """Ask again for all that is under way; by another socket from here on, if one is given."""
        self._send = send or self._send
        for call in [call for call in self._waiting.values() if not call.answered.is_set()]:
            await self._send(call.frame)


class _Call:
    """A call under way, and how many wait for it."""

    __slots__ = ("answer", "answered", "frame", "waiters")

    def __init__(self, frame: str) -> None:
        self.frame, self.waiters = frame, 0
        self.answer: str | None = None
        self.answered = trio.Event()


def is_tool_call(frame: str) -> bool:
    """Whether a frame of ElevenLabs' is one to relay."""
    try:
        return bool(_tool_call_id(frame))
    except NotAToolCall:
        return False


def flatten(received: dict[str, Any]) -> str:
    """Our `client_tool_result` as ElevenLabs takes it: `result` a text, and no other keys.

    Of an error the text is what went wrong; what was asked the agent knows itself.
    """
    result, is_error = received.get("result"), received.get("is_error") is True
    if is_error and isinstance(result, dict) and isinstance(result.get("error"), str):
        result = result["error"]
    return _flat(str(received["tool_call_id"]), result, is_error=is_error)


def _flat(id: str, result: Any, *, is_error: bool) -> str:
    text = result if isinstance(result, str) else _encode(result).decode()
    flat = {"type": "client_tool_result", "tool_call_id": id, "result": text, "is_error": is_error}
    return _encode(flat).decode()


def _tool_call_id(frame: str) -> str:
    read = _object(frame)
    call = read.get("client_tool_call")
    id = call.get("tool_call_id") if isinstance(call, dict) else None
    if read.get("type") != "client_tool_call" or not isinstance(id, str) or not id:
        raise NotAToolCall("a client_tool_call with its tool_call_id is relayed, nothing else")
    return id


def _object(frame: str) -> dict[str, Any]:
    """The frame's object, an empty one for whatever else came."""
    try:
        read = _ANY.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
