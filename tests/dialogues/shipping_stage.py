"""The stage of the dialect `shipping`. The carrier answers when the dialogue says so."""

from __future__ import annotations

import json
from typing import Any

from adapters.protocols.shipping.dialect import endpoints
from core.identifiers import Category
from core.session import FailRates, FailToolCall, QuoteRates, RatesRequested, SucceedToolCall, ToolCallRequested
from tests.dialogues.stage import Actor, Stage


class ShippingStage(Stage):
    def __init__(self) -> None:
        (endpoint,) = endpoints({"session_max_age": "3600"})
        super().__init__(endpoint.dialect_for, Category.SESSION, "", "")
        self.slept = 0

    def now(self) -> int:
        return super().now() + self.slept

    def session_of(self, who: str) -> Actor:
        stream = self.clients[who].stream
        assert stream is not None
        return self.actor(stream.id)

    def happen(self, words: list[str]) -> bool:
        match words:
            case ["tool", number, "of", session, "gives", result]:
                self._answer(session, SucceedToolCall(int(number), json.loads(result)))
            case ["tool", number, "of", session, "fails", reason]:
                self._answer(session, FailToolCall(int(number), reason))
            case ["rates", number, "of", session, "are", quotes]:
                self._answer(session, QuoteRates(int(number), json.loads(quotes)))
            case ["rates", number, "of", session, "fail", reason]:
                self._answer(session, FailRates(int(number), reason))
            case ["an", "hour", "passes"]:
                self.slept += 3_600_000_000
            case _:
                return super().happen(words)
        return True

    def _answer(self, session: str, command: Any) -> None:
        """By the connection that asked, as effects do."""
        actor = self.actor(session)
        origin = next(
            record.stamp.origin
            for record in actor.records
            if isinstance(record.event, ToolCallRequested | RatesRequested) and record.event.number == command.number
        )
        self.tell(actor.stream, command, origin=origin)
