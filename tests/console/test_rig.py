"""What goes wrong in a page fails the test that looks at it: each way of going wrong, tried."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.console.conftest import Look
from tests.console.rig import Window

PAGE = b"""<!doctype html><html lang=en><title>A page</title><script type=module src=page.js></script>
<button id=button>Go wrong</button><output></output></html>"""
GOING_WRONG = {
    "error: oops": 'console.error("oops")',
    "uncaught: .*oops": 'setTimeout(() => { throw new Error("oops"); })',
    "uncaught: .*late": 'Promise.reject(new Error("late"))',
    "error: content security policy: style-src-attr": 'document.body.setAttribute("style", "color: red")',
    "error: content security policy: require-trusted-types-for": 'document.body.innerHTML = "x"',
    "error: Failed to load resource.*404": 'fetch("/missing").then((answer) => answer.text())',
    "failed: GET http://127.0.0.1:9/": 'fetch("http://127.0.0.1:9/").catch(() => {})',
    "dialog: boo": 'alert("boo")',
}
POLICY = "default-src 'none'; script-src 'self'; connect-src *; require-trusted-types-for 'script'"


class Site(BaseHTTPRequestHandler):
    """One page, whose button does what is asked for by its address."""

    def do_GET(self) -> None:
        way = int(urlsplit(self.headers.get("referer", "")).query or 0)
        script = f"button.onclick = () => {{ {list(GOING_WRONG.values())[way]} }};"
        bodies = {"/console/": ("text/html", PAGE), "/console/page.js": ("text/javascript", script.encode())}
        type, body = bodies.get(self.path.partition("?")[0], ("text/plain", b""))
        self.send_response(200 if body else 404)
        for name, value in {"Content-Type": type, "Content-Security-Policy": POLICY}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing to stderr."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("words", GOING_WRONG)
def test_whatever_goes_wrong_is_noted_unless_it_was_announced(words: str, browser: Browser, site: str) -> None:
    window = Window(browser, site)
    page = window.open(f"?{list(GOING_WRONG).index(words)}")
    assert window.faults == []
    page.click("#button")
    window.until(lambda: any(re.search(words, fault) for fault in window.faults), words)
    window.announce(words, "Trusted|Applying inline style|ERR_UNSAFE_PORT")
    assert window.faults == []
    window.close()


def test_a_page_in_which_nothing_goes_wrong_is_no_fault(look: Look, site: str) -> None:
    assert look(site).open().title() == "A page"
