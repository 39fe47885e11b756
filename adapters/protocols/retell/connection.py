"""One socket of the platform's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Raw

from adapters.protocols.retell import frames
from adapters.protocols.retell.hearing import Hearing
from adapters.protocols.retell.requests import NotJson, NotText, Ping, read_request
from core.call import APOLOGY, ConnectSocket, DisconnectSocket, RequireResponse
from core.dialect import Close, Handshake, Hear, Listen, Output, Tell, Write
from core.identifiers import Category, MalformedStreamName, StreamName
from core.messages import Accepted, Outcome, Refused

BINARY = Close(1007, "Send text frames, not binary ones")
FAULT = Close(1011, "Server error")
NO_CALL = Close(1008, "That is no call's id")
ENDED = Close(1000, "The call has ended")
FLOODED = Close(4008, "Too many messages at once; come back")


class Tally:
    """What the metrics say of calls since the start: frames by their type, those of no known one as `unknown`."""

    def __init__(self) -> None:
        self.interactions: Counter[str] = Counter()
        self.sockets = 0
        self.seconds = 0.0

    def end(self, seconds: float) -> None:
        """A socket that was open for so long has gone."""
        self.sockets += 1
        self.seconds += max(0.0, seconds)


class RetellConnection:
    """The configuration at once; then the socket becomes the call's, and every frame is a ping or a command."""

    def __init__(self, handshake: Handshake, hearing: Hearing, tally: Tally) -> None:
        self._id = handshake.connection_id
        self._call_id = handshake.path["call_id"].encode("utf-8", "replace").decode()  # no lone surrogates
        self._hearing, self._tally = hearing, tally
        self._stream: StreamName | None = None
        self._opened_at = 0

    def opened(self, now: int) -> Sequence[Output]:
        config, self._opened_at = Write(frames.encode(frames.CONFIG)), now
        try:
            self._stream = StreamName.of(Category.CALL, self._call_id)
        except MalformedStreamName:
            return config, NO_CALL
        return config, Listen(self._stream), Tell(self._stream, ConnectSocket(self._id, now))

    def received(self, frame: str | bytes, now: int) -> Sequence[Output]:  # noqa: ARG002  # the protocol's signature
        if self._stream is None:
            return ()
        try:
            kind, request = read_request(frame)
        except NotText:
            return (BINARY,)
        except NotJson:
            return (FAULT,)
        self._tally.interactions[kind] += 1
        if isinstance(request, Ping):
            return (Write(frames.encode(frames.Pong(Raw(bytes(request.timestamp))))),)
        if isinstance(request, RequireResponse):
            self._hearing.require(request.response_id)
        return (Tell(self._stream, request),)

    def throttled(self, retry_after: float, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        """There is no frame to say it in, and what was not taken is sent again on a new socket."""
        return (FLOODED,)

    def settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        match tell.command:
            case ConnectSocket():
                return self._connected(tell.stream, outcome)
            case RequireResponse(response_id) if isinstance(outcome, Accepted):
                return self._required(response_id, outcome.state)
            case RequireResponse(response_id):
                return self._not_required(response_id, outcome)
            case _:
                return ()

    def recalled(self, stream: StreamName, state: Any, version: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        return ()

    def tuned(self, topic: str, position: int, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        return ()

    def closed(self, now: int) -> Sequence[Output]:
        """Told whether or not the connecting has settled: the actor takes the two in this order."""
        if self._stream is None:
            return ()
        self._tally.end((now - self._opened_at) / 1_000_000)
        return (Tell(self._stream, DisconnectSocket(self._id, now)),)

    def _connected(self, stream: StreamName, outcome: Outcome) -> Sequence[Output]:
        match outcome:
            case Accepted(_, state, version):
                return (Hear(stream, state, version),)
            case Refused(rejection) if rejection.code == "call_ended":
                return (ENDED,)
            case _:
                return (FAULT,)

    def _required(self, response_id: int, state: Any) -> Sequence[Output]:
        """What was answered before is decided to nothing; a socket that came since has not heard it."""
        answer = state.answer
        if answer is None or answer.response_id != response_id or not self._hearing.gives_again(response_id):
            return ()
        return (Write(frames.encode(frames.whole(answer))),)

    def _not_required(self, response_id: int, outcome: Outcome) -> Sequence[Output]:
        """Who asked is told that no answer comes, lest the caller hear nothing; unless this socket is not heard."""
        if isinstance(outcome, Refused) and outcome.rejection.code in {"call_ended", "not_connected"}:
            return ()
        if not self._hearing.give_up(response_id):
            return ()
        return (Write(frames.encode(frames.apology(response_id, APOLOGY))),)
