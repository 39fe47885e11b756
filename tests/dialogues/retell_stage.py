"""The stage of the dialect `retell`. Model, tools, webhooks and the clock do what the dialogue says."""

from __future__ import annotations

import json
from typing import Any

from adapters.protocols.retell import dialect_for
from core.call import (
    AddResponsePiece,
    AdjustAgent,
    BeginResponse,
    BeginTool,
    CompleteResponse,
    EndCall,
    FailResponse,
    FailTool,
    Greet,
    InterruptCaller,
    LoseSocket,
    ReceiveWebhook,
    RequestTools,
    ShowMetadata,
    SucceedTool,
    ToolCall,
)
from core.identifiers import Category
from tests.dialogues.stage import Actor, Stage


class RetellStage(Stage):
    def __init__(self, id: str) -> None:
        super().__init__(dialect_for, Category.CALL, "call_id", id)

    @property
    def call(self) -> Actor:
        return self.actor(self.id)

    def happen(self, words: list[str]) -> bool:
        match words:
            case ["model", *step]:
                self._draft(step)
            case ["tool", tool_call_id, *step]:
                self._use(tool_call_id, step)
            case ["two", "seconds", "pass"]:
                self._tell(Greet())
            case ["somebody", *step]:
                self._talk(step)
            case ["webhook", event]:
                self._tell(ReceiveWebhook(event, {"call_id": self.id}, self.now()))
            case ["the", "last", "boot", "is", "gone"]:
                self._tell(LoseSocket(str(self.boot - 1), self.now()))
            case _:
                return super().happen(words)
        return True

    def _draft(self, step: list[str]) -> None:
        """The model's next step in the answer under way."""
        response = self.call.state.response
        number, attempt = response.response_id, response.attempt
        match step:
            case ["begins"]:
                self._tell(BeginResponse(number, "scripted"))
            case ["says", text]:
                self._tell(AddResponsePiece(number, attempt, text))
            case ["completes", rest, *more]:
                self._tell(CompleteResponse(number, attempt, rest, **json.loads(" ".join(more) or "{}")))
            case ["fails", reason]:
                self._tell(FailResponse(number, reason))
            case ["calls", tool_call_id, name, arguments]:
                self._tell(RequestTools(number, attempt, (ToolCall(tool_call_id, name, arguments),)))
            case _:
                raise AssertionError(f"the model cannot do that: {step}")

    def _use(self, tool_call_id: str, step: list[str]) -> None:
        match step:
            case ["begins"]:
                self._tell(BeginTool(tool_call_id))
            case ["succeeds", result]:
                self._tell(SucceedTool(tool_call_id, result))
            case ["fails", error]:
                self._tell(FailTool(tool_call_id, error))
            case _:
                raise AssertionError(f"a tool cannot do that: {step}")

    def _talk(self, step: list[str]) -> None:
        match step:
            case ["shows", metadata]:
                self._tell(ShowMetadata(json.loads(metadata)))
            case ["interrupts", number, content]:
                self._tell(InterruptCaller(int(number), content))
            case ["adjusts", agent_config]:
                self._tell(AdjustAgent(json.loads(agent_config)))
            case ["hangs", "up"]:
                self._tell(EndCall(self.now(), "hung up"))
            case _:
                raise AssertionError(f"nobody can do that: {step}")

    def _tell(self, command: Any) -> None:
        self.tell(self.call.stream, command)
