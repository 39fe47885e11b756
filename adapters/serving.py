"""What the settings mean for those who serve: the web side, and the connections under it."""

from __future__ import annotations

from adapters.config import Auth, Settings
from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits
from adapters.web.limits import Rate
from adapters.web.settings import WebSettings
from core.ports import LanguageModel

PING_INTERVAL = 20.0
"""Seconds between two pings, or a quarter of a shorter silence limit."""
OWN_SILENCE = ("channels",)
"""Dialects whose silence limit is one of their own."""
SOCKETS_SHARE = 0.5
"""How much of the time for a shutdown the sockets get; the actors get half of the rest, and what is left is slack."""


def web_settings(settings: Settings, model: LanguageModel) -> WebSettings:
    """What the web side is told."""
    return WebSettings(
        cors_origins=settings.cors_origins,
        test_endpoints=settings.test_endpoints,
        max_frame_bytes=settings.max_frame_bytes,
        response_timeout=settings.response_timeout,
        model=model.name,
        rate=Rate(settings.rate_limit, settings.rate_burst),
        principal_rate=Rate(settings.principal_rate_limit, settings.principal_rate_burst),
        max_connections=settings.max_connections,
        trust_host=settings.auth is Auth.JWT or settings.insecure,
        silence_limits={name: settings.silence_limit_of(name) for name in OWN_SILENCE},
        log_messages=settings.log_messages,
        path_names={
            "obfuscated_ws_path": settings.obfuscated_ws_path,
            "session_max_age": str(settings.session_max_age),
        },
    )


def server_limits(settings: Settings) -> ServerLimits:
    """Sockets get the greater part of the time a shutdown may take; the actors finish in the rest."""
    link = LinkLimits(
        max_frame_bytes=settings.max_frame_bytes,
        outlet_bytes=settings.outlet_bytes,
        write_deadline=settings.write_deadline,
        silence_limit=(silence := settings.silence_limit_of("conversations")),
        ping_interval=min(PING_INTERVAL, silence / 4),
    )
    return ServerLimits(
        link=link,
        handshake_deadline=settings.handshake_deadline,
        graceful_timeout=settings.graceful_timeout * SOCKETS_SHARE,
        max_connections=settings.max_connections,
    )
