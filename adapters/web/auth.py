"""Who comes to the door: a token, checked once, becomes a Visitor; what a token says is never logged or repeated.

Where a token may stand, the first that has one counts: `Authorization: Bearer <jwt>`, the subprotocols `bearer, <jwt>`
(a browser's WebSocket can set no header), the query's `token`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import jwt
from quart import Quart, Response, g, request

from adapters.roles import Role, roles_named
from adapters.setting_values import MIN_SECRET_BYTES
from adapters.web.answers import Problem, answer
from core.ports import Clock

__all__ = [
    "ALGORITHM",
    "BEARER",
    "INVALID_PAYLOAD",
    "INVALID_TOKEN",
    "NO_TOKEN",
    "Door",
    "OpenDoor",
    "Role",
    "TokenDoor",
    "TurnedAway",
    "Visitor",
    "check_requests",
    "current_visitor",
    "is_public",
    "require",
]

BEARER = "bearer"
"""The subprotocol to answer with when it was offered, with a token behind it."""
ALGORITHM = "HS256"
"""The only one: what a token's own header asks for is never followed (RFC 8725, 3.1)."""
NO_TOKEN = "Missing authentication token"  # noqa: S105  # a reason, no token
INVALID_TOKEN = "Invalid or expired token"  # noqa: S105  # as above
INVALID_PAYLOAD = "Invalid token payload"
"""The three reasons, in the words of contracts/shipping.md."""

PUBLIC_PATHS = frozenset(
    {
        "/health",
        "/ready",
        "/token",
        "/test-token",
        "/webhook",
        "/api/stream/test-page",
        "/openapi.json",
        "/asyncapi.json",
        "/docs",
        "/console",
    }
)
"""A webhook is signed; the page shows nothing before its socket is let in; the reference holds no secret."""
PUBLIC_FOLDERS = ("/static/", "/labels/", "/qr/", "/console/")
"""A label is found by its digest, which nobody guesses; the console is files, and what they ask for is not public."""

LEEWAY = 30 * 1_000_000
"""µs that the clock of who makes tokens may be ahead of ours."""
MOST_TOKEN_CHARACTERS = 8192
MOST_SUBJECT_CHARACTERS = 256
END_OF_TIME = 253_402_300_800
"""The year 10000 in seconds since the epoch: what is later is taken for that, so that times stay within 64 bits."""

# Three parts in base64url without padding (RFC 7515, 7.1). PyJWT lets padding pass, which is a second way to write one
# token; a token has one spelling here.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# PyJWT compares times with the machine's clock. We compare them with `now`, which everything else goes by too and which
# tests choose; and a subject that is no text is our third reason, not its second.
_CHECKED_HERE: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_sub": False}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody at the door: `principal` is the name in stamps, `expires_at` µs UTC since the epoch, None for never."""

    principal: str
    roles: frozenset[Role]
    expires_at: int | None


ANYBODY = Visitor("anonymous", frozenset(Role), None)
"""Who comes where nobody is asked (auth none)."""
STRANGER = Visitor("anonymous", frozenset(), None)
"""Who comes to a public path and shows no valid token: without any role."""


