"""What calls want done: answers drafted round by round, tools run once, the greeting, and an eye on lost sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import structlog
import trio

from actors.effects import Perform, Tell
from adapters.gateways.call_prompt import prompt_of
from adapters.gateways.call_tools import Tool, ToolFailure, arguments_of, ending_of
from adapters.gateways.drafting import Draft
from adapters.gateways.model_choice import Named, chosen, none_other
from core.call import (
    GREETING,
    AddResponsePiece,
    BeginResponse,
    BeginTool,
    Call,
    Command,
    CompleteResponse,
    DraftResponse,
    FailResponse,
    FailTool,
    Greet,
    GreetAfter,
    LoseSocket,
    RequestTools,
    ResponseBegun,
    RunTool,
    SucceedTool,
    ToolBegun,
    ToolCall,
    WatchSocket,
)
from core.messages import Accepted, Outcome
from core.ports import Clock, LanguageModel, ModelFailure, Prompt
from core.ports import ToolCall as Called

DELTA_INTERVAL, RESPONSE_TIMEOUT, TOOL_TIMEOUT = 0.05, 30.0, 20.0
"""Seconds: between two pieces of an answer, for one round of the model, for one tool."""

log = structlog.get_logger("callboard.calls")


def call_performers(
    model: LanguageModel,
    tools: Sequence[Tool],
    *,
    boot: Callable[[], str],
    clock: Clock,
    greeting: str = GREETING,
    delta_interval: float = DELTA_INTERVAL,
    response_timeout: float = RESPONSE_TIMEOUT,
    tool_timeout: float = TOOL_TIMEOUT,
    named: Named = none_other,
) -> dict[type, Perform]:
    """Who does which effect of a call. `boot` says which run of the server this is (`System.boot`). A fork of a call
    may have one of the `named` models in place of `model`.

    Cancelled, a performance leaves nothing behind: an answer is drafted anew, a tool that was begun has failed.
    """
    return {
        DraftResponse: draft_response(
            model, tools, delta_interval=delta_interval, response_timeout=response_timeout, named=named
        ),
        RunTool: run_tool(tools, timeout=tool_timeout),
        GreetAfter: partial(_greet_after, greeting),
        WatchSocket: partial(_watch_socket, boot, clock),
    }


# --- answers ----------------------------------------------------------------------------------------------------


def draft_response(
    model: LanguageModel, tools: Sequence[Tool], *, delta_interval: float, response_timeout: float,
    named: Named = none_other,
) -> Perform:  # fmt: skip
    """Lets `model` answer: its first piece is told at once, later ones at most once in `delta_interval` seconds.

    `response_timeout` seconds bound a round; an answer that takes longer ends with an apology, as one that fails does.
    """
    specs = tuple(tool.spec for tool in tools)

    async def perform(effect: DraftResponse, state: Call, tell: Tell) -> None:
        """An attempt that is overtaken is followed by another one, for as long as there is an answer to be begun."""
        response_id, is_over, speaker = effect.response_id, False, chosen(model, named, state.model)
        while not is_over and (begun := _begun(await tell(BeginResponse(response_id, speaker.name)))) is not None:
            attempt, now = begun
            answer = Round(speaker, prompt_of(now, specs), response_timeout, behind=_said(now))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer.read)
                add = partial(AddResponsePiece, response_id, attempt)
                is_heard = await answer.relay(add, tell, delta_interval)
                nursery.cancel_scope.cancel()
            is_over = is_heard and _took(await tell(await _last(answer, attempt, now, tell)))

    return perform


def _said(state: Call) -> str:
    return "" if state.response is None else state.response.text


class Round:
    """One round of a model's answer: its words, and the tools it wants before it goes on.

    `behind` is what earlier rounds have said; the words are set off from it, as both are spoken as one.
    """

    def __init__(self, model: LanguageModel, prompt: Prompt, timeout: float, *, behind: str = "") -> None:
        self.model, self.calls = model, list[Called]()
        self._gap = " " if behind and not behind[-1].isspace() else ""
        self._prompt, self._timeout = prompt, timeout
        self._draft, self._told = Draft(), 0

    @property
    def failure(self) -> ModelFailure | None:
        return self._draft.failure

    @property
    def rest(self) -> str:
        """What has been said and not told."""
        return self._draft.text[self._told :]

    @property
    def has_words(self) -> bool:
        return bool(self._draft.text.strip())

    async def read(self) -> None:
        """Let the model talk until it ends, fails or has had its time."""
        try:
            with trio.fail_after(self._timeout):
                async with self.model.draft(self._prompt) as pieces:
                    async for piece in pieces:
                        self._take(piece)
        except ModelFailure as failure:
            self._draft.end(failure)
        except trio.TooSlowError:
            self._draft.end(ModelFailure(f"{self.model.name} gave no whole answer within {self._timeout:g} s"))
        else:
            self._draft.end()

    def _take(self, piece: str | Called) -> None:
        if isinstance(piece, str):
            self._draft.add(f"{self._gap}{piece.lstrip()}" if self._gap and piece.strip() else piece)
            self._gap = "" if piece.strip() else self._gap
        else:
            self.calls.append(piece)

    async def relay(self, add: Callable[[str], Command], tell: Tell, interval: float) -> bool:
        """Tell the pieces as they come until the round ends. False: the call has moved on without it."""
        while (text := await self._draft.next()) is not None:
            due = trio.current_time() + interval
            self._told += len(text)
            if not _took(await tell(add(text))):
                return False
            await self._draft.rest(until=due)
        return True


async def _last(answer: Round, attempt: int, state: Call, tell: Tell) -> Command:
    """What says how the round ended: with tools, behind what was said before them; with the whole answer; or badly."""
    said, number = ("", 0) if state.response is None else (state.response.text, state.response.response_id)
    ending, failure = ending_of(state, number), answer.failure
    if failure is None and not (answer.calls or answer.has_words or said.strip() or not ending.is_nothing):
        failure = ModelFailure("the answer was empty")
    if failure is not None:
        log.warning("no answer from the language model", model=answer.model.name, reason=failure.reason)
        return FailResponse(number, failure.reason)
    if not answer.calls:
        return CompleteResponse(
            number, attempt, answer.rest, ending.end_call, ending.transfer_number, ending.digit_to_press
        )
    if answer.rest:
        await tell(AddResponsePiece(number, attempt, answer.rest))
    return RequestTools(number, attempt, _distinct(answer.calls, state))


def _distinct(calls: Sequence[Called], state: Call) -> tuple[ToolCall, ...]:
    """The calls, with an id of its own for each that differs: some models count theirs from one in every answer."""
    named: dict[str, ToolCall] = {tool.call.tool_call_id: tool.call for tool in state.tools}
    asked: list[ToolCall] = []
    for called in calls:
        call, again = ToolCall(called.id, called.name, called.arguments), 1
        while (known := named.get(call.tool_call_id)) is not None and (known.name, known.arguments) != (
            call.name,
            call.arguments,
        ):
            again += 1
            call = ToolCall(f"{called.id}-{again}", called.name, called.arguments)
        named[call.tool_call_id] = call
        asked.append(call)
    return tuple(asked)


def _begun(outcome: Outcome) -> tuple[int, Call] | None:
    """Which attempt at the answer this is, and the call at that; None when nobody wants it any more."""
    if not isinstance(outcome, Accepted):
        return None
    begun = [record.event for record in outcome.records if isinstance(record.event, ResponseBegun)]
    return (begun[0].attempt, outcome.state) if begun else None


def _took(outcome: Outcome) -> bool:
    """Whether the command led to anything; drafting that has been overtaken by events leads to none."""
    return isinstance(outcome, Accepted) and bool(outcome.records)


# --- tools ------------------------------------------------------------------------------------------------------


def run_tool(tools: Sequence[Tool], *, timeout: float) -> Perform:
    """Runs a tool that was not begun before, within `timeout` seconds: at most once, whatever happens meanwhile.

    That it begins is durable before it does. One that was begun and never settled may have done its work: it counts as
    failed, and the model is told so.
    """
    known = {tool.spec.name: tool for tool in tools}

    async def perform(effect: RunTool, state: Call, tell: Tell) -> None:
        wanted = state.tool(effect.tool_call_id)
        if wanted is None or not _has_begun(await tell(BeginTool(effect.tool_call_id))):
            return
        tool = known.get(wanted.call.name)
        if tool is None:
            await tell(FailTool(effect.tool_call_id, f"there is no tool {wanted.call.name[:60]}"))
        else:
            await tell(await _outcome_of(tool, wanted.call, tell, timeout))

    return perform


async def _outcome_of(tool: Tool, wanted: ToolCall, tell: Tell, timeout: float) -> SucceedTool | FailTool:
    id = wanted.tool_call_id
    try:
        with trio.fail_after(timeout):
            return SucceedTool(id, await tool.run(arguments_of(wanted.arguments), tell))
    except ToolFailure as failure:
        return FailTool(id, str(failure))
    except trio.TooSlowError:
        return FailTool(id, f"it took longer than {timeout:g} s")
    except Exception:  # whatever a tool does, the call goes on, and nobody is shown how it broke
        log.exception("a tool crashed", tool=tool.spec.name)
        return FailTool(id, "it broke")


def _has_begun(outcome: Outcome) -> bool:
    return isinstance(outcome, Accepted) and any(isinstance(record.event, ToolBegun) for record in outcome.records)


# --- sockets ----------------------------------------------------------------------------------------------------


async def _greet_after(greeting: str, effect: GreetAfter, state: Call, tell: Tell) -> None:  # noqa: ARG001  # a Perform
    await trio.sleep(effect.seconds)
    await tell(Greet(greeting))


async def _watch_socket(
    boot: Callable[[], str],
    clock: Clock,
    effect: WatchSocket,
    state: Call,  # noqa: ARG001  # as above
    tell: Tell,
) -> None:
    if effect.boot != boot():
        await tell(LoseSocket(effect.boot, clock.now()))
    else:
        await trio.sleep_forever()
