"""Reads a streamed chat completion: bytes in, pieces of text out. Sans-I/O.

The library has a reader of its own, but that one leaves suspended generators to the garbage collector at the end of
every stream, cannot tell a cut-off answer from a whole one, and validates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import DecodeError, Struct, json

from core.ports import ModelFailure

MAX_UNREAD = 1 << 20
"""Bytes one event of the stream may have."""
_DONE = b"[DONE]"


class _Delta(Struct, gc=False):
    content: str | None = None
    refusal: str | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Complaint(Struct):
    message: str | None = None


class _Chunk(Struct):
    choices: list[_Choice] = []
    error: _Complaint | None = None


class CutOff(ModelFailure):
    """The stream ended before the answer did."""


class ChatReader:
    """One answer's stream of server-sent events.

    `has_ended`: the model has said why it stopped. `is_done`: nothing that may still come counts.
    """

    def __init__(self) -> None:
        self.is_done = False
        self.has_ended = False
        self._has_events = False
        self._unread = b""
        self._event: list[bytes] = []
        self._event_size = 0

    def feed(self, received: bytes) -> list[str]:
        """The pieces that `received` completes; may be none. Raises ModelFailure for what is no chat completion."""
        *lines, self._unread = (self._unread + received).split(b"\n")
        _refuse_above_limit(len(self._unread))
        return [piece for line in lines for piece in self._read_line(line.rstrip(b"\r"))]

    def end(self) -> list[str]:
        """The stream is over: the pieces that were left. Raises CutOff or ModelFailure when the answer is not whole."""
        pieces = [*self._read_line(self._unread.rstrip(b"\r")), *self._read_line(b"")]
        if not self._has_events:
            raise ModelFailure("the language model's answer was no event stream")
        if not self.has_ended:
            raise CutOff("the language model's answer was cut off")
        self.is_done = True
        return pieces

    def _read_line(self, line: bytes) -> Iterator[str]:
        """One line of the event stream; an empty one ends an event. Fields other than `data` do not matter here."""
        if line.startswith(b"data:"):
            self._event.append(line[5:].removeprefix(b" "))
            self._event_size += len(line)
            _refuse_above_limit(self._event_size)
        elif not line and self._event:
            event = b"\n".join(self._event)
            self._event.clear()
            self._event_size = 0
            yield from self._read_event(event)

    def _read_event(self, event: bytes) -> Iterator[str]:
        if self.is_done:
            return
        self._has_events = True
        if event.strip() == _DONE:
            self.has_ended = self.is_done = True
            return
        for choice in self._choices_of(event):
            self.has_ended = self.has_ended or choice.finish_reason is not None
            if choice.finish_reason == "content_filter":
                raise ModelFailure("the language model's content filter stopped the answer")
            if choice.delta is not None and (text := choice.delta.content or choice.delta.refusal):
                yield text

    def _choices_of(self, event: bytes) -> list[_Choice]:
        try:
            chunk = json.decode(event, type=_Chunk)
        except (DecodeError, UnicodeDecodeError) as error:
            raise ModelFailure(f"the language model's answer makes no sense: {error}") from error
        if chunk.error is not None:
            raise ModelFailure(f"the language model gave up: {(chunk.error.message or 'no reason given')[:200]}")
        return chunk.choices[:1]


def _refuse_above_limit(size: int) -> None:
    if size > MAX_UNREAD:
        raise ModelFailure("the language model's answer has lines without end")
