"""One client's side of the talk."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, assert_never

from adapters.protocols.channels import frames
from adapters.protocols.channels.requests import (
    Question,
    Request,
    Subscribe,
    UnreadableFrame,
    Unsubscribe,
    read_request,
)
from core.channel import Publish, stream_of
from core.conversation import Ask
from core.dialect import Close, Handshake, Output, Tell, Tune, Untune, Write
from core.identifiers import Category, StreamName
from core.messages import Accepted, Busy, Outcome, Refused, Unavailable

MAX_SUBSCRIPTIONS = 1000
"""Channels one connection may be subscribed to at one time."""
MAX_HELD = 1000
"""Answers that may wait for what was published before; a store that takes so long has other troubles."""

TRY_AGAIN = Close(1013, "Try again later")

_BUSY = "The channel is busy"
_UNAVAILABLE = "Nothing can be published now"


class ChannelsConnection:
    """Subscriptions to channels, and what is published on any. Everything is answered in the order it was sent in.

    Clients wait for `unsubscribed` before they close. So it is sent when what they published before is in the log, or
    they were told that it is not; and whoever wants to know as much at another time unsubscribes from anything.
    """

    def __init__(self, handshake: Handshake) -> None:
        self._epoch = handshake.epoch
        self._id, self._thread, self._asked = handshake.connection_id, handshake.new_id or handshake.connection_id, 0
        self._topics: dict[str, str] = {}
        """By which topic each channel is heard."""
        self._tuning: deque[Subscribe] = deque()
        """Subscriptions the shell has not begun yet; it takes them in their order."""
        self._told, self._under_way = 0, dict[int, int]()
        """How many commands there were, and the numbers of those that are not settled, by their identities."""
        self._held: deque[tuple[int, Sequence[Output]]] = deque()
        """Answers that wait for all commands up to that number, and what was answered since, in their order."""

    def opened(self, now: int) -> Sequence[Output]:  # noqa: ARG002  # the protocol's signature
        return ()

    def received(self, frame: str | bytes, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        try:
            request, command_id = read_request(frame)
        except UnreadableFrame as fault:
            return self._in_order((Write(frames.error(fault.code, fault.message, fault.channel)),))
        outputs = self._do(request, command_id)
        if isinstance(outputs[0], Tell):
            self._told += 1
            self._under_way[id(outputs[0])] = self._told
            return outputs
        return self._in_order(outputs, is_receipt=isinstance(request, Unsubscribe))

    def throttled(self, retry_after: float, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        return self._in_order((Write(frames.error("rate_limited", "Too many messages", retry_after=retry_after)),))

    def settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        self._under_way.pop(id(tell), None)
        return (*self._complaint(tell, outcome), *self._released())

    def _complaint(self, tell: Tell, outcome: Outcome) -> Sequence[Output]:
        """Who publishes or asks hears nothing of it here, unless it did not work."""
        channel = tell.command.channel
        match outcome:
            case Accepted():
                return ()
            case Refused(rejection):
                code = "busy" if rejection.code == "busy" else "invalid_message"
                return (Write(frames.error(code, rejection.message, channel, rejection.retry_after)),)
            case Busy(retry_after):
                return (Write(frames.error("busy", _BUSY, channel, retry_after)),)
            case Unavailable(retry_after=retry_after):
                return (Write(frames.error("busy", _UNAVAILABLE, channel, retry_after)),)
            case _:
                assert_never(outcome)

    def recalled(self, stream: StreamName, state: Any, version: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        return ()

    def tuned(self, topic: str, position: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        asked = self._tuning.popleft()
        if not asked.envelope:
            return (Write(frames.subscribed(asked.channel)),)
        recovered = asked.since == position and asked.epoch in (None, self._epoch)
        more = {"position": position, "epoch": self._epoch, "recovered": recovered}
        return (Write(frames.subscribed(asked.channel, more)),)

    def closed(self, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        return ()

    # --- the order of answers ---

    def _in_order(self, outputs: Sequence[Output], *, is_receipt: bool = False) -> Sequence[Output]:
        """These now, or behind what is held. A receipt stands behind all that is under way."""
        if not self._held and not (is_receipt and self._under_way):
            return outputs
        if len(self._held) >= MAX_HELD:
            return (TRY_AGAIN,)
        self._held.append((self._told if is_receipt else 0, outputs))
        return ()

    def _released(self) -> Sequence[Output]:
        """What was held and need not be any longer."""
        oldest = next(iter(self._under_way.values()), self._told + 1)
        outputs: list[Output] = []
        while self._held and self._held[0][0] < oldest:
            outputs += self._held.popleft()[1]
        return outputs

    # --- requests ---

    def _do(self, request: Request, command_id: str | None) -> Sequence[Output]:
        match request:
            case Publish(channel):
                return (Tell(stream_of(channel), request, command_id),)
            case Question():
                return (self._ask(request, command_id),)
            case Subscribe():
                return self._subscribe(request)
            case Unsubscribe(channel):
                topic = self._topics.pop(channel, None)
                left = () if topic is None else (Untune(topic),)
                return (*left, Write(frames.unsubscribed(channel)))
            case _:
                assert_never(request)

    def _ask(self, question: Question, command_id: str | None) -> Tell:
        """Not answered here: what the assistant does about it is published on the channel."""
        self._asked += 1
        thread = question.thread or StreamName.of(Category.CONVERSATION, self._thread)
        id = f"{self._id}.{self._asked}"
        return Tell(thread, Ask(question.channel, f"{id}.q", f"{id}.a", question.content), command_id)

    def _subscribe(self, asked: Subscribe) -> Sequence[Output]:
        channel, topic = asked.channel, frames.topic_of(asked.channel, envelope=asked.envelope)
        before = self._topics.get(channel)
        if before is None and len(self._topics) >= MAX_SUBSCRIPTIONS:
            problem = f"A connection has at most {MAX_SUBSCRIPTIONS} subscriptions"
            return (Write(frames.error("busy", problem, channel)),)
        if before == topic and asked.since is None and not asked.envelope:
            return (Write(frames.subscribed(channel)),)
        self._topics[channel] = topic
        self._tuning.append(asked)
        left = () if before in (None, topic) else (Untune(before),)
        return (*left, Tune(topic, self._resumes_from(asked)))

    def _resumes_from(self, asked: Subscribe) -> int | None:
        """A position of another log means nothing here."""
        return asked.since if asked.epoch in (None, self._epoch) else None
