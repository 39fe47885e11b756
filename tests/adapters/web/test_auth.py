"""The door: which tokens open it, for whom, and what is said to those it does not open for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import string
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quart import Blueprint, Quart, Response
from quart_trio import QuartTrio
from structlog.testing import capture_logs

from actors.system import open_system
from adapters.web.answers import Problem, answer
from adapters.web.auth import (
    Door,
    OpenDoor,
    Role,
    TokenDoor,
    TurnedAway,
    Visitor,
    check_requests,
    current_visitor,
    require,
)
from adapters.web.conversations import conversations_blueprint
from adapters.web.cors import allow_origins
from adapters.web.settings import WebSettings
from core.conversation import conversation
from core.identifiers import Category
from eventstore.memory import MemoryStore
from tests.actors.toys import Numbers

SECRET = "a secret of thirty-two bytes or more"
NOW = 1_700_000_000
"""Seconds; the doors are asked in µs."""
NO_TOKEN, INVALID, NO_SUBJECT = "Missing authentication token", "Invalid or expired token", "Invalid token payload"
REASONS = {NO_TOKEN, INVALID, NO_SUBJECT}
CLIENT = frozenset({Role.CLIENT})


class Noon:
    """A clock that stands still."""

    def now(self) -> int:
        return NOW * 1_000_000


def token_of(secret: str = SECRET, **claims: Any) -> str:
    return jwt.encode({"sub": "ada"} | claims, secret, "HS256")


def token_with(claim: str, value: Any) -> str:
    return jwt.encode({"sub": "ada", claim: value}, SECRET, "HS256")


def signed(header: Mapping[str, Any], payload: bytes, key: str = SECRET) -> str:
    """A token with a genuine signature over whatever stands in it."""
    parts = [part64(msgspec.json.encode(header)), part64(payload)]
    signature = hmac.digest(key.encode(), ".".join(parts).encode(), hashlib.sha256)
    return ".".join([*parts, part64(signature)])


def part64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def admitted(
    token: str | None = None, *, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = (),
    now: float = NOW,
) -> Visitor:  # fmt: skip
    query = {} if token is None else {"token": token}
    return TokenDoor(SECRET).admit(headers or {}, query, subprotocols, int(now * 1_000_000))


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(TurnedAway) as turned_away:
        admitted(*arguments, **options)
    assert turned_away.value.reason in REASONS
    return turned_away.value.reason


# --- who comes --------------------------------------------------------------------------------------------------


def test_an_open_door_admits_anybody_to_everything_for_ever() -> None:
    visitor = OpenDoor().admit({}, {"token": "rubbish"}, (), 0)
    assert visitor == Visitor("anonymous", frozenset(Role), None)


def test_the_subject_is_the_principal_and_a_client() -> None:
    assert admitted(token_of()) == Visitor("ada", CLIENT, None)


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"role": "operator"}, {Role.OPERATOR}),
        ({"roles": ["auditor", "operator"]}, {Role.AUDITOR, Role.OPERATOR}),
        ({"role": "auditor", "roles": ["operator"]}, {Role.AUDITOR, Role.OPERATOR}),
        ({"role": "admin"}, set()),
        ({"roles": ["root", 7, None, ["auditor"], {}]}, set()),
        ({"roles": []}, set()),
        ({"roles": "auditor"}, set()),  # a text is no list, and its letters are no roles
        ({"roles": "client operator"}, set()),
        ({"roles": {"auditor": True}}, set()),
        ({"roles": 7}, set()),
        ({"role": ["auditor"]}, set()),
        ({"role": None, "roles": None}, set()),
        ({"role": "AUDITOR"}, set()),
    ],
)
def test_known_roles_count_and_everybody_is_a_client(claims: dict[str, Any], roles: set[Role]) -> None:
    assert admitted(token_of(**claims)).roles == roles | CLIENT


@pytest.mark.parametrize(
    "subject",
    [None, "", "   ", 7, True, ["ada"], {"name": "ada"}, "x" * 257, "two\nlines", "nul\0", "\ud800", "\x1b[31m"],
)
def test_a_genuine_token_without_a_usable_subject_is_an_invalid_payload(subject: Any) -> None:
    assert refused(jwt.encode({"sub": subject}, SECRET, "HS256")) == NO_SUBJECT


def test_a_token_without_a_subject_is_an_invalid_payload() -> None:
    assert refused(jwt.encode({"role": "auditor"}, SECRET, "HS256")) == NO_SUBJECT


@pytest.mark.parametrize("subject", ["x" * 256, "Ada Lovelace", "ada@example.com", "Ådå", "艾达"])
def test_any_text_on_one_line_is_a_subject(subject: str) -> None:
    assert admitted(token_of(sub=subject)).principal == subject


# --- time -------------------------------------------------------------------------------------------------------


def test_a_token_holds_until_its_expiry_and_not_at_it() -> None:
    assert admitted(token_of(exp=NOW + 1)).expires_at == (NOW + 1) * 1_000_000
    assert refused(token_of(exp=NOW)) == INVALID
    assert refused(token_of(exp=NOW - 1)) == INVALID


def test_an_expiry_may_have_a_fraction() -> None:
    token = token_of(exp=NOW + 0.5)
    assert admitted(token, now=NOW + 0.499999).expires_at == NOW * 1_000_000 + 500_000
    assert refused(token, now=NOW + 0.5) == INVALID


def test_the_given_time_counts_and_not_the_machines() -> None:
    long_ago = token_of(exp=1_000)
    assert admitted(long_ago, now=999).principal == "ada"
    assert refused(token_of(exp=9_000_000_000), now=9_000_000_000) == INVALID


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_of_the_future_is_not_yet_valid(claim: str) -> None:
    assert refused(token_with(claim, NOW + 31)) == INVALID
    assert admitted(token_with(claim, NOW + 29)).principal == "ada", "clocks differ a little"


def test_nobody_is_called_as_those_are_of_whom_no_name_is_asked() -> None:
    assert refused(token_with("sub", "anonymous")) == "Invalid token payload"


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("time", ["1900000000", None, True, [], {}, float("nan")])
def test_a_time_that_is_no_number_is_refused(claim: str, time: Any) -> None:
    assert refused(token_with(claim, time)) == INVALID


@pytest.mark.parametrize("far", [10**400, 1e308, float("inf"), 10**12])
def test_an_expiry_beyond_all_calendars_is_a_time_one_can_still_reckon_with(far: float) -> None:
    expires_at = admitted(token_of(exp=far)).expires_at
    assert expires_at is not None
    assert expires_at < 2**63


@pytest.mark.parametrize("far", [-(10**400), -1e308, float("-inf")])
def test_an_expiry_before_all_calendars_is_past(far: float) -> None:
    assert refused(token_of(exp=far)) == INVALID


# --- where the token stands -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_header_may_be_written_in_any_case(name: str, scheme: str) -> None:
    assert admitted(headers={name: f"{scheme} {token_of()}"}).principal == "ada"


def test_the_header_comes_first_then_the_subprotocols_then_the_query() -> None:
    one, two, three = (token_of(sub=name) for name in ("one", "two", "three"))
    header = {"Authorization": f"Bearer {one}"}
    assert admitted(three, headers=header, subprotocols=("bearer", two)).principal == "one"
    assert admitted(three, subprotocols=("bearer", two)).principal == "two"
    assert admitted(three).principal == "three"


def test_only_the_first_token_counts() -> None:
    assert refused(token_of(), headers={"Authorization": "Bearer rubbish"}) == INVALID
    assert refused(token_of(), subprotocols=("bearer", "rubbish")) == INVALID


def test_other_credentials_are_passed_over() -> None:
    assert admitted(token_of(), headers={"Authorization": "Basic YWRhOmFkYQ=="}).principal == "ada"
    assert admitted(token_of(), subprotocols=("chat", "superchat")).principal == "ada"


def test_bearer_may_stand_among_other_subprotocols() -> None:
    assert admitted(subprotocols=("chat", "bearer", token_of(), "superchat")).principal == "ada"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"token": ""},
        {"headers": {"Authorization": ""}},
        {"headers": {"Authorization": "Bearer"}},
        {"headers": {"Authorization": "Bearer "}},
        {"headers": {"Authorization": "Basic YWRhOmFkYQ=="}},
        {"subprotocols": ("bearer",)},
        {"subprotocols": (token_of(),)},
        {"subprotocols": ("chat", "bearer")},
    ],
)
def test_no_token_is_told_so(options: dict[str, Any]) -> None:
    assert refused(**options) == NO_TOKEN


# --- what is no token of ours -----------------------------------------------------------------------------------


def test_another_secret_opens_no_door() -> None:
    assert refused(token_of("another secret of thirty-two bytes")) == INVALID


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 0, ["HS256"], {"HS256": 1}])
@pytest.mark.parametrize("signature", ["", "AA", "genuine"])
def test_a_token_without_an_algorithm_is_refused(algorithm: Any, signature: str) -> None:
    head, body, genuine = signed({"alg": algorithm, "typ": "JWT"}, b'{"sub":"ada"}').split(".")
    assert refused(f"{head}.{body}.{genuine if signature == 'genuine' else signature}") == INVALID


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "EdDSA", "HS384", "HS512", "hs256", "RS256 "])
def test_a_token_of_another_algorithm_is_refused_although_our_secret_signed_it(algorithm: str) -> None:
    """The confusion of RFC 8725, 2.1: a key of one algorithm taken for another's."""
    assert refused(signed({"alg": algorithm}, b'{"sub":"ada"}')) == INVALID


