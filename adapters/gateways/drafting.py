"""The performer of `DraftReply`: a language model's pieces become a few, durable commands to the conversation.

One task reads the model as fast as it talks into a `Draft`; the other tells the actor what has come, at most once an
interval. Neither waits for the other, so a slow log never stalls the model and no piece is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import structlog
import trio

from actors.effects import Tell
from adapters.gateways.model_choice import Named, chosen, none_other
from core.conversation import (
    MAX_TEXT,
    AddReplyPiece,
    BeginReply,
    CompleteReply,
    Conversation,
    DraftReply,
    FailReply,
    ReplyBegun,
)
from core.messages import Accepted, Outcome
from core.ports import LanguageModel, ModelFailure, Prompt

log = structlog.get_logger("callboard.drafting")


def draft_reply(
    model: LanguageModel, *, delta_interval: float = 0.05, response_timeout: float = 30.0, named: Named = none_other
) -> Callable[[DraftReply, Conversation, Tell], Awaitable[None]]:
    """A performer that lets `model` answer, or one of the `named` where the conversation has its own.

    The first piece is told at once; after it what came since is told together, at most once in `delta_interval`
    seconds; the end is told at once, with the whole text. `response_timeout` seconds bound the model's whole answer.
    Cancelled, a performance leaves nothing behind: the attempt it began is superseded by the next one.
    """

    async def perform(effect: DraftReply, state: Conversation, tell: Tell) -> None:
        speaker = chosen(model, named, state.model)
        attempt = _attempt_begun(await tell(BeginReply(effect.reply_id, speaker.name)))
        if attempt is None:
            return
        draft = Draft()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_read, speaker, state.prompt(), draft, response_timeout)
            overtaken = not await _relay(draft, effect.reply_id, attempt, tell, delta_interval)
            nursery.cancel_scope.cancel()
        if not overtaken:
            end = _end_of(draft, effect.reply_id, attempt)
            if isinstance(end, FailReply):
                log.warning("no answer from the language model", model=speaker.name, reason=end.reason)
            await tell(end)

    return perform


class Draft:
    """An answer under way: what the model has said, and what of it has not been told yet."""

    def __init__(self) -> None:
        self.failure: ModelFailure | None = None
        self._said: list[str] = []
        self._length = 0
        self._untold: deque[str] = deque()
        self._is_first = True
        self._news = trio.Event()
        self._ended = trio.Event()

    @property
    def text(self) -> str:
        """The whole of it, so far."""
        return "".join(self._said)

    def add(self, piece: str) -> None:
        """The model said `piece`. Raises ModelFailure when the answer gets longer than a text may be."""
        self._length += len(piece)
        if self._length > MAX_TEXT:
            raise ModelFailure(f"the answer has more than {MAX_TEXT} characters")
        if piece:
            self._said.append(piece)
            self._untold.append(piece)
            self._news.set()

    def end(self, failure: ModelFailure | None = None) -> None:
        """No more will come."""
        self.failure = failure
        self._news.set()
        self._ended.set()

    async def next(self) -> str | None:
        """What to tell next: the first piece by itself, later all that is untold. None at the end.

        What is untold when the answer ends stays so: the whole text follows at once.
        """
        await self._news.wait()
        if self._is_first and self._untold:
            self._is_first = False
            text = self._untold.popleft()
        elif self._ended.is_set():
            return None
        else:
            text = "".join(self._untold)
            self._untold.clear()
        if not self._untold and not self._ended.is_set():
            self._news = trio.Event()
        return text

    async def rest(self, until: float) -> None:
        """Wait until the Trio time `until`, or the end of the answer if that is sooner."""
        with trio.move_on_at(until):
            await self._ended.wait()


async def _read(model: LanguageModel, prompt: Prompt, draft: Draft, timeout: float) -> None:
    """Let the model talk until it ends, fails or has had `timeout` seconds."""
    try:
        with trio.fail_after(timeout):
            async with model.draft(prompt) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):  # no tools were offered, so there is nothing else to expect
                        draft.add(piece)
    except ModelFailure as failure:
        draft.end(failure)
    except trio.TooSlowError:
        draft.end(ModelFailure(f"{model.name} gave no whole answer within {timeout:g} s"))
    else:
        draft.end()


async def _relay(draft: Draft, reply_id: str, attempt: int, tell: Tell, interval: float) -> bool:
    """Tell the pieces as they come until the answer ends. False: the conversation has moved on without it."""
    while (text := await draft.next()) is not None:
        due = trio.current_time() + interval
        if not _took(await tell(AddReplyPiece(reply_id, attempt, text))):
            return False
        await draft.rest(until=due)
    return True


def _end_of(draft: Draft, reply_id: str, attempt: int) -> CompleteReply | FailReply:
    text, failure = draft.text, draft.failure
    if failure is None and not text.strip():
        failure = ModelFailure("the answer was empty")
    if failure is not None:
        return FailReply(reply_id, failure.reason, failure.retry_after)
    return CompleteReply(reply_id, attempt, text)


def _took(outcome: Outcome) -> bool:
    """Whether the command led to anything; drafting that has been overtaken by events leads to none."""
    return isinstance(outcome, Accepted) and bool(outcome.records)


def _attempt_begun(outcome: Outcome) -> int | None:
    """Which attempt at the reply this is; None when nobody wants it any more."""
    if not isinstance(outcome, Accepted):
        return None
    begun = [record.event for record in outcome.records if isinstance(record.event, ReplyBegun)]
    return begun[0].attempt if begun else None
