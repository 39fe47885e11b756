"""POST /token and GET /test-token, and how guessing at passwords is held off."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import argon2
import msgspec
import pytest
import trio
from argon2.exceptions import VerifyMismatchError
from hypothesis import given
from hypothesis import strategies as st
from quart import Response
from quart_trio import QuartTrio
from structlog.testing import capture_logs

from adapters.roles import Role
from adapters.users import Users
from adapters.web.answers import Problem
from adapters.web.auth import TokenDoor, TurnedAway, Visitor
from adapters.web.tokens import MOST_NAMES, MOST_WAITING, WINDOW, Guesses, tokens_blueprint

SECRET = "a secret of thirty-two bytes or more"
PASSWORD = "correct horse battery staple"
NOON = 1_700_000_000
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
INCORRECT = {"detail": "Incorrect username or password"}


class Watch:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.seconds = float(NOON)

    def now(self) -> int:
        return int(self.seconds * 1_000_000)


class Desk:
    """A bare app with these routes alone, and whoever comes to it."""

    def __init__(self, users: Users | None, secret: str | None = SECRET, **options: Any) -> None:
        self.users, self.clock = users, Watch()
        self.app = QuartTrio(__name__, static_folder=None)
        self.app.register_error_handler(Problem, self._answered)
        options.setdefault("test_endpoints", False)
        self.app.register_blueprint(tokens_blueprint(secret, users, self.clock, **options))
        self.client = self.app.test_client()

    async def _answered(self, problem: Problem) -> Response:
        return problem.answer()

    async def log_in(self, name: str = "ada", password: str = PASSWORD) -> tuple[int, Any, Any]:
        answer = await self.client.post("/token", form={"username": name, "password": password})
        return answer.status_code, msgspec.json.decode(await answer.get_data()), answer.headers

    async def test_token(self) -> tuple[int, Any]:
        answer = await self.client.get("/test-token")
        return answer.status_code, await answer.get_json()


@pytest.fixture
def users(tmp_path: Path) -> Users:
    users = Users(tmp_path / "users", CHEAP)
    users.add("ada", PASSWORD, [Role.AUDITOR])
    return users


@pytest.fixture
def desk(users: Users) -> Desk:
    return Desk(users)


def visitor(token: str, seconds: float = NOON) -> Visitor:
    return TokenDoor(SECRET).admit({}, {"token": token}, (), int(seconds * 1_000_000))


# --- /token -----------------------------------------------------------------------------------------------------


async def test_the_right_password_gives_a_token_of_the_users_roles(desk: Desk) -> None:
    status, body, headers = await desk.log_in()
    assert (status, body.keys()) == (200, {"access_token", "token_type", "expires_in"})
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    assert headers["Cache-Control"] == "no-store"
    admitted = visitor(body["access_token"])
    assert admitted == Visitor("ada", frozenset({Role.CLIENT, Role.AUDITOR}), (NOON + 3600) * 1_000_000)


async def test_a_token_holds_for_its_lifetime(users: Users) -> None:
    _, body, _ = await Desk(users, lifetime=1.5).log_in()
    assert body["expires_in"] == 2
    visitor(body["access_token"], NOON + 1.9)
    with pytest.raises(TurnedAway, match="Invalid or expired token"):
        visitor(body["access_token"], NOON + 2)


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong"), ("eve", PASSWORD), ("", ""), ("a:b", "x"), ("é" * 99, "x")]
)
async def test_a_wrong_name_or_password_is_one_and_the_same_401(desk: Desk, name: str, password: str) -> None:
    status, body, headers = await desk.log_in(name, password)
    assert (status, body) == (401, INCORRECT)
    assert headers["WWW-Authenticate"] == "Bearer"


async def test_without_users_nobody_can_log_in() -> None:
    status, body, headers = await Desk(None).log_in()
    assert (status, body, headers["WWW-Authenticate"]) == (401, INCORRECT, "Bearer")


async def test_without_a_door_tokens_are_made_all_the_same_and_open_no_other_servers_door(users: Users) -> None:
    status, body, _ = await Desk(users, None).log_in()
    assert status == 200
    with pytest.raises(TurnedAway, match="Invalid or expired token"):
        visitor(body["access_token"])


@pytest.mark.parametrize("form", [{}, {"username": "ada"}, {"password": PASSWORD}])
async def test_a_form_with_fields_missing_is_a_422_that_names_them(desk: Desk, form: dict[str, str]) -> None:
    answer = await desk.client.post("/token", form=form)
    named = {fault["loc"][1] for fault in (await answer.get_json())["detail"]}
    assert (answer.status_code, named) == (422, {"username", "password"} - form.keys())


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"username":"ada","password":"x"}'),
        ("application/x-www-form-urlencoded", b"username=\xff&password=\xff"),
        ("multipart/form-data", b"username"),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n--x--"),
        ("", b""),
    ],
)
async def test_what_is_no_form_is_a_422(desk: Desk, kind: str, body: bytes) -> None:
    answer = await desk.client.post("/token", data=body, headers={"Content-Type": kind})
    assert answer.status_code == 422


async def test_a_form_may_come_in_parts(desk: Desk) -> None:
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in
             (("username", "ada"), ("password", PASSWORD))]  # fmt: skip
    body = "".join([*parts, "--x--\r\n"])
    answer = await desk.client.post("/token", data=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 200


async def test_a_form_too_large_for_any_name_and_password_is_a_413(desk: Desk) -> None:
    assert (await desk.log_in(password="x" * 8192))[0] == 413


async def test_a_users_file_that_cannot_be_read_is_a_503_that_tells_the_log_why(desk: Desk, users: Users) -> None:
    users.path.write_text("rubbish")
    with capture_logs() as logs:
        status, body, headers = await desk.log_in()
    assert (status, body) == (503, {"detail": "Passwords cannot be checked now"})
    assert headers["Retry-After"]
    (line,) = logs
    assert line["reason"].startswith(f"{users.path}, line 1: not a user")


# --- guessing ---------------------------------------------------------------------------------------------------


async def test_after_five_wrong_passwords_in_a_minute_the_right_one_is_not_even_looked_at(desk: Desk) -> None:
    for _ in range(5):
        assert (await desk.log_in(password="wrong"))[0] == 401
        desk.clock.seconds += 1
    with capture_logs() as logs:
        status, body, headers = await desk.log_in()
    assert (status, body) == (429, {"detail": "Too many wrong passwords for this name"})
    assert headers["Retry-After"] == "55"
    assert len(logs) == 1
    assert not {"ada", PASSWORD} & set(map(str, logs[0].values()))


async def test_who_comes_back_when_told_is_let_in(desk: Desk) -> None:
    for _ in range(5):
        await desk.log_in(password="wrong")
    _, _, headers = await desk.log_in()
    desk.clock.seconds += int(headers["Retry-After"])
    assert (await desk.log_in())[0] == 200


async def test_the_right_password_forgets_the_wrong_ones(desk: Desk) -> None:
    for _ in range(3):
        for _ in range(4):
            assert (await desk.log_in(password="wrong"))[0] == 401
        assert (await desk.log_in())[0] == 200


async def test_guessing_at_one_name_holds_off_no_other(desk: Desk, users: Users) -> None:
    users.add("bob", PASSWORD)
    for _ in range(6):
        await desk.log_in(password="wrong")
    assert (await desk.log_in("bob"))[0] == 200


async def test_a_name_nobody_has_is_held_off_like_any_other(desk: Desk) -> None:
    answers = [(await desk.log_in("eve", "wrong"))[0] for _ in range(6)]
    assert answers == [401] * 5 + [429]


async def test_what_cannot_be_a_name_is_not_remembered_and_so_never_held_off(desk: Desk) -> None:
    assert [(await desk.log_in("not a name", "wrong"))[0] for _ in range(6)] == [401] * 6


async def test_many_guesses_at_once_are_counted_one_by_one(desk: Desk) -> None:
    answers: list[int] = []

    async def guess() -> None:
        answers.append((await desk.log_in(password="wrong"))[0])

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(guess)
    assert sorted(answers) == [401] * 5 + [429] * 25


async def test_many_log_ins_at_once_of_one_user_are_all_let_in(desk: Desk) -> None:
    answers: list[int] = []

    async def log_in() -> None:
        answers.append((await desk.log_in())[0])

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(log_in)
    assert answers == [200] * 30


class Held(argon2.PasswordHasher):
    """Says no to every password, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:
        assert self.go.wait(10)
        raise VerifyMismatchError