def test_a_public_key_is_no_secret() -> None:
    """Whoever knows the public key could sign with it."""
    pem = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL\n-----END PUBLIC KEY-----\n"
    with pytest.raises(ValueError, match="PEM"):
        TokenDoor(pem)


def test_a_short_secret_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="32 bytes") as error:
        TokenDoor("too short")
    assert "too short" not in str(error.value)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "b64": False},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
        {"alg": "HS256", "crit": ["of-tomorrow"], "of-tomorrow": 1},
        {"alg": "HS256", "crit": "b64"},
        {"alg": "HS256", "kid": 7},
        {"typ": "JWT"},
        {},
    ],
)
def test_a_header_that_asks_for_what_we_do_not_do_is_refused(header: dict[str, Any]) -> None:
    assert refused(signed(header, b'{"sub":"ada"}')) == INVALID


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"ada"',
        b"null",
        b"7",
        b"{",
        b"\xff\xfe",
        b'{"sub":"ada"',
        b"[" * 5000,
        b'{"exp":%b}' % (b"9" * 5000),
    ],
)
def test_a_genuine_signature_over_rubbish_is_refused(payload: bytes) -> None:
    assert refused(signed({"alg": "HS256"}, payload)) == INVALID


def test_a_token_for_another_audience_is_refused() -> None:
    assert refused(token_of(aud="another server")) == INVALID


