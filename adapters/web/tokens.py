"""Where tokens come from: POST /token for a name and its password, GET /test-token for trying things out."""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict, deque

import jwt
import structlog
import trio
from msgspec import Struct
from quart import Blueprint, Response, request

from adapters.roles import Role
from adapters.users import BadUsers, Users, may_be_name
from adapters.web.answers import Problem, answer, unprocessable
from adapters.web.auth import ALGORITHM
from adapters.web.described import FORM, Content, described
from core.ports import Clock

MOST_FORM_BYTES = 8192
MOST_GUESSES = 5
"""Wrong passwords for one name within the WINDOW."""
WINDOW = 60_000_000
"""µs."""
MOST_NAMES = 10_000
"""Names whose wrong passwords are remembered. More cannot become wrong within the window, as slow as looking is."""
MOST_WAITING = 64
"""Log-ins that may wait for one of the places where passwords are looked at."""
TEST_VISITOR = "test-user"

log = structlog.get_logger("callboard.tokens")


class Credentials(Struct, frozen=True):
    """Further fields of RFC 6749's form (grant_type, …) may be sent, and say nothing here."""

    username: str
    password: str


class Token(Struct, frozen=True):
    """`expires_in` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int


class TestToken(Struct, frozen=True):
    test_token: str
    note: str


def tokens_blueprint(
    door_secret: str | None, users: Users | None, clock: Clock, *, test_endpoints: bool, lifetime: float = 3600
) -> Blueprint:
    """The routes of contracts/shipping.md. Tokens are signed with `door_secret`, or with a secret of this process alone
    where there is no door to open, and hold for `lifetime` seconds.
    """
    blueprint = Blueprint("tokens", __name__)
    mint = Mint(door_secret, clock, lifetime)
    desk = LogIn(users, clock)

    @blueprint.post("/token")
    @described(Token, 401, 411, 503, body=Content(FORM, Credentials))
    async def get_token() -> Response:
        """A token for a name and its password."""
        given = await _credentials()
        roles = await desk.roles(given.username, given.password)
        if roles is None:
            return _incorrect()
        token = Token(mint.token(given.username, roles), "bearer", mint.lifetime)
        return _unstored(answer(token))

    if test_endpoints:

        @blueprint.get("/test-token")
        @described(TestToken)
        async def get_test_token() -> Response:
            """A token for trying things out."""
            token = mint.token(TEST_VISITOR, frozenset({Role.CLIENT}))
            return _unstored(answer(TestToken(token, mint.note)))

    return blueprint


class Mint:
    """Makes tokens."""

    def __init__(self, secret: str | None, clock: Clock, lifetime: float) -> None:
        self.lifetime = math.ceil(lifetime)
        opens = "Opens this server" if secret else "This server asks for no token; signed with a secret of this process"
        self.note = f"{opens}, as {TEST_VISITOR}, for {self.lifetime} seconds. For tests only."
        self._secret = secret or secrets.token_hex(32)
        self._clock = clock

    def token(self, subject: str, roles: frozenset[Role]) -> str:
        now = self._clock.now() // 1_000_000
        claims = {
            "sub": subject,
            "iat": now,
            "exp": now + self.lifetime,
            "roles": [role for role in Role if role in roles],
        }
        return jwt.encode(claims, self._secret, ALGORITHM)


class LogIn:
    """Looks at names and passwords, and holds off who guesses."""

    def __init__(self, users: Users | None, clock: Clock) -> None:
        self._users, self._clock = users, clock
        self._guesses = Guesses()
        self._places = trio.CapacityLimiter(2)

    async def roles(self, name: str, password: str) -> frozenset[Role] | None:
        """The user's roles; None for a wrong name or password. Raises Problem 429, 503."""
        if self._users is None:
            return None
        if self._places.statistics().tasks_waiting >= MOST_WAITING:
            raise Problem(429, "Too many log-ins at once", 1.0)
        # A guess is counted in here, where few are at a time, so that many at once are counted one by one too.
        async with self._places:
            return await self._looked_up(self._users, name, password)

    async def _looked_up(self, users: Users, name: str, password: str) -> frozenset[Role] | None:
        if may_be_name(name) and (pause := self._guesses.begin(name, self._clock.now())):
            log.warning("guessing at a password is held off", client=request.remote_addr)
            raise Problem(429, "Too many wrong passwords for this name", pause)
        try:
            roles = await users.verify(name, password)
        except BadUsers as bad:
            log.error("nobody can log in", reason=str(bad))  # noqa: TRY400  # the reason is all there is to say
            raise Problem(503, "Passwords cannot be checked now", 10.0) from None
        if roles is not None:
            self._guesses.forget(name)
        return roles


class Guesses:
    """When wrong passwords were tried, by name. Names nobody has are treated alike, and so betray nothing."""

    def __init__(self) -> None:
        self._tried: OrderedDict[str, deque[int]] = OrderedDict()

    def begin(self, name: str, now: int) -> float:
        """Count a try at `now` (µs) and return 0, or the seconds to wait before the next."""
        tried = self._tried.setdefault(name, deque())
        while tried and tried[0] <= now - WINDOW:
            tried.popleft()
        if len(tried) >= MOST_GUESSES:
            return (tried[0] + WINDOW - now) / 1_000_000
        tried.append(now)
        self._tried.move_to_end(name)
        if len(self._tried) > MOST_NAMES:
            self._tried.popitem(last=False)
        return 0.0

    def forget(self, name: str) -> None:
        """The password was right."""
        self._tried.pop(name, None)

    def __len__(self) -> int:
        return len(self._tried)


async def _credentials() -> Credentials:
    """Name and password of the request's form. Raises Problem 411, 413, 422."""
    if "Transfer-Encoding" in request.headers:
        raise Problem(411, "A log-in states its length")  # so that too much is refused before any of it is kept
    if (request.content_length or 0) > MOST_FORM_BYTES or len(await request.get_data()) > MOST_FORM_BYTES:
        raise Problem(413, "Request Entity Too Large")
    form = await request.form
    if missing := [field for field in ("username", "password") if field not in form]:
        raise unprocessable(*((("body", field), "Field required") for field in missing))
    return Credentials(form["username"], form["password"])


def _incorrect() -> Response:
    response = answer({"detail": "Incorrect username or password"}, 401)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _unstored(response: Response) -> Response:
    """No cache may keep a token (RFC 6749, 5.1)."""
    response.headers["Cache-Control"] = "no-store"
    return response