async def test_log_ins_beyond_those_that_may_wait_are_told_to_come_back(users: Users) -> None:
    held, answers, turned_away = Held(), list[int](), trio.Event()
    desk = Desk(Users(users.path, held))

    async def log_in(n: int) -> None:
        status, body, headers = await desk.log_in(f"user{n}")
        answers.append(status)
        if status == 429:
            assert (body["detail"], headers["Retry-After"]) == ("Too many log-ins at once", "1")
        if answers.count(429) == 14:
            turned_away.set()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for n in range(2 + MOST_WAITING + 14):
                nursery.start_soon(log_in, n)
            await turned_away.wait()
            held.go.set()
    assert sorted(answers) == [401] * (2 + MOST_WAITING) + [429] * 14


PAUSES = st.sampled_from([0, WINDOW // 4, WINDOW]) | st.integers(0, WINDOW // 2)


@given(st.lists(st.tuples(st.sampled_from("abc"), PAUSES, st.booleans()), max_size=60))
def test_no_name_is_ever_guessed_at_more_than_five_times_in_a_minute(steps: list[tuple[str, int, bool]]) -> None:
    guesses, now, looked_at = Guesses(), 0, {name: list[int]() for name in "abc"}
    for name, pause, is_right in steps:
        now += pause
        recent = [time for time in looked_at[name] if time > now - WINDOW]
        wait = guesses.begin(name, now)
        assert (wait > 0) == (len(recent) == 5)
        if wait:
            assert wait == (recent[0] + WINDOW - now) / 1_000_000
        elif is_right:
            guesses.forget(name)
            looked_at[name].clear()
        else:
            looked_at[name].append(now)


def test_the_names_remembered_are_bounded_and_the_oldest_go_first() -> None:
    guesses = Guesses()
    for n in range(MOST_NAMES + 10):
        for _ in range(5):
            guesses.begin(f"user{n}", n)
    assert len(guesses) == MOST_NAMES
    assert guesses.begin(f"user{MOST_NAMES + 9}", MOST_NAMES + 9) > 0
    assert guesses.begin("user0", MOST_NAMES + 9) == 0


def test_a_name_still_guessed_at_is_not_the_one_that_is_forgotten() -> None:
    guesses = Guesses()
    for n in range(MOST_NAMES):
        guesses.begin(f"user{n}", n)
    for _ in range(4):
        guesses.begin("user0", MOST_NAMES)
    guesses.begin("one more", MOST_NAMES)
    assert guesses.begin("user0", MOST_NAMES) > 0


# --- /test-token ------------------------------------------------------------------------------------------------


async def test_a_test_token_opens_the_door_as_a_client() -> None:
    status, body = await Desk(None, test_endpoints=True).test_token()
    assert (status, body.keys()) == (200, {"test_token", "note"})
    assert visitor(body["test_token"]) == Visitor("test-user", frozenset({Role.CLIENT}), (NOON + 3600) * 1_000_000)
    assert body["note"].startswith("Opens this server")


async def test_without_a_door_the_note_says_that_no_token_is_needed() -> None:
    status, body = await Desk(None, None, test_endpoints=True).test_token()
    assert status == 200
    assert body["note"].startswith("This server asks for no token; signed with a secret of this process")
    with pytest.raises(TurnedAway, match="Invalid or expired token"):
        visitor(body["test_token"])


async def test_there_is_no_test_token_where_test_endpoints_are_off(desk: Desk) -> None:
    assert (await desk.client.get("/test-token")).status_code == 404
