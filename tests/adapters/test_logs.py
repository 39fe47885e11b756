"""The server's own log: one JSON object a line, with what is bound to the task, and without any secret."""

from __future__ import annotations

import base64
import json
import logging
import string
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from adapters import logs
from adapters.redaction import MOST_RECORD, MOST_TEXT, REDACTED, is_secret, redacted

Say = Callable[[Any], object]

FORMATS = pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])


def written(say: Say, *, as_json: bool = True) -> str:
    """What `say` writes to the log when it is given a logger."""
    out = StringIO()
    with redirect_stderr(out):
        logs.configure(as_json=as_json)
        say(structlog.get_logger("callboard.test"))
    return out.getvalue()


def records(say: Say) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(say).splitlines()]


class Parcel(msgspec.Struct):
    label: str


def fail(error: Exception, cause: Exception | None = None) -> None:
    raise error from cause


def tell_exception(log: Any, error: Exception) -> None:
    try:
        fail(error)
    except Exception:
        log.exception("it failed")


# --- one line a record ------------------------------------------------------------------------------------------


def test_a_record_is_one_line_of_json_with_level_and_time() -> None:
    (record,) = records(lambda log: log.warning("two\nlines", stream="conversation-1", number=3))
    assert record["event"] == "two\nlines"
    assert (record["level"], record["stream"], record["number"]) == ("warning", "conversation-1", 3)
    assert record["timestamp"].endswith("Z")


def test_an_exception_is_part_of_its_line() -> None:
    (record,) = records(lambda log: tell_exception(log, ExceptionGroup("both", [ValueError("a"), KeyError("b")])))
    (trace,) = record["exception"]
    assert trace["exc_type"] == "ExceptionGroup"
    assert [inner[0]["exc_value"] for inner in trace["exceptions"]] == ["a", "'b'"]
    assert trace["frames"][0]["name"] == "tell_exception"
    assert "locals" not in trace["frames"][0]


def test_what_is_bound_to_the_task_is_in_every_record() -> None:
    def say(log: Any) -> None:
        with structlog.contextvars.bound_contextvars(correlation_id="r-1"):
            log.info("inside")
            logging.getLogger("callboard.server").warning("of the standard library")
        log.info("outside")

    inside, foreign, outside = records(say)
    assert inside["correlation_id"] == foreign["correlation_id"] == "r-1"
    assert foreign["event"] == "of the standard library"
    assert "correlation_id" not in outside


def test_values_that_are_not_json_are_written_as_something_that_is() -> None:
    class Sulky:
        def __repr__(self) -> str:
            raise RuntimeError

    odd = {"nan": float("nan"), "set": {1}, "bytes": b"x", "struct": Parcel("p"), "sulky": Sulky(), "half": "\ud800"}
    (record,) = records(lambda log: log.info("odd", **odd, huge=1 << 20_000))
    assert (record["nan"], record["set"], record["bytes"]) == ("nan", [1], "b'x'")
    assert (record["struct"], record["sulky"]) == ("Parcel(label='p')", "<Sulky without a repr>")


def test_nobody_can_forge_a_line_or_move_the_cursor_of_a_console() -> None:
    text = written(lambda log: log.info("a\n2026 [info] forged \x1b[2J", path="/x\x1b]0;y\x07"), as_json=False)
    assert len(text.splitlines()) == 1
    assert "\\x1b[2J" in text
    assert "\\x1b]0;y\\x07" in text


def test_a_console_shows_a_traceback_on_lines_of_its_own() -> None:
    text = written(lambda log: tell_exception(log, ValueError("what it was")), as_json=False)
    assert "ValueError: what it was" in text.splitlines()
    assert "Traceback (most recent call last):" in text.splitlines()


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "no_color", "is_colored"),
    [(Terminal(), "", True), (Terminal(), "1", False), (StringIO(), "", False)],
    ids=["terminal", "NO_COLOR", "file"],
)
def test_a_console_has_colors_on_a_terminal_alone_and_where_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch, out: StringIO, no_color: str, is_colored: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    with redirect_stderr(out):
        logs.configure(as_json=False)
        structlog.get_logger("callboard.test").info("said", number=3)
        logging.getLogger("callboard.server").warning("of the standard library")
    assert "said" in out.getvalue()
    assert ("\x1b[" in out.getvalue()) == is_colored


# --- no secrets -------------------------------------------------------------------------------------------------

opaque = st.text(string.ascii_letters + string.digits + "-._~%+/", min_size=10, max_size=60).filter(
    lambda token: not token.startswith("%") and token.strip(".")
)