def test_an_overlong_token_is_refused_unread() -> None:
    assert refused(token_of(padding="x" * 8192)) == INVALID


@given(st.data())
def test_a_mutated_token_is_never_admitted(data: st.DataObject) -> None:
    genuine = token_of(exp=NOW + 60, roles=["auditor"])
    place = data.draw(st.integers(0, len(genuine)))
    until = data.draw(st.integers(place, min(place + 8, len(genuine))))
    letters = st.sampled_from(string.ascii_letters + string.digits + "-_.=+/ \n%é")
    mutated = genuine[:place] + data.draw(st.text(letters, max_size=8)) + genuine[until:]
    if mutated != genuine:
        assert refused(mutated) in {INVALID, NO_TOKEN}
        assert refused(subprotocols=("bearer", mutated)) in {INVALID, NO_TOKEN}
        assert refused(headers={"Authorization": f"Bearer {mutated}"}) in {INVALID, NO_TOKEN}


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_any_other_text_is_never_admitted(text: str) -> None:
    assert refused(text) == INVALID


@given(st.integers(0, 42), st.sampled_from("=."))
def test_a_token_has_one_spelling_only(bits: int, padding: str) -> None:
    """Nothing may be put behind it, and the bits its last letter leaves unused must be as they were."""
    genuine = token_of()
    assert refused(genuine + padding * (1 + bits % 3)) == INVALID
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    others = [letter for letter in alphabet if letter != genuine[-1]]
    assert refused(genuine[:-1] + others[bits]) == INVALID


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
CLAIM = JSON | st.sampled_from(["ada", NOW - 1, NOW + 1, "client", ["client"]])


