"""Counts the frames of one socket without taking them out: what the load can do bounds what can be measured."""

from __future__ import annotations

from socket import MSG_DONTWAIT

from tests.benchmarks.wire import CLOSE, READ_SIZE, Lost, Wire

_TEXT, _CLOSE, _TWO_BYTES = 0x81, 0x80 | CLOSE, 126
_buffer = bytearray(READ_SIZE)
_view = memoryview(_buffer)
_LONGEST_HEADER = 10


class Tally:
    """The text frames of `wire` that have come whole. Others are given to the wire, which answers pings."""

    __slots__ = ("_owed", "_receive", "_torn", "_wire")

    def __init__(self, wire: Wire) -> None:
        self._wire, self._receive = wire, wire.socket.recv_into
        self._owed = 0  # bytes of a frame whose header has come
        self._torn = b""  # a header, or a control frame, that has come in part

    def read(self) -> int:
        """How many text frames were finished by what is there now. Raises Lost."""
        at = len(self._torn)
        if at:
            _buffer[:at], self._torn = self._torn, b""
        size = self._receive(_view[at:] if at else _view, 0, MSG_DONTWAIT)
        if not size:
            raise Lost("the server closed a socket")
        return self._walk(at + size)

    def _walk(self, end: int) -> int:
        at, frames = self._owed, int(self._owed > 0)
        while end - at >= 4:
            if _buffer[at] == _TEXT and _buffer[at + 1] <= _TWO_BYTES:
                size = _buffer[at + 1]
                at += 4 + (_buffer[at + 2] << 8 | _buffer[at + 3]) if size == _TWO_BYTES else 2 + size
                frames += 1
            elif (after := self._other(at, end)) > at:
                frames += _buffer[at] == _TEXT
                at = after
            else:
                break
        self._owed = at - end if at > end else 0
        if at < end:
            self._torn = bytes(_view[at:end])
        return frames - (at > end)

    def _other(self, at: int, end: int) -> int:
        """Where a control frame, or a very long one, ends; `at` when it has not come far enough to say."""
        if _buffer[at] == _CLOSE:
            raise Lost(f"the server closed a socket: {bytes(_buffer[at + 2 : end])!r}")
        if _buffer[at] != _TEXT:
            after = at + 2 + _buffer[at + 1]
            if after <= end:
                self._wire.take(bytes(_buffer[at:after]))
            return after if after <= end else at
        if end - at < _LONGEST_HEADER:
            return at
        return at + _LONGEST_HEADER + int.from_bytes(_buffer[at + 2 : at + _LONGEST_HEADER])

    def give_back(self) -> None:
        """What has come of the next frame is the wire's again. Raises Lost when a text frame is half read."""
        if self._owed:
            raise Lost("a frame came that nobody published")
        self._wire.take(self._torn)
