"""A conversation under load: many WebSockets of this server's own, many messages, and what became of each."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import Annotated

import msgspec
import trio
from msgspec import UNSET, Meta, Struct
from quart import Blueprint, Response
from trio_websocket import ConnectionClosed, WebSocketConnection

from adapters.web.answers import Problem, answer
from adapters.web.conversations.desk import Desk, Found
from adapters.web.conversations.loopback import Loopback
from adapters.web.conversations.trials import StressDetail, StressResults, StressState
from adapters.web.described import described
from adapters.web.requests import query_of
from core.conversation import Phase

ECHO = 5.0
"""Seconds an answer may take to reach all sockets once it is in the log."""


class StressQuery(Struct, frozen=True):
    message_count: Annotated[int, Meta(ge=1, le=1000)] = 10
    concurrent_connections: Annotated[int, Meta(ge=1, le=50)] = 3


class Stressed(Struct, frozen=True):
    success: bool
    conversation_id: str
    test_parameters: StressQuery
    results: StressResults
    final_state: StressState
    message_details: list[StressDetail]


def add_routes(blueprint: Blueprint, desk: Desk) -> None:
    @blueprint.get("/api/test/conversations/<id>/stress-test")
    @described(Stressed, 404, 409, query=StressQuery)
    async def get_stress_test(id: str) -> Response:
        """Say many things while many sockets of the server's own listen, and see what becomes of each."""
        query = query_of(StressQuery)
        found = await desk.find(id)
        if found.phase is Phase.ENDED:
            raise Problem(409, "The conversation has ended")
        return answer(await _stressed(desk, found, query))


class Echoes:
    """How many sockets have heard each answer."""

    def __init__(self) -> None:
        self._heard: Counter[str] = Counter()
        self._news = trio.Event()

    async def listen(self, socket: WebSocketConnection) -> None:
        """Hear one socket until it closes."""
        try:
            while True:
                frame = msgspec.json.decode(await socket.get_message())
                if frame["type"] == "ai_response":
                    self._heard[frame["payload"]["message_id"]] += 1
                    self._news.set()
        except ConnectionClosed:
            pass

    async def reached(self, message_id: str, sockets: int) -> int:
        """How many sockets heard the message; waits a while for all."""
        with trio.move_on_after(ECHO):
            while self._heard[message_id] < sockets:
                self._news = trio.Event()
                await self._news.wait()
        return self._heard[message_id]


async def _stressed(desk: Desk, found: Found, query: StressQuery) -> Stressed:
    loopback, started, id = Loopback(), trio.current_time(), found.stream.id
    async with AsyncExitStack() as stack:
        opening = [loopback.conversation(id) for _ in range(query.concurrent_connections)]
        sockets = [await stack.enter_async_context(socket) for socket in opening]
        details = await _said(desk, found, query, sockets)
        elapsed, after = trio.current_time() - started, await desk.find(id)
        final = StressState(after.phase, desk.clients(found.stream))
    return Stressed(
        success=True,
        conversation_id=id,
        test_parameters=query,
        results=_results(details, elapsed),
        final_state=final,
        message_details=details,
    )


async def _said(desk: Desk, found: Found, query: StressQuery, sockets: list[WebSocketConnection]) -> list[StressDetail]:
    """Say all messages, one after the other, while all sockets listen."""
    echoes = Echoes()
    async with trio.open_nursery() as nursery:
        for socket in sockets:
            nursery.start_soon(echoes.listen, socket)
        details = [await _message(desk, found, n, query, echoes) for n in range(1, query.message_count + 1)]
        nursery.cancel_scope.cancel()
    return details


async def _message(desk: Desk, found: Found, n: int, query: StressQuery, echoes: Echoes) -> StressDetail:
    """One message, from saying it until every socket has its answer."""
    started, reached, error = trio.current_time(), 0, None
    try:
        exchange = await desk.say(found.stream, f"Stress test message {n}.")
        if exchange.failed:
            error = "the language model gave no answer"
        else:
            reached = await echoes.reached(exchange.said.reply_id or "", query.concurrent_connections)
    except Problem as problem:
        error = str(problem.detail)
    if error is None and reached < query.concurrent_connections:
        error = f"only {reached} of the connections heard the answer"
    elapsed = round((trio.current_time() - started) * 1000, 3)
    return StressDetail(n, error is None, elapsed, reached, UNSET if error is None else error)


def _results(details: list[StressDetail], elapsed: float) -> StressResults:
    times = [detail.processing_time_ms for detail in details]
    successes = sum(detail.success for detail in details)
    return StressResults(
        total_time_seconds=round(elapsed, 3),
        successful_messages=successes,
        failed_messages=len(details) - successes,
        success_rate=round(successes / len(details), 4),
        average_processing_time_ms=round(sum(times) / len(times), 3),
        total_processing_time_ms=round(sum(times), 3),
    )
