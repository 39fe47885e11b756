"""One WebSocket client on a raw socket: cheap enough to have thousands, and able to do what no good client would."""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from collections.abc import Iterator

HOST = "127.0.0.1"
READ_SIZE = 256 * 1024
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
CONTROL = 0x8
"""The bit that opcodes of control frames have."""


class Lost(Exception):
    """The server has refused or closed a connection that was to stay."""


class Wire:
    """One client. `frames` counts the text frames it has read; `lost` says why it is gone."""

    def __init__(self, port: int, path: str, *, segment: int = 0, receive_buffer: int = 0) -> None:
        """Connect and ask for the upgrade, without waiting for the answer; `attended` reads it.

        With `segment` and `receive_buffer` (bytes) the kernels keep little between the two ends, as on a thin line.
        """
        self.frames, self.is_open, self.lost = 0, False, ""
        self._rest = b""
        self.socket = socket.socket()
        if segment:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(_upgrade(path))

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def send(self, text: bytes) -> None:
        self.socket.sendall(client_frame(text))

    def read(self) -> list[bytes]:
        """The text frames that are there now, without waiting; pings among them are answered."""
        try:
            chunk = self.socket.recv(READ_SIZE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError as error:
            chunk, self.lost = b"", str(error)
        if not chunk:
            self.lost = self.lost or "closed without a word"
            return []
        return self.take(chunk)

    def take(self, chunk: bytes) -> list[bytes]:
        """The text frames that are complete with this chunk."""
        self._rest += chunk
        if not self.is_open and not self._opened():
            return []
        texts = list(self._texts())
        self.frames += len(texts)
        return texts

    def _opened(self) -> bool:
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if end and b" 101 " not in head[:16]:
            self.lost = head.partition(b"\r\n")[0].decode(errors="replace")
        elif end:
            self.is_open, self._rest = True, rest
        return self.is_open

    def _texts(self) -> Iterator[bytes]:
        rest, at, have = self._rest, 0, len(self._rest)
        while have - at >= 2:
            opcode, size, start = rest[at] & 0xF, rest[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if have < start:
                    break
                size = int.from_bytes(rest[at + 2 : start])
            if have < start + size:
                break
            at = start + size
            if opcode & CONTROL:
                self._control(opcode, rest[start:at])
            else:
                yield rest[start:at]
        self._rest = rest[at:]

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.socket.sendall(client_frame(payload, PONG))
        elif opcode == CLOSE:
            self.lost = f"{int.from_bytes(payload[:2])} {payload[2:].decode(errors='replace')}"

    def close(self) -> None:
        self.socket.close()


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A frame as a client sends it. The mask is zero, so the payload is masked as it stands."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, 0x80 | size, 0, 0, 0, 0)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2) + bytes(4) + payload
    return bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8) + bytes(4) + payload


def _upgrade(path: str) -> bytes:
    key = b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {HOST}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    )
    return "\r\n".join((*lines, "", "")).encode()
