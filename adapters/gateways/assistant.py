"""The performer of `DraftReply` for conversations on a channel: a model that may look the weather up before it answers.

The rounds of one answer are one attempt: after a crash the whole of it is drafted again, as looking up the weather
twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
import trio
from msgspec import json
from msgspec.structs import replace

from actors.effects import Perform, Tell
from adapters.gateways.call_tools import Tool, ToolFailure, arguments_of, weather_tool
from adapters.gateways.calls import TOOL_TIMEOUT, Round
from adapters.gateways.drafting import draft_reply
from adapters.gateways.model_choice import Named, chosen, none_other
from core.conversation import (
    AddReplyPiece,
    BeginReply,
    BeginReplyTool,
    CompleteReply,
    Conversation,
    DraftReply,
    EndReplyTool,
    FailReply,
    ReplyBegun,
)
from core.messages import Accepted, Outcome
from core.ports import Forecast, LanguageModel, ModelFailure, Prompt, ToolCall, Turn

MOST_ROUNDS = 6
"""Times the model may go on after tools for one answer; one that wants more is going round in circles."""

log = structlog.get_logger("callboard.assistant")


def assistant_performers(
    model: LanguageModel,
    forecast: Forecast,
    *,
    delta_interval: float = 0.05,
    response_timeout: float = 30.0,
    tool_timeout: float = TOOL_TIMEOUT,
    named: Named = none_other,
) -> dict[type, Perform]:
    """Who drafts replies: with the weather at hand on a channel, by words alone elsewhere. A fork of a conversation
    may have one of the `named` models in place of `model`.

    Times are in seconds; `response_timeout` bounds each round of the model, `tool_timeout` each tool.
    """
    talk = draft_reply(model, delta_interval=delta_interval, response_timeout=response_timeout, named=named)
    tools = (weather_tool(forecast),)

    async def perform(effect: DraftReply, state: Conversation, tell: Tell) -> None:
        if not state.uses_tools:
            await talk(effect, state, tell)
        else:
            speaker = chosen(model, named, state.model)
            answer = _Answer(effect.reply_id, speaker, tools, tell, delta_interval, response_timeout, tool_timeout)
            await answer.give(state.prompt())

    return {DraftReply: perform}


class _Answer:
    """One attempt at an answer, in rounds."""

    def __init__(
        self, reply_id: str, model: LanguageModel, tools: Sequence[Tool], tell: Tell, delta_interval: float,
        response_timeout: float, tool_timeout: float,
    ) -> None:  # fmt: skip
        self._reply_id, self._model, self._tell = reply_id, model, tell
        self._tools = {tool.spec.name: tool for tool in tools}
        self._delta_interval, self._response_timeout = delta_interval, response_timeout
        self._tool_timeout = tool_timeout
        self._attempt, self._said = 0, ""

    async def give(self, prompt: Prompt) -> None:
        """Until it is given, has failed, or the conversation has moved on without it."""
        attempt = _attempt_begun(await self._tell(BeginReply(self._reply_id, self._model.name)))
        if attempt is None:
            return
        self._attempt = attempt
        prompt = replace(prompt, tools=tuple(tool.spec for tool in self._tools.values()))
        for _ in range(MOST_ROUNDS):
            round = await self._hear(prompt)
            if round is None:
                return
            if round.failure is not None or not round.calls:
                await self._tell(self._end_of(round.failure))
                return
            used = await self._use(round.calls, prompt)
            if used is None:
                return
            prompt = used
        await self._tell(self._end_of(ModelFailure("the language model asked for tools again and again")))

    async def _hear(self, prompt: Prompt) -> Round | None:
        """A round of the model, its words told as they come. None: nobody wants the answer any more."""
        round = Round(self._model, prompt, self._response_timeout, behind=self._said)

        def add(text: str) -> Any:  # of calls' rounds, which do not know our commands
            self._said += text
            return AddReplyPiece(self._reply_id, self._attempt, text)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(round.read)
            is_wanted = await round.relay(add, self._tell, self._delta_interval)
            nursery.cancel_scope.cancel()
        if not is_wanted:
            return None
        if round.calls and round.rest:  # heard before the tools begin
            return round if _took(await self._tell(add(round.rest))) else None
        self._said += round.rest
        return round

    async def _use(self, calls: Sequence[ToolCall], prompt: Prompt) -> Prompt | None:
        """The prompt with what the tools found. None: nobody wants to know any more."""
        turns = [*prompt.turns, Turn("assistant", "", tuple(calls))]
        for call in calls:
            begun = BeginReplyTool(self._reply_id, self._attempt, call.id, call.name, call.arguments)
            if not _took(await self._tell(begun)):
                return None
            result, failed = await self._run(call)
            if not _took(await self._tell(EndReplyTool(self._reply_id, self._attempt, call.id, result, failed))):
                return None
            turns.append(Turn("tool", result, tool_call_id=call.id))
        return replace(prompt, turns=tuple(turns))

    async def _run(self, call: ToolCall) -> tuple[str, bool]:
        """What the model is told of it, and whether it failed."""
        tool = self._tools.get(call.name)
        if tool is None:
            return _error(f"there is no tool {call.name[:60]}"), True
        try:
            with trio.fail_after(self._tool_timeout):
                return await tool.run(arguments_of(call.arguments), self._tell), False
        except ToolFailure as failure:
            return _error(str(failure)), True
        except trio.TooSlowError:
            return _error(f"it took longer than {self._tool_timeout:g} s"), True
        except Exception:  # whatever a tool does, the answer goes on, and nobody is shown how it broke
            log.exception("a tool crashed", tool=call.name)
            return _error("it broke"), True

    def _end_of(self, failure: ModelFailure | None) -> CompleteReply | FailReply:
        if failure is None and not self._said.strip():
            failure = ModelFailure("the answer was empty")
        if failure is not None:
            log.warning("no answer from the language model", model=self._model.name, reason=failure.reason)
            return FailReply(self._reply_id, failure.reason, failure.retry_after)
        return CompleteReply(self._reply_id, self._attempt, self._said)


def _error(reason: str) -> str:
    return json.encode({"error": reason}).decode()


def _took(outcome: Outcome) -> bool:
    return isinstance(outcome, Accepted) and bool(outcome.records)


def _attempt_begun(outcome: Outcome) -> int | None:
    if not isinstance(outcome, Accepted):
        return None
    begun = [record.event for record in outcome.records if isinstance(record.event, ReplyBegun)]
    return begun[0].attempt if begun else None