@given(st.dictionaries(st.sampled_from(["sub", "exp", "nbf", "iat", "role", "roles", "aud", "iss", "jti"]), CLAIM))
def test_whatever_a_genuine_token_claims_ends_in_a_visitor_or_a_reason(claims: dict[str, Any]) -> None:
    try:
        token = jwt.encode(claims, SECRET, "HS256")
    except TypeError:
        return  # what PyJWT itself would not write
    try:
        visitor = admitted(token)
    except TurnedAway as turned_away:
        outcome = turned_away.reason
    else:
        outcome = visitor.principal
        assert visitor.roles == CLIENT
    assert outcome in [*REASONS, claims.get("sub")]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4))
def test_no_reason_and_no_log_ever_holds_the_token(text: str) -> None:
    expired = token_of(exp=NOW - 1, note=text)
    for token in (text, expired, signed({"alg": "none"}, b'{"sub":"ada"}', SECRET + text)):
        with capture_logs() as logs, pytest.raises(TurnedAway) as turned_away:
            admitted(token)
        assert turned_away.value.reason in REASONS
        assert turned_away.value.__cause__ is None
        assert not logs


# --- requests ---------------------------------------------------------------------------------------------------


def app_behind(door: Door | None) -> QuartTrio:
    """A bare app that tells who comes, and an audit route."""
    app = QuartTrio(__name__, static_folder=None)
    allow_origins(app, ("https://app.example.com",))
    if door is not None:
        check_requests(app, door, Noon())
    routes = Blueprint("routes", __name__)

    async def who() -> Response:
        visitor = current_visitor()
        return answer({"principal": visitor.principal, "roles": sorted(visitor.roles)})

    async def audit() -> Response:
        require(Role.AUDITOR)
        return answer({"history": []})

    for path in ("/who", "/health", "/ready", "/static/callboard.js"):
        routes.add_url_rule(path, path[1:].replace("/", "_").replace(".", "_"), who)
    routes.add_url_rule("/audit", "audit", audit)
    app.register_blueprint(routes)
    _answer_problems(app)
    return app


def _answer_problems(app: Quart) -> None:
    @app.errorhandler(Problem)
    async def problem(error: Problem) -> Response:
        return error.answer()


async def asked(door: Door | None, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, Any]:
    client = app_behind(door).test_client()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    ask = {"GET": client.get, "OPTIONS": client.options, "DELETE": client.delete}[method]
    response = await ask(path, headers=names)
    body = await response.get_data(as_text=True)
    return response.status_code, msgspec.json.decode(body) if body else None, response.headers


async def test_a_request_with_a_token_is_its_subjects() -> None:
    status, body, _ = await asked(TokenDoor(SECRET), "/who", Authorization=f"Bearer {token_of()}")
    assert (status, body) == (200, {"principal": "ada", "roles": ["client"]})


async def test_a_request_may_have_its_token_in_the_query() -> None:
    status, body, _ = await asked(TokenDoor(SECRET), f"/who?token={token_of()}")
    assert (status, body["principal"]) == (200, "ada")


