"""Messages on the wire: ours as a frame, and a client's while its pieces come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wsproto.events import BytesMessage, TextMessage


def text_frame(body: bytes) -> bytes:
    """A text message as the frame a server sends (RFC 6455, 5.2): without a mask, and so the same for every socket."""
    size = len(body)
    if size < 126:
        return bytes((0x81, size)) + body
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + body
    return b"\x81\x7f" + size.to_bytes(8, "big") + body


def messages_in(frames: bytes) -> Iterator[bytes]:
    """The bodies again of whole frames that `text_frame` made, one behind the other."""
    at = 0
    while at < len(frames):
        size, at = frames[at + 1], at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(frames[at : at + width], "big"), at + width
        yield frames[at : at + size]
        at += size


def joined(messages: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The same bytes in few pieces of at most `most` bytes; a message is never cut, so one alone may be larger."""
    parts: list[bytes] = []
    size = 0
    for part in messages:
        if parts and size + len(part) > most:
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    if parts:
        yield b"".join(parts)


class TooLarge(Exception):
    """The message has more bytes than are taken."""


class Pieces:
    """Puts messages together, of `most` bytes each at most: nothing more is kept, however small the pieces."""

    __slots__ = ("_most", "_open", "_so_far")

    def __init__(self, most: int) -> None:
        self._most, self._open = most, False
        self._so_far = bytearray()

    def add(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        """The whole message once its last piece is there. Raises TooLarge."""
        piece = event.data
        if event.message_finished and not self._open and len(piece) * 4 <= self._most:
            return piece if isinstance(piece, str) else bytes(piece)
        self._open = True
        self._so_far += piece.encode() if isinstance(piece, str) else piece
        if len(self._so_far) > self._most:
            self._so_far = bytearray()
            raise TooLarge
        if not event.message_finished:
            return None
        whole, self._so_far, self._open = self._so_far, bytearray(), False
        return whole.decode() if isinstance(piece, str) else bytes(whole)