class TurnedAway(Exception):
    """No entrance. `reason` is one of the three texts of the contract and holds nothing of the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Door(Protocol):
    """Decides who comes in."""

    def admit(
        self, headers: Mapping[str, str], query: Mapping[str, str], subprotocols: Sequence[str], now: int
    ) -> Visitor:
        """The visitor who says this at `now` (µs UTC since the epoch). Raises TurnedAway."""


class OpenDoor:
    """Auth none: everybody comes in and may do everything. For loopback alone, or behind a proxy that asks."""

    def admit(
        self,
        headers: Mapping[str, str],  # noqa: ARG002  # the protocol's
        query: Mapping[str, str],  # noqa: ARG002  # the protocol's
        subprotocols: Sequence[str],  # noqa: ARG002  # the protocol's
        now: int,  # noqa: ARG002  # the protocol's
    ) -> Visitor:
        return ANYBODY


class TokenDoor:
    """Auth jwt: who brings a token signed with `secret`. Raises ValueError for a secret that HS256 should not use."""

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"an HS256 secret has at least {MIN_SECRET_BYTES} bytes")
        try:
            jwt.encode({}, secret, ALGORITHM)
        except jwt.PyJWTError:
            raise ValueError("an HS256 secret is no PEM or SSH key") from None
        self._secret = secret

    def admit(
        self, headers: Mapping[str, str], query: Mapping[str, str], subprotocols: Sequence[str], now: int
    ) -> Visitor:
        token = _token(headers, query, subprotocols)
        if not token:
            raise TurnedAway(NO_TOKEN)
        return _visitor(self._claims(token), now)

    def _claims(self, token: str) -> dict[str, Any]:
        """What a genuine token says. Raises TurnedAway."""
        if len(token) <= MOST_TOKEN_CHARACTERS and _COMPACT.fullmatch(token):
            try:
                return jwt.decode(token, self._secret, algorithms=[ALGORITHM], options=_CHECKED_HERE)
            except jwt.PyJWTError:
                pass
        raise TurnedAway(INVALID_TOKEN)


def _token(headers: Mapping[str, str], query: Mapping[str, str], subprotocols: Sequence[str]) -> str:
    """The token, "" for none."""
    authorization = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == BEARER and credentials:
        return credentials
    return _offered(subprotocols) or query.get("token", "")


def _offered(subprotocols: Sequence[str]) -> str:
    """What stands behind `bearer` in the list of subprotocols."""
    return next((token for name, token in pairwise(subprotocols) if name == BEARER), "")


def _visitor(claims: Mapping[str, Any], now: int) -> Visitor:
    """Who a genuine token says comes, at `now`. Raises TurnedAway."""
    expires_at, not_before, issued_at = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires_at is not None and expires_at <= now:
        raise TurnedAway(INVALID_TOKEN)
    if any(time is not None and time > now + LEEWAY for time in (not_before, issued_at)):
        raise TurnedAway(INVALID_TOKEN)
    named = claims.get("roles")
    roles = roles_named([claims.get("role"), *(named if isinstance(named, list) else ())])
    return Visitor(_subject(claims), roles, expires_at)


def _subject(claims: Mapping[str, Any]) -> str:
    """The principal: a text that can be shown on one line and stored. Raises TurnedAway."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.strip() or not subject.isprintable():
        raise TurnedAway(INVALID_PAYLOAD)
    if len(subject) > MOST_SUBJECT_CHARACTERS or subject == ANYBODY.principal:  # that is nobody's name
        raise TurnedAway(INVALID_PAYLOAD)
    return subject


def _time(claims: Mapping[str, Any], name: str) -> int | None:
    """A NumericDate (RFC 7519, 2: seconds, perhaps with a fraction) in µs; None for none. Raises TurnedAway."""
    seconds = claims.get(name)
    if name not in claims:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or _is_nan(seconds):
        raise TurnedAway(INVALID_TOKEN)
    return int(max(-END_OF_TIME, min(seconds, END_OF_TIME)) * 1_000_000)


def _is_nan(number: int | float) -> bool:
    return isinstance(number, float) and math.isnan(number)  # an integer may be too large to become a float


def check_requests(app: Quart, door: Door, clock: Clock) -> None:
    """Ask every REST request who comes; those turned away get a 401 in JSON with the reason.

    Nobody is turned away from a public path, nor from OPTIONS, which browsers send without credentials. WebSockets are
    not asked here: their refusal is a close, which only the socket's own code can send.
    """

    async def ask() -> Response | None:
        try:
            g.visitor = door.admit(dict(request.headers), request.args, (), clock.now())
        except TurnedAway as turned_away:
            g.visitor = STRANGER
            return None if is_public(request.method, request.path) else _unauthorized(turned_away)
        return None

    app.before_request(ask)


def is_public(method: str, path: str) -> bool:
    """Whether nobody is turned away from there."""
    return method == "OPTIONS" or path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDERS)


def _unauthorized(turned_away: TurnedAway) -> Response:
    response = answer({"detail": turned_away.reason}, 401)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def current_visitor() -> Visitor:
    """Who the current REST request comes from; anybody, in an app whose requests are not checked."""
    visitor: Visitor = g.get("visitor", ANYBODY)
    return visitor


def require(role: Role) -> None:
    """Raises Problem 403 when the current request's visitor lacks the role."""
    if role not in current_visitor().roles:
        raise Problem(403, f"This needs the role {role}")
