"""What the web side of a running Callboard can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.web.limits import Rate

RATE, PRINCIPAL_RATE = Rate(200, 400), Rate(1000, 2000)
CORS_ORIGINS = ("http://localhost:3000", "http://127.0.0.1:3000")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`max_frame_bytes` bounds a request body, and what waits for a resume.

    `response_timeout` (seconds) is how long an answer may be drafted; `answer_margin` is how much longer a REST call
    waits for it. `model` is what the configured language model is called. `rate` is a connection's, `principal_rate`
    that of one principal over all its connections. `max_connections` is of WebSockets, 0 for no limit. With
    `trust_host` a page of the host a request names may connect, whatever that host is called. `path_names` are parts of
    sockets' paths that are settings; `silence_limits` (seconds) are of dialects that have one of their own. With
    `log_messages` the server's own log has every message, at level debug.
    """

    cors_origins: tuple[str, ...] = CORS_ORIGINS
    test_endpoints: bool = True
    max_frame_bytes: int = 16 * 1024 * 1024
    response_timeout: float = 30.0
    answer_margin: float = 5.0
    model: str = ""
    rate: Rate = RATE
    principal_rate: Rate = PRINCIPAL_RATE
    max_connections: int = 0
    trust_host: bool = False
    silence_limits: Mapping[str, float] = field(default_factory=dict)
    path_names: Mapping[str, str] = field(default_factory=dict)
    log_messages: bool = False
