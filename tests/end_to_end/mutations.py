"""What a fuzzer sends: requests, handshakes and frames, some right, most a little or very wrong. All from one seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from tests.adapters.server.raw import CONTINUATION, PING, PONG, TEXT, close, frame, handshake, request

NOBODY = "0190a1b2-0000-7000-8000-000000000000"
WEBSOCKET_PATHS = ("/api/ws/conversations/{id}", "/", "/ws", "/ws/channels", "/api/stream/ws/s-1", "/ws-default/c-1")
PATHS = (
    ("GET", "/health"), ("GET", "/ready"), ("GET", "/metrics"), ("GET", "/static/callboard.js"), ("POST", "/token"),
    ("GET", "/test-token"), ("POST", "/api/conversation"), ("GET", "/api/conversations/{id}/state"),
    ("POST", "/api/conversations/{id}/state"), ("GET", "/api/conversations/{id}/connections"),
    ("POST", "/api/conversations/{id}/transcript"), ("POST", "/api/conversations/{id}/ai-response"),
    ("POST", "/api/v2/conversations"), ("GET", "/api/v2/conversations"), ("GET", "/api/v2/conversations/{id}"),
    ("POST", "/api/v2/conversations/{id}/messages"), ("GET", "/api/v2/conversations/{id}/messages"),
    ("POST", "/api/v2/conversations/migrate"), ("POST", "/api/test/conversations"),
    ("POST", "/api/test/conversations/{id}/message"), ("POST", "/api/test/conversations/{id}/speech"),
    ("GET", "/api/test/conversations/{id}/state-transitions"), ("GET", "/api/test/system-status"),
    ("POST", "/webhook"), ("GET", "/nowhere"), ("OPTIONS", "/api/v2/conversations"),
)  # fmt: skip
"""Event streams are left out, as they never end; so are ending the conversation and the stress test."""
BODIES: tuple[dict[str, Any], ...] = (
    {"content": "hello", "role": "assistant", "audio_url": None},
    {"state": "listening", "metadata": {"a": 1}},
    {"new_state": "processing"},
    {"final_transcript": "words", "interim_transcript": "wor", "confidence": 0.5},
    {"session_id": NOBODY},
    {"personality": "friendly_neutral", "session_type": "daily", "topic": "x", "user_id": "u"},
    {"username": "u", "password": "p"},
)
FRAMES: tuple[dict[str, Any], ...] = (
    {"type": "transcript_update", "payload": {"interim_transcript": "wor", "confidence": 0.5}},
    {"type": "transcript_update", "payload": {"final_transcript": "words"}, "command_id": "c-1"},
    {"type": "state_change_request", "payload": {"state": "listening", "metadata": {"a": [1]}}},
    {"type": "speech_event", "payload": {"event_type": "noise", "data": {"level": 3}}, "command_id": "c-2"},
    {"type": "heartbeat", "payload": {}},
)
STREAMS_FRAMES: tuple[dict[str, Any], ...] = (
    {"type": "ping", "session_id": "s-1", "timestamp": 1},
    {"type": "chat", "message": "hello", "command_id": "c-1"},
    {"type": "audio", "data": "YXVkaW8="},
    {"type": "transcription_request", "data": "UklGRg=="},
    {"type": "webrtc_offer", "offer": {"type": "offer", "sdp": "v=0", "at": 1}, "to": "1.2"},
    {"type": "webrtc_state", "state": "connected"},
    {"type": "test", "data": 5},
)
RETELL_FRAMES: tuple[dict[str, Any], ...] = (
    {"interaction_type": "ping_pong", "timestamp": 1703302407333},
    {"interaction_type": "call_details", "call": {"call_id": "c-1", "metadata": {"a": [1]}}},
    {"interaction_type": "update_only", "transcript": [{"role": "user", "content": "hi"}], "turntaking": "user_turn"},
    {"interaction_type": "response_required", "response_id": 1, "transcript": [{"role": "user", "content": "hi"}]},
    {"interaction_type": "reminder_required", "response_id": 2, "transcript": []},
)
CHANNELS_FRAMES: tuple[dict[str, Any], ...] = (
    {"type": "subscribe", "payload": {"channel": "c", "since": 3, "epoch": "e", "envelope": True}},
    {"type": "unsubscribe", "payload": {"channel": "c"}},
    {"type": "c", "payload": {"message": "hi", "timestamp": 1.5, "thread_id": "t"}, "command_id": "c-1"},
    {"type": "ask", "payload": {"channel": "c", "thread_id": "t-1", "message": "hi"}},
)
SHIPPING_FRAMES: tuple[dict[str, Any], ...] = (
    {"type": "client_tool_call", "requestId": "r-1", "client_tool_call": {"tool_name": "get_shipping_quotes",
     "tool_call_id": "t-1", "parameters": {"from_zip": "94105", "to_zip": "10118", "weight": 5}}},
    {"type": "get_rates", "payload": {"origin_zip": "94105", "destination_zip": "10118", "weight": 5}},
    {"type": "contextual_update", "text": "hello", "data": {"a": [1]}, "broadcast": True},
    {"type": "get_session_state"},
    {"type": "ping", "requestId": "r-2"},
)  # fmt: skip
CONSOLE_FRAMES: tuple[dict[str, Any], ...] = (
    {"type": "board", "id": "1"},
    {"type": "unboard", "id": "2"},
    {"type": "watch", "id": "3", "stream": "session-s-1", "after": 0},
    {"type": "unwatch", "id": "4", "stream": "session-s-1"},
    {"type": "page", "id": "5", "stream": "session-s-1", "after": 0, "until": 20},
    {"type": "state", "id": "6", "stream": "session-s-1", "at": 3},
)
TALKS: tuple[tuple[str, tuple[dict[str, Any], ...]], ...] = (
    ("/api/ws/conversations/{id}", FRAMES),
    ("/api/stream/ws/s-1", STREAMS_FRAMES),
    ("/ws-default/c-1", RETELL_FRAMES),
    ("/ws/channels", CHANNELS_FRAMES),
    ("/ws", SHIPPING_FRAMES),
    ("/console/socket", CONSOLE_FRAMES),
)
"""Where each dialect is spoken, and what is said there."""
QUERIES = ("since", "epoch", "limit", "offset", "user_id", "status", "token", "deltas", "last_event_id", "")
HEADERS = (
    "Authorization", "Idempotency-Key", "X-Request-ID", "Origin", "Accept", "Content-Type", "Cookie", "Expect",
    "Transfer-Encoding", "Content-Length", "Connection", "Upgrade", "Range", "If-None-Match", "Last-Event-ID",
    "Access-Control-Request-Method", "Accept-Encoding", "Forwarded", "X-Forwarded-For", "Sec-WebSocket-Protocol",
)  # fmt: skip
SOCKET_HEADERS = (
    "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Upgrade",
    "Connection", "Host", "Origin", "Authorization",
)  # fmt: skip
ODD_TEXTS = (
    "", " ", "\x00", "é", "\u2028", "\ud800", "𝕏", "a" * 3000, "../../etc/passwd", "%00", "%ff", "%", "'; --", "null",
    "NaN", "-1", "0", "1e999", "18446744073709551616", "bearer, x.y.z", "chunked", "keep-alive, Upgrade", "websocket",
    "h2c", "{{7*7}}", "\r\nX: y", "permessage-deflate", "bytes=0-", "100-continue", "*", "application/json",
    "utf-8;q=x",
)  # fmt: skip
ODD_JSON: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 53, -(1 << 63), 1e308, 0.1, [], {}, [[]], [None] * 100, {"": ""}, {"a": {"b": [{}]}},
)  # fmt: skip

NUMBER = re.compile(rb"(?<=:)\d+")
ODD_NUMBERS = (b"1e999", b"-1e999", b"9" * 5000, b"1e-999", b"-0", b"1.", b"01")


class Fuzz:
    """Draws what to send."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def _text(self) -> str:
        if self.random.random() < 0.7:
            return self.random.choice(ODD_TEXTS)
        return "".join(chr(self.random.randrange(1, 0x2FF)) for _ in range(self.random.randrange(20)))

    def _line(self) -> str:
        """Text for a line of a request, whatever it does to it."""
        return _in_line(self._text())

    def _field(self) -> str:
        """A header's value as it may be."""
        return "".join(character for character in self._line() if character.isprintable()).strip()

    def bytes_of(self, whole: bytes) -> bytes:
        """The same with bytes changed, lost, added or repeated."""
        mutant = bytearray(whole)
        for _ in range(self.random.choice((1, 1, 2, 5))):
            at = self.random.randrange(len(mutant) + 1)
            match self.random.randrange(5):
                case 0 if mutant:
                    mutant[at % len(mutant)] = self.random.randrange(256)
                case 1 if mutant:
                    mutant[at % len(mutant)] ^= 1 << self.random.randrange(8)
                case 2:
                    del mutant[at : at + self.random.randrange(1, 9)]
                case 3:
                    mutant[at:at] = self.random.randbytes(self.random.randrange(1, 9))
                case _:
                    mutant[at:at] = mutant[at : at + self.random.randrange(1, 40)]
        return bytes(mutant)

    # --- JSON ---

    def _json(self, value: Any) -> Any:
        """The value with something in it replaced, lost or added."""
        if isinstance(value, dict) and value and self.random.random() < 0.8:
            key = self.random.choice(list(value))
            match self.random.randrange(5):
                case 0:
                    return {name: item for name, item in value.items() if name != key}
                case 1:
                    return {**value, self._text(): self._odd()}
                case 2:
                    return {**value, key: self._odd()}
                case _:
                    return {**value, key: self._json(value[key])}
        return self._odd()

    def _odd(self) -> Any:
        return self._text() if self.random.random() < 0.4 else self.random.choice(ODD_JSON)

    def body(self, examples: tuple[dict[str, Any], ...]) -> bytes:
        """JSON that is right, or wrong, or none at all."""
        value: Any = self.random.choice(examples)
        chance = self.random.random()
        if chance > 0.15:
            value = self._json(value)
        text = msgspec.json.encode(_without_surrogates(value))
        if self.random.random() < 0.1:
            text = NUMBER.sub(self.random.choice(ODD_NUMBERS), text, count=1)
        if chance > 0.85:
            return self.bytes_of(text)
        if chance > 0.83:
            return b"[" * self.random.choice((10, 2000, 50_000))
        return text

    # --- HTTP ---

    def _target(self, path: str, id: str, written: Callable[[str], str]) -> str:
        """A path and its query; `written` makes of what is drawn what stands there."""
        path = path.format(id=id if self.random.random() < 0.7 else written(self._text()) or NOBODY)
        if self.random.random() < 0.5:
            names = (self.random.choice(QUERIES) for _ in range(self.random.randrange(1, 4)))
            path += "?" + "&".join(f"{name}={written(self._text())}" for name in names)
        return path

    def request(self, id: str) -> bytes:
        """A request that can be told from the next one, as most are, whatever it asks for."""
        method, path = self.random.choice(PATHS)
        if self.random.random() < 0.05:
            method = self.random.choice(("GET", "HEAD", "PUT", "PATCH", "DELETE", "FROB", "TRACE"))
        framing = {"Transfer-Encoding", "Content-Length", "Connection", "Expect", "Upgrade"}
        names = [name for name in HEADERS if name not in framing]
        headers = [f"{self.random.choice(names)}: {self._field()}" for _ in range(self.random.randrange(3))]
        body = self.body(BODIES) if method in {"POST", "PUT", "PATCH"} else b""
        return request(self._target(path, id, _quoted), *headers, method=method, body=body)

    def broken_request(self, id: str) -> bytes:
        """A request after which nobody knows where the next one begins."""
        method, path = self.random.choice(PATHS)
        headers = [f"{self.random.choice(HEADERS)}: {self._line()}" for _ in range(self.random.randrange(1, 4))]
        whole = request(self._target(path, id, _in_line), *headers, method=method, body=self.body(BODIES))
        return whole if self.random.random() < 0.4 else self.bytes_of(whole)

    def handshake(self, id: str) -> bytes:
        """A WebSocket's opening request, right or wrong."""
        path = self._target(self.random.choice(WEBSOCKET_PATHS), id, self.random.choice((_quoted, _in_line)))
        names = self.random.sample(SOCKET_HEADERS, self.random.randrange(3))
        headers = [f"{name}: {self._line()}" if self.random.random() < 0.8 else name for name in names]
        whole = handshake(path, *headers, version=self.random.choice(("HTTP/1.1",) * 9 + ("HTTP/1.0",)))
        return whole if self.random.random() < 0.6 else self.bytes_of(whole)

    # --- frames ---

    def talk(self) -> tuple[str, tuple[dict[str, Any], ...]]:
        """Where to talk, and what is said there."""
        return self.random.choice(TALKS)

    def message(self, examples: tuple[dict[str, Any], ...] = FRAMES) -> bytes:
        """A frame by the rules, whatever it says."""
        body = self.body(examples)
        chance = self.random.random()
        if chance < 0.05:
            return frame(self.random.choice((PING, PONG)), body[:125])
        if chance < 0.15:
            try:
                body.decode()
            except UnicodeDecodeError:
                return frame(0x2, body)
            cut = self.random.randrange(len(body) + 1)
            rest = frame(PING) * self.random.randrange(3) + frame(CONTINUATION, body[cut:])
            return frame(TEXT, body[:cut], fin=False) + rest
        try:
            body.decode()
        except UnicodeDecodeError:
            return frame(0x2, body)
        return frame(TEXT if chance < 0.95 else 0x2, body)

    def broken_frame(self) -> bytes:
        """A frame that, most likely, breaks a rule."""
        draw: Callable[[int], int] = self.random.randrange
        body = self.body(FRAMES)
        match draw(7):
            case 0:
                return frame(draw(16), body, fin=bool(draw(2)), rsv=draw(8), mask=self.random.choice((None, b"abcd")))
            case 1:
                return frame(draw(16), body, announced=self.random.choice((0, 1, 125, 126, 65535, 1 << 31, 1 << 62)))
            case 2:
                return self.random.randbytes(draw(200))
            case 3:
                return close(draw(6000), self.random.randbytes(draw(130)))
            case 4:
                return frame(TEXT, self.random.randbytes(draw(300)))
            case 5:
                return frame(TEXT, fin=False) + frame(self.random.choice((TEXT, CONTINUATION, 0x8)), body, fin=False)
            case _:
                return self.bytes_of(frame(TEXT, body))


def _in_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", "").encode("utf-8", "replace").decode("latin-1")


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _without_surrogates(value: Any) -> Any:
    """The same, as JSON can say it: lone halves of characters become question marks."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
        case _:
            return value
