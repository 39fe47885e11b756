"""Asking the assistant of a channel from Python: the question goes out, what is done about it is heard to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import trio

from adapters.clients.channels import WebSocketManager

PATIENCE = 60.0
"""Seconds an answer may take."""
CONNECTED_WITHIN = 5.0
"""Seconds the server may take to let us in, or the whole patience where that is less."""

Update = dict[str, Any]
"""The payload of one update: `message`, `thread_id`, `type` and mostly `status`, as the dialect `channels` has them."""


class NotAnswered(Exception):
    """The assistant failed or was interrupted, did not take the question, or took too long; the message says which."""


async def ask(
    uri: str,
    channel: str,
    question: str,
    *,
    thread_id: str | None = None,
    patience: float = PATIENCE,
    hear: Callable[[Update], None] | None = None,
    **terms: Any,
) -> str:
    """The whole answer to a question, from the server of channels at `uri` (ws:// or wss://).

    `hear` is called with every update on the way: the tools at work, and the answer so far each time it grows.
    `thread_id` goes on with an earlier talk, whose id it is; without one a new talk begins. Where others ask in the
    same thread at the same time, the first answer of it is taken. `patience` is in seconds; the rest of the parameters
    are those of `adapters.clients.follower.Terms`.

    Through losses of the connection it comes back, asks once, and hears what it missed. Raises NotAnswered, and what
    `WebSocketManager.connect` raises.
    """
    thread, refusals, asking = thread_id or str(uuid4()), list[str](), trio.CancelScope()

    def refused(message: str) -> None:
        refusals.append(message)
        asking.cancel()

    async with WebSocketManager(uri, channel, refused=refused, **terms) as manager:
        await manager.connect(min(CONNECTED_WITHIN, patience))
        asking.deadline = trio.current_time() + patience
        with asking:
            manager.ask(question, thread)
            return await _answer(manager, thread, hear)
    raise NotAnswered(refusals[0] if refusals else f"no answer within {patience:g} s")


async def _answer(manager: WebSocketManager, thread: str, hear: Callable[[Update], None] | None) -> str:
    async for message in manager:
        update = message.payload
        if not isinstance(update, dict) or update.get("thread_id") != thread:
            continue
        if hear is not None:
            hear(update)
        match update:
            case {"type": "response", "status": "completed", "message": str(answer)}:
                return answer
            case {"type": "error"}:
                raise NotAnswered(str(update.get("message") or update.get("friendly_message") or "it failed"))
            case _:
                pass
    raise NotAnswered("the server has ended the talk")
