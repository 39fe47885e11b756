"""The console's files as browsers get them, and what is vendored among them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import AsyncIterator, Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import msgspec
import pytest
from quart_trio import QuartTrio

from adapters.bootstrap import open_unserved
from adapters.config import from_environment

CONSOLE = resources.files("adapters.web") / "console"
VENDOR = CONSOLE / "vendor"
HOST = {"Host": "localhost"}
MOST_SCRIPT = 32 * 1024
"""Bytes of what is vendored, compressed."""
PROTECTION = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@pytest.fixture
async def app() -> AsyncIterator[QuartTrio]:
    """The whole app, where tokens are asked for and nobody here has one."""
    settings = from_environment(
        {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": "a secret of thirty-two bytes " * 2}, {}
    )
    async with open_unserved(settings) as app:
        yield app


def files(folder: Traversable, path: str = "") -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from files(entry, f"{path}{entry.name}/")
        else:
            yield path + entry.name


async def test_strangers_get_the_page_and_nothing_can_be_slipped_into_it(app: QuartTrio) -> None:
    response = await app.test_client().get("/console/", headers=HOST)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert PROTECTION.items() <= {name.lower(): value for name, value in response.headers.items()}.items()
    assert await response.get_data() == (CONSOLE / "index.html").read_bytes()


@pytest.mark.parametrize(
    "path, kind",
    [
        ("index.html", "text/html; charset=utf-8"),
        ("vendor/htm-preact.js", "text/javascript; charset=utf-8"),
        ("vendor/uplot.css", "text/css; charset=utf-8"),
        ("vendor/manifest.json", "application/json"),
        ("vendor/uplot-licence.txt", "text/plain; charset=utf-8"),
    ],
)
async def test_each_file_has_its_content_type_and_the_same_protection(app: QuartTrio, path: str, kind: str) -> None:
    response = await app.test_client().get(f"/console/{path}", headers=HOST)
    assert (response.status_code, response.headers["content-type"]) == (200, kind)
    assert PROTECTION.items() <= {name.lower(): value for name, value in response.headers.items()}.items()
    assert await response.get_data() == CONSOLE.joinpath(*path.split("/")).read_bytes()


async def test_every_file_of_the_console_is_served(app: QuartTrio) -> None:
    for path in files(CONSOLE):
        assert (await app.test_client().head(f"/console/{path}", headers=HOST)).status_code == 200, path


async def test_without_the_slash_it_is_found_too(app: QuartTrio) -> None:
    response = await app.test_client().get("/console", headers=HOST)
    assert (response.status_code, response.headers["location"]) == (308, "/console/")


async def test_who_asks_for_the_head_gets_no_body(server: Any) -> None:
    response = await server.http.head("/console/vendor/uplot.js")
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) == len((VENDOR / "uplot.js").read_bytes())


async def test_who_has_it_already_is_told_so(app: QuartTrio) -> None:
    first = await app.test_client().get("/console/", headers=HOST)
    again = await app.test_client().get("/console/", headers={**HOST, "if-none-match": first.headers["etag"]})
    assert (again.status_code, await again.get_data()) == (304, b"")
    changed = await app.test_client().get("/console/", headers={**HOST, "if-none-match": '"another"'})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    "path", ["nothing.js", "../app.py", "%2e%2e/app.py", "..%2fapp.py", "vendor", "vendor/", "vendor//uplot.js", "./x"]
)
async def test_nothing_else_is_there(app: QuartTrio, path: str) -> None:
    response = await app.test_client().get(f"/console/{path}", headers=HOST)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert await response.get_json() == {"detail": "Not Found"}


def manifest() -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode((VENDOR / "manifest.json").read_bytes())
    return told


def test_what_is_vendored_is_what_the_manifest_says() -> None:
    for entry in manifest()["files"] + manifest()["licences"]:
        assert hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]
    for entry in manifest()["files"]:
        assert {"name", "version"} <= entry.keys()
        assert entry["licence"] in {"MIT", "Apache-2.0"}
        assert entry["licence_file"] in {licence["file"] for licence in manifest()["licences"]}


def test_what_was_appended_is_all_that_was_changed() -> None:
    (entry,) = [entry for entry in manifest()["files"] if "appended" in entry]
    source = (VENDOR / entry["file"]).read_text().removesuffix(entry["appended"])
    assert hashlib.sha256(source.encode()).hexdigest() == entry["source_sha256"]


def test_nothing_is_vendored_beside_it() -> None:
    named = {entry["file"] for entry in manifest()["files"] + manifest()["licences"]}
    assert set(files(VENDOR)) == named | {"manifest.json"}


def test_the_vendored_scripts_are_small_for_those_who_load_them() -> None:
    scripts = [entry["file"] for entry in manifest()["files"] if entry["file"].endswith(".js")]
    sizes = {script: len(gzip.compress((VENDOR / script).read_bytes())) for script in scripts}
    assert sum(sizes.values()) <= MOST_SCRIPT, sizes


def test_no_page_holds_a_script_or_a_style_of_its_own() -> None:
    page = (CONSOLE / "index.html").read_text()
    assert "style=" not in page
    assert "<style" not in page
    assert page.count("<script") == page.count('<script type="module" src=')
