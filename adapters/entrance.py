"""How a server is entered, by its settings: who decides who comes in, and whether the way there is sealed."""

from __future__ import annotations

import ssl

import structlog
from quart import Blueprint

from adapters.config import Auth, BadSetting, Settings
from adapters.server.tls import UnusableTLS, tls_context
from adapters.setting_values import Secret
from adapters.users import BadUsers, Users
from adapters.web.auth import Door, OpenDoor, TokenDoor
from adapters.web.tokens import tokens_blueprint
from core.ports import Clock

log = structlog.get_logger("callboard")


def entrance(settings: Settings, clock: Clock) -> tuple[Door, Blueprint]:
    """Who decides who comes in, and the routes where tokens are had. Raises BadSetting."""
    users = None if settings.users is None else Users(settings.users)
    try:
        if users is not None:
            users.read()  # a file that cannot be used is better noticed now than at the first log-in
    except BadUsers as fault:
        raise BadSetting((f"CALLBOARD_USERS: {fault}",)) from None
    secret = revealed(settings.jwt_secret)
    try:
        door = TokenDoor(secret) if settings.auth is Auth.JWT and secret is not None else OpenDoor()
        tokens = tokens_blueprint(secret, users, clock, test_endpoints=settings.test_endpoints)
    except ValueError as fault:
        raise BadSetting((f"CALLBOARD_JWT_SECRET: {fault}; write the output of `openssl rand -hex 32`",)) from None
    return door, tokens


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """Where the certificate is used, if there is one. Raises BadSetting."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        return tls_context(settings.tls_cert, settings.tls_key)
    except UnusableTLS as fault:
        setting = "CALLBOARD_TLS_CERT" if fault.path == settings.tls_cert else "CALLBOARD_TLS_KEY"
        raise BadSetting((f"{setting}: {fault}",)) from None


def warn_of_clear_text(settings: Settings) -> None:
    """One record where others may listen in on the way, unless there is a proxy, which nobody can see from here."""
    exposed = [str(bind) for bind in settings.bind if not bind.is_loopback]
    if exposed and settings.tls_cert is None:
        log.warning(
            "tokens and passwords travel in clear unless a proxy encrypts; "
            "set CALLBOARD_TLS_CERT and CALLBOARD_TLS_KEY, or let a proxy do it",
            bind=exposed,
        )


def revealed(secret: Secret | None) -> str | None:
    """What is written in a setting that must not be printed."""
    return None if secret is None else secret.reveal()
