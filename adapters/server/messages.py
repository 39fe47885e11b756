"""Messages on the wire: ours as a frame, and a client's while its pieces come in."""

from __future__ import annotations

from wsproto.events import BytesMessage, TextMessage


def text_frame(body: bytes) -> bytes:
    """A text message as the frame a server sends (RFC 6455, 5.2): without a mask, and so the same for every socket."""
    size = len(body)
    if size < 126:
        return bytes((0x81, size)) + body
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + body
    return b"\x81\x7f" + size.to_bytes(8, "big") + body


class TooLarge(Exception):
    """The message has more bytes than are taken."""


class Pieces:
    """Puts messages together, of `most` bytes each at most: nothing beyond that is ever kept."""

    __slots__ = ("_most", "_size", "_so_far")

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._so_far: list[str | bytes] = []

    def add(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        """The whole message once its last piece is there. Raises TooLarge."""
        piece = event.data if isinstance(event.data, str) else bytes(event.data)
        self._size += len(piece) if isinstance(piece, bytes) or piece.isascii() else len(piece.encode())
        if self._size > self._most:
            self._so_far.clear()
            raise TooLarge
        self._so_far.append(piece)
        if not event.message_finished:
            return None
        pieces, self._so_far, self._size = self._so_far, [], 0
        return pieces[0] if len(pieces) == 1 else _joined(pieces)


def _joined(pieces: list[str | bytes]) -> str | bytes:
    """One kind of piece makes a message; wsproto sees to that."""
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return "".join(texts) if texts else b"".join([piece for piece in pieces if isinstance(piece, bytes)])
