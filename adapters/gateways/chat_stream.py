"""Reads a streamed chat completion: bytes in, pieces of text and tool calls out. Sans-I/O.

The library has a reader of its own, but that one leaves suspended generators to the garbage collector at the end of
every stream, cannot tell a cut-off answer from a whole one, and validates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import DecodeError, Struct, json

from core.ports import ModelFailure, Piece, ToolCall

MAX_UNREAD = 1 << 20
"""Bytes one event of the stream may have."""
MAX_TOOL_CALLS = 32
"""Tool calls one answer may ask for."""
_DONE = b"[DONE]"


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _CallPart(Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_CallPart] | None = None


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


class _Calls:
    """The tool calls of one answer, in parts until the model has finished them."""

    def __init__(self) -> None:
        self._parts: dict[int, _CallPart] = {}
        self._arguments: dict[int, list[str]] = {}
        self._size = 0

    def add(self, part: _CallPart) -> None:
        """Raises ModelFailure for more than a tool could be meant to take."""
        function = part.function or _Function()
        first = self._parts.setdefault(part.index, part)
        first.id = first.id or part.id
        if first.function is None:
            first.function = function
        elif function is not first.function:
            first.function.name = first.function.name or function.name
        if function.arguments:
            self._arguments.setdefault(part.index, []).append(function.arguments)
            self._size += len(function.arguments)
        _refuse_above_limit(self._size)
        if len(self._parts) > MAX_TOOL_CALLS:
            raise ModelFailure(f"the language model asked for more than {MAX_TOOL_CALLS} tools at once")

    def check_whole(self, finish_reason: str) -> None:
        """Raises ModelFailure when the model was stopped in the middle of a call."""
        if finish_reason == "length" and self._parts:
            raise ModelFailure("the language model ran out of room in the middle of a tool call")

    def take(self) -> Iterator[ToolCall]:
        """All of them, in the order of their indexes, once. Raises ModelFailure for one without a name."""
        parts, self._parts = sorted(self._parts.items()), {}
        for index, part in parts:
            name = part.function.name if part.function is not None else None
            if not name:
                raise ModelFailure("the language model called a tool without saying which")
            arguments = "".join(self._arguments.pop(index, ())) or "{}"
            yield ToolCall(part.id or f"call_{index}", name, arguments)


class ChatReader:
    """One answer's stream of server-sent events.

    `has_ended`: the model has said why it stopped. `is_done`: nothing that may still come counts.
    """

    def __init__(self) -> None:
        self.is_done = False
        self.has_ended = False
        self._has_events = False
        self._unread = b""
        self._calls = _Calls()
        self._event: list[bytes] = []
        self._event_size = 0

    def feed(self, received: bytes) -> list[Piece]:
        """The pieces that `received` completes; may be none. Raises ModelFailure for what is no chat completion."""
        *lines, self._unread = (self._unread + received).split(b"\n")
        _refuse_above_limit(len(self._unread))
        return [piece for line in lines for piece in self._read_line(line.rstrip(b"\r"))]

    def end(self) -> list[Piece]:
        """The stream is over: the pieces that were left. Raises CutOff or ModelFailure when the answer is not whole."""
        pieces = [*self._read_line(self._unread.rstrip(b"\r")), *self._read_line(b"")]
        if not self._has_events:
            raise ModelFailure("the language model's answer was no event stream")
        if not self.has_ended:
            raise CutOff("the language model's answer was cut off")
        self.is_done = True
        return pieces

    def _read_line(self, line: bytes) -> Iterator[Piece]:
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

    def _read_event(self, event: bytes) -> Iterator[Piece]:
        if self.is_done:
            return
        self._has_events = True
        if event.strip() == _DONE:
            self.has_ended = self.is_done = True
            yield from self._calls.take()
            return
        for choice in self._choices_of(event):
            if choice.finish_reason == "content_filter":
                raise ModelFailure("the language model's content filter stopped the answer")
            if choice.delta is not None:
                yield from self._read_delta(choice.delta)
            if choice.finish_reason is not None:
                self.has_ended = True
                self._calls.check_whole(choice.finish_reason)
                yield from self._calls.take()

    def _read_delta(self, delta: _Delta) -> Iterator[Piece]:
        if text := delta.content or delta.refusal:
            yield text
        for part in delta.tool_calls or ():
            self._calls.add(part)

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
