"""Which pages may open a WebSocket, DNS rebinding included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.web.origins import may_come_from

ALLOWED = frozenset({"http://localhost:3000", "https://app.example.com"})
HERE = "127.0.0.1:8000"


@pytest.mark.parametrize("origin", [None, ""])
@pytest.mark.parametrize("host", [None, HERE, "evil.example"])
def test_who_is_no_browser_may_come(origin: str | None, host: str | None) -> None:
    assert may_come_from(origin, host, frozenset())


@pytest.mark.parametrize("origin", sorted(ALLOWED))
def test_an_allowed_origin_may_come_to_any_host(origin: str) -> None:
    assert may_come_from(origin, HERE, ALLOWED)
    assert may_come_from(origin, None, ALLOWED)


@pytest.mark.parametrize(
    "origin",
    [
        "https://localhost:3000",
        "http://localhost",
        "http://localhost:3001",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://evil.example/https://app.example.com",
        "https://app.example.com@evil.example",
        "http://localhost:3000 http://evil.example",
        "*",
    ],
)
def test_what_only_looks_like_an_allowed_origin_may_not(origin: str) -> None:
    assert not may_come_from(origin, HERE, ALLOWED)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://LOCALHOST:8000", "localhost:8000"),
        ("http://callboard.localhost:8000", "callboard.localhost:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://192.168.1.7:8000", "192.168.1.7:8000"),
        ("http://[2001:db8::7]", "[2001:db8::7]"),
        ("http://127.0.0.1", "127.0.0.1:80"),
        ("https://127.0.0.1", "127.0.0.1:443"),
        ("https://127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_page_of_an_addresss_own_server_may_come(origin: str, host: str) -> None:
    assert may_come_from(origin, host, frozenset())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8001", "127.0.0.1:8000"),
        ("http://127.0.0.1", "127.0.0.1:8000"),
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("http://127.0.0.2:8000", "127.0.0.1:8000"),
        ("https://127.0.0.1", "127.0.0.1:80"),
        ("http://127.0.0.1:8000", None),
        ("http://127.0.0.1:8000", ""),
        ("http://evil@127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "evil@127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000#", "127.0.0.1:8000#"),
        ("file://127.0.0.1:8000", "127.0.0.1:8000"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://", ""),
        ("http://:8000", ":8000"),
        ("http://[::1", "[::1"),
        ("http://127.0.0.1:99999", "127.0.0.1:99999"),
        ("http://127.0.0.1:port", "127.0.0.1:port"),
    ],
)
def test_a_page_of_another_server_may_not(origin: str, host: str | None) -> None:
    assert not may_come_from(origin, host, frozenset())
    assert not may_come_from(origin, host, frozenset(), trust_host=True)


@pytest.mark.parametrize(
    "name",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "1.2.3"],
)
def test_a_name_that_may_have_been_pointed_at_us_proves_nothing(name: str) -> None:
    """A page of http://evil.example whose name now means 127.0.0.1 sends just this."""
    assert not may_come_from(f"http://{name}", name, ALLOWED)


def test_a_name_counts_where_a_token_is_asked_for() -> None:
    assert may_come_from("https://board.example", "board.example", frozenset(), trust_host=True)
    assert may_come_from("https://board.example", "BOARD.example:443", frozenset(), trust_host=True)
    assert not may_come_from("https://evil.example", "board.example", frozenset(), trust_host=True)


@pytest.mark.parametrize("host", [HERE, "null", None])
def test_the_origin_null_may_never_come(host: str | None) -> None:
    assert not may_come_from("null", host, frozenset({"null"}), trust_host=True)


@given(origin=st.text(min_size=1), host=st.none() | st.text())
def test_no_text_in_these_headers_is_more_than_a_no(origin: str, host: str | None) -> None:
    assert not may_come_from(origin, host, ALLOWED)


@given(
    scheme=st.sampled_from(["http", "https", "ws", "file", ""]),
    origin=st.text("aexl127.0:[]@/\\?#%", max_size=12),
    host=st.text("aexl127.0:[]@/\\?#%", max_size=12),
)
def test_another_host_is_never_taken_for_ours(scheme: str, origin: str, host: str) -> None:
    if may_come_from(f"{scheme}://{origin}", host, frozenset(), trust_host=True):
        assert origin.removesuffix(":80").removesuffix(":443") == host.removesuffix(":80").removesuffix(":443")
