"""What of the server works, found out by using it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import trio
from trio_websocket import ConnectionClosed

from adapters.web.answers import Problem
from adapters.web.conversations.desk import Desk
from adapters.web.conversations.loopback import Loopback
from adapters.web.conversations.trials import Component
from core.conversation import BeginReply
from core.identifiers import Category, StreamName
from core.messages import Refused
from core.ports import StoreUnavailable

PATIENCE = 5.0
"""Seconds a component may take."""

Facts = dict[str, Any]


class Broken(Exception):
    """A component did not do what it is there for."""


async def examine(desk: Desk) -> dict[str, Component]:
    """Each component's status, and what was seen of it."""
    return {
        "websocket_server": await _probed(_websocket_server, desk),
        "conversation_state_manager": await _probed(_conversations, desk),
        "database": await _probed(_log, desk),
        "ai_service": await _probed(_language_model, desk),
    }


async def _probed(probe: Callable[[Desk], Awaitable[Facts]], desk: Desk) -> Component:
    started = trio.current_time()
    try:
        with trio.fail_after(PATIENCE):
            facts = await probe(desk)
    except (Broken, Problem, StoreUnavailable, ConnectionClosed, trio.TooSlowError) as error:
        return Component("failed", error=type(error).__name__)
    return Component("operational", probe_ms=round((trio.current_time() - started) * 1000, 3), **facts)


async def _websocket_server(desk: Desk) -> Facts:
    """A WebSocket to a conversation nobody opened must be accepted and told so."""
    async with Loopback().conversation(desk.system.identifiers.new()) as socket:
        frame = msgspec.json.decode(await socket.get_message())
    if frame["type"] != "error" or frame["payload"]["error_type"] != "conversation_not_found":
        raise Broken
    return {"active_connections": desk.system.statistics().listeners}


async def _conversations(desk: Desk) -> Facts:
    """An actor nobody has opened must be woken, asked, and refuse; that leaves no trace in the log."""
    id = desk.system.identifiers.new()
    stream = StreamName.of(Category.CONVERSATION, id)
    outcome = await desk.system.ask(stream, BeginReply(id, "none"), desk.stamp())
    if not isinstance(outcome, Refused):
        raise Broken
    return {"active_actors": desk.system.statistics().actors}


async def _log(desk: Desk) -> Facts:
    """The log's last event must be readable, and the view of the log must be able to reach it."""
    store = desk.system.store
    head = store.head
    last = await store.read_all(after=head - 1, limit=1) if head else []
    if head and (not last or last[0].position < head):
        raise Broken
    await desk.system.board_current()
    return {"events": head, "epoch": store.epoch}


async def _language_model(desk: Desk) -> Facts:
    """A model is configured. It is not called: that may cost money."""
    if not desk.settings.model:
        raise Broken
    return {"model": desk.settings.model}