def part(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


jwts = st.tuples(st.text(max_size=40), st.binary(min_size=32, max_size=32)).map(
    lambda made: ".".join(
        [part('{"alg":"HS256","typ":"JWT"}'), part(json.dumps({"sub": made[0]})), part(made[1].hex())]
    )
)
HIDDEN = (
    "GET /ws?token={} HTTP/1.1", "/api/x?since=3&access_token={}#end", "wss://host/ws?api_key={}&since=4",
    "token={}", "b'since=2&token={}'", "next=%2Fws%3Ftoken%3D{}", "Authorization: Bearer {}", "authorization: Basic {}",
    "Authorization: Digest username=x, response={}, opaque=y", "Bearer {} was refused", "bearer, {}",
    "['bearer', '{}']", "[(b'authorization', b'Bearer {}'), (b'host', b'x')]", "{{'token': '{}'}}",
    '{{"access_token": "{}", "type": "bearer"}}', '"{{\\"password\\": \\"{}\\"}}"', "connect(secret='{}')",
    "postgres://callboard:{}@host/log", "jwt_secret={}", "TOKEN={}",
)  # fmt: skip
"""Texts in which anything put into the gap is a secret. A URL's password has no slash in it, and no percent sign."""
SECRET_KEYS = ("token", "password", "secret", "authorization", "api_key", "Authorization", "jwt_secret", "accessToken")


def fits(template: str, token: str) -> bool:
    return "@host" not in template or "/" not in token


def put(text: str, key: str, token: str) -> list[Say]:
    """Every place of a record a text can be put in, and fields of a secret's name."""
    return [
        lambda log: log.info(text),
        lambda log: log.info("a %s b", text),
        lambda log: log.info("said", path=text),
        lambda log: log.info("said", deep={"list": [1, (text, {text: None})]}),
        lambda log: log.info("said", raw=text.encode(), parcel=Parcel(text), error=ValueError(text)),
        lambda log: tell_exception(log, ValueError(text)),
        lambda log: tell_exception(log, ExceptionGroup(text, [OSError(5, text), ExceptionGroup("in", [Note(text)])])),
        lambda log: logging.getLogger("callboard.server").error("failed: %s", text),
        lambda log: logging.getLogger("callboard.server").error("failed", exc_info=chained(text)),
        lambda log: log.info("said", **{key: token}),
        lambda log: log.info("said", headers={key: [token]}, listed=[(key.encode(), token.encode()), [key, token]]),
    ]


class Note(Exception):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.add_note(text)


def chained(text: str) -> Exception:
    try:
        fail(RuntimeError("because"), KeyError(text))
    except RuntimeError as error:
        return error
    raise AssertionError


@FORMATS
@given(token=opaque | jwts, template=st.sampled_from(HIDDEN), key=st.sampled_from(SECRET_KEYS), at=st.integers(0, 10))
def test_a_token_never_appears_wherever_it_is_put(as_json: bool, token: str, template: str, key: str, at: int) -> None:
    if fits(template, token):
        text = written(put(template.format(token), key, token)[at], as_json=as_json)
        assert text
        assert token not in text


@FORMATS
@given(token=jwts, before=st.text(max_size=30), after=st.text(max_size=30), at=st.integers(0, 8))
def test_a_jwt_never_appears_whatever_is_around_it(as_json: bool, token: str, before: str, after: str, at: int) -> None:
    text = written(put(before + token + after, "any", "")[at], as_json=as_json)
    assert token.rpartition(".")[2] not in text


@pytest.mark.parametrize("template", HIDDEN)
@pytest.mark.parametrize("length", range(MOST_TEXT - 60, MOST_TEXT + 5, 4))
def test_a_token_is_not_shown_in_part_where_a_text_is_cut(template: str, length: int) -> None:
    token = "q7".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    text = redacted("x" * (length - len(template)) + " " + template.format(token))
    assert "Aq7B" not in text


@given(st.text())
def test_redacting_twice_is_redacting_once(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v2/conversations?since=3&epoch=abc HTTP/1.1",
        "http://127.0.0.1:8000/health",
        "Missing authentication token",
        "3 tokens were given to the model",
        "conversation-0190f1d2-7f0e-7c3e-9c1b-3f4c5d6e7f80@17",
        "an actor cannot recover yet",
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert redacted(text) == text


def test_the_parameters_around_a_token_are_still_to_be_read() -> None:
    text = redacted("/ws?since=3&token=abcdef&epoch=e1 closed")
    assert text == f"/ws?since=3&token={REDACTED}&epoch=e1 closed"


def test_a_field_is_secret_by_the_end_of_its_name() -> None:
    assert all(map(is_secret, ("token", "Access-Token", "api-key", "apiKey", "jwt_secret", "Set-Cookie")))
    assert not any(map(is_secret, ("tokens", "token_count", "keys", "secretary", "event", "passwords_seen")))


def test_whether_there_was_a_token_may_be_read() -> None:
    (record,) = records(lambda log: log.info("said", token=None, password=False, secret=""))
    assert (record["token"], record["password"], record["secret"]) == (None, False, REDACTED)


# --- bounded ----------------------------------------------------------------------------------------------------

LARGE = 4_000_000
NASTY = ("a", "token", "token=", "eyJ", "://", "://a:", "bearer ", "authorization", '"', "\\", "token\\", "%3D", "' ")


@pytest.mark.parametrize("piece", NASTY)
@FORMATS
def test_a_record_is_bounded_in_size_and_time_whatever_is_in_it(piece: str, as_json: bool) -> None:
    text = piece * (LARGE // len(piece))
    fields: dict[str, Any] = {f"f{n}": text for n in range(40)}
    began = time.process_time()
    out = written(
        lambda log: log.info(text, **fields, correlation_id="r-1", many=[[text] * 1000] * 1000), as_json=as_json
    )
    assert time.process_time() - began < 2.0
    assert len(out) < 8 * MOST_RECORD
    assert "correlation_id" in out


def test_what_holds_itself_is_written_to_a_depth() -> None:
    loop: list[Any] = []
    loop.append(loop)
    (record,) = records(lambda log: log.info("loop", loop=loop))
    assert record["loop"][0][0]
