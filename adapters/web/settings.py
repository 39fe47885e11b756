"""What the web side of a running Callboard can be told."""

from __future__ import annotations

from dataclasses import dataclass

CORS_ORIGINS = ("http://localhost:3000", "http://127.0.0.1:3000")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`max_frame_bytes` bounds a WebSocket message and a request body, `outlet_bytes` what one socket may lag behind.

    `response_timeout` (seconds) is how long an answer may be drafted; `answer_margin` is how much longer a REST call
    waits for it. `model` is what the configured language model is called.
    """

    cors_origins: tuple[str, ...] = CORS_ORIGINS
    test_endpoints: bool = True
    max_frame_bytes: int = 16 * 1024 * 1024
    outlet_bytes: int = 1024 * 1024
    response_timeout: float = 30.0
    answer_margin: float = 5.0
    model: str = ""