@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, NO_TOKEN), ("rubbish", INVALID), (token_of(exp=1), INVALID), (token_of(sub=""), NO_SUBJECT)],
)
async def test_a_request_turned_away_is_a_401_with_the_reason(token: str | None, reason: str) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with capture_logs() as logs:
        status, body, answered = await asked(TokenDoor(SECRET), "/who", **headers)
    assert (status, body) == (401, {"detail": reason})
    assert answered["WWW-Authenticate"] == "Bearer"
    assert token is None or token not in str(answered) + str(logs)


async def test_a_path_there_is_not_is_turned_away_as_any_other() -> None:
    assert (await asked(TokenDoor(SECRET), "/nowhere"))[0] == 401
    assert (await asked(TokenDoor(SECRET), "/who", "DELETE"))[0] == 401


async def test_a_page_elsewhere_can_read_why_it_was_turned_away() -> None:
    _, _, headers = await asked(TokenDoor(SECRET), "/who", Origin="https://app.example.com")
    assert headers["Access-Control-Allow-Origin"] == "https://app.example.com"


@pytest.mark.parametrize("path", ["/health", "/ready", "/static/callboard.js"])
async def test_a_public_path_asks_for_no_token_and_gives_no_role(path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer rubbish"}):
        status, body, _ = await asked(TokenDoor(SECRET), path, **headers)
        assert (status, body) == (200, {"principal": "anonymous", "roles": []})


@pytest.mark.parametrize("path", ["/healthy", "/health/", "/static", "/staticky", "/api/static/x"])
async def test_what_only_looks_like_a_public_path_is_not(path: str) -> None:
    assert (await asked(TokenDoor(SECRET), path))[0] == 401


async def test_a_preflight_is_answered_without_a_token() -> None:
    asks = {"Origin": "https://app.example.com", "Access_Control_Request_Method": "GET"}
    status, _, headers = await asked(TokenDoor(SECRET), "/who", "OPTIONS", **asks)
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "WWW-Authenticate" not in headers


async def test_what_a_path_allows_may_be_asked_without_a_token() -> None:
    status, _, headers = await asked(TokenDoor(SECRET), "/who", "OPTIONS")
    assert (status, "GET" in headers["Allow"]) == (200, True)


async def test_a_role_that_is_needed_and_lacking_is_a_403() -> None:
    status, body, _ = await asked(TokenDoor(SECRET), "/audit", Authorization=f"Bearer {token_of(role='operator')}")
    assert (status, body) == (403, {"detail": "This needs the role auditor"})
    assert (await asked(TokenDoor(SECRET), "/audit", Authorization=f"Bearer {token_of(role='auditor')}"))[0] == 200


@pytest.mark.parametrize("door", [None, OpenDoor()])
async def test_where_nobody_is_asked_everybody_may_do_everything(door: Door | None) -> None:
    assert (await asked(door, "/who"))[1] == {"principal": "anonymous", "roles": sorted(Role)}
    assert (await asked(door, "/audit"))[0] == 200


@pytest.mark.parametrize(
    ("door", "principal"), [(TokenDoor(SECRET), "ada"), (OpenDoor(), "anonymous"), (None, "anonymous")]
)
@pytest.mark.parametrize("path", ["/api/v2/conversations", "/api/conversation"])
async def test_what_a_rest_request_does_is_recorded_under_its_principal(
    door: Door | None, principal: str, path: str
) -> None:
    store, app = MemoryStore(), app_behind(door)
    async with open_system(
        store, deciders={Category.CONVERSATION: conversation}, performers={}, clock=Noon(), identifiers=Numbers()
    ) as system:
        settings = WebSettings(response_timeout=0.0, answer_margin=0.0)  # nobody answers here
        app.register_blueprint(conversations_blueprint(system, settings))
        headers = {"Authorization": f"Bearer {token_of()}"}
        await app.test_client().post(path, json={"message": "Ahoy!"}, headers=headers)
        records = await store.read_all()
    assert {record.stamp.principal for record in records if record.stamp.causation_id is None} == {principal}
