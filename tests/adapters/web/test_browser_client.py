"""The browser's client: its own tests under Node, and a page in a real browser through two restarts of a server."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from quart import Response, request
from quart_trio import QuartTrio

from adapters.demo.server import Server
from adapters.opening import open_history
from adapters.protocols.conversations import CONVERSATIONS
from adapters.server.serve import serve
from adapters.setting_values import StoreAddress
from adapters.web.static import static_blueprint
from core.conversation import conversation
from core.identifiers import Category, StreamName

BROWSERS = "chromium", "chromium-browser", "google-chrome"
# As a container has it: no sandbox for root, little shared memory, no display; and nothing is asked of the outside.
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
)  # fmt: skip
PATIENCE = 60.0

PAGE = """<!doctype html>
<title>A device</title>
<ol id="heard"></ol><output id="answers"></output>
<script type="module">
  import { connect } from "/static/callboard.js";

  const note = (text) => fetch("/note", { method: "POST", body: text });
  const talk = connect(new URLSearchParams(location.search).get("socket"), { backoffBase: 50 });
  const list = document.getElementById("heard");

  talk.addEventListener("message", ({ detail }) => {
    if (detail.place !== "logged") return;
    list.append(Object.assign(document.createElement("li"), { textContent: detail.text }));
    note(`message ${detail.seq}`);
  });
  let away = false;
  talk.addEventListener("resumed", () => (away = false));
  talk.addEventListener("lost", async () => {
    if (away) return; // an attempt to come back that failed
    away = true;
    note("away");
    const answer = await talk.command({ type: "speech_event", payload: { event_type: "said while away", data: {} } });
    document.getElementById("answers").append(`${answer.type} `);
    note("answer");
  });
  for (const type of ["snapshot", "resumed", "error", "closed"]) talk.addEventListener(type, () => note(type));
</script>
<img src="/hold" alt="the page is not loaded before the story is over">
"""


@dataclass
class PageHost:
    """Serves the page and the module, and is told what the page hears."""

    url: str
    over: trio.Event = field(default_factory=trio.Event)
    notes: Counter[str] = field(default_factory=Counter)
    came: trio.Condition = field(default_factory=trio.Condition)

    async def note(self, text: str) -> None:
        async with self.came:
            self.notes[text] += 1
            self.came.notify_all()

    async def until(self, text: str, times: int = 1) -> None:
        async with self.came:
            while self.notes[text] < times:
                await self.came.wait()


def page_app(host: PageHost) -> QuartTrio:
    app = QuartTrio(__name__, static_folder=None)
    app.register_blueprint(static_blueprint())

    @app.get("/")
    async def page() -> Response:
        return Response(PAGE, content_type="text/html; charset=utf-8")

    @app.post("/note")
    async def note() -> str:
        await host.note(str(await request.get_data(as_text=True)))
        return ""

    @app.get("/hold")
    async def hold() -> Response:
        await host.over.wait()
        return Response(b"", status=404)

    return app


@pytest.fixture
async def page_host(nursery: trio.Nursery) -> AsyncIterator[PageHost]:
    host, shutdown = PageHost(""), trio.Event()
    (host.url,) = await nursery.start(partial(serve, page_app(host), ["127.0.0.1:0"], shutdown))
    yield host
    host.over.set()
    shutdown.set()


@pytest.fixture
def browser() -> str:
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip(f"there is no {BROWSERS[0]} on this machine")


@pytest.fixture
async def server(page_host: PageHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """`callboard serve` in a process of its own, for pages of the page host."""
    monkeypatch.setenv("CALLBOARD_CORS_ORIGINS", page_host.url)
    server = Server(tmp_path / "callboard.db")
    await server.start()
    yield server
    with trio.CancelScope(shield=True):  # bounded: what does not stop is killed
        await server.stop()


def test_the_module_keeps_its_promises_on_a_scripted_socket() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node on this machine")
    tests = Path(__file__).with_name("browser_client.test.mjs")
    ran = subprocess.run([node, "--test", tests], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stdout
    passed = re.search(r"^(?:#|ℹ) pass (\d+)", ran.stdout, re.MULTILINE)
    assert passed is not None, ran.stdout
    assert int(passed[1]) > 0


async def test_a_page_in_a_browser_misses_and_repeats_nothing_through_a_kill_and_a_restart(
    browser: str, page_host: PageHost, server: Server, tmp_path: Path, nursery: trio.Nursery
) -> None:
    id = (await server.call("POST", "/api/v2/conversations", {}))["id"]
    socket = f"ws://127.0.0.1:{server.port}/api/ws/conversations/{id}"
    dom: list[str] = []

    async def browse() -> None:
        command = [
            browser,
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            f"{page_host.url}/?socket={socket}",
        ]
        ended = await trio.run_process(command, capture_stdout=True, capture_stderr=True)
        dom.append(ended.stdout.decode())

    async def speak(text: str) -> None:
        await server.call("POST", f"/api/conversations/{id}/transcript", {"final_transcript": text})

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as browsing:
            browsing.start_soon(browse)
            await page_host.until("snapshot")
            for number, end in enumerate((server.kill, server.stop), start=1):
                await speak(f"before {number}")
                await end()
                await page_host.until("away", number)
                await server.start()
                await speak(f"after {number}")
                await page_host.until("resumed", number)
                await page_host.until("answer", number)
                await speak(f"live {number}")
            await server.call("PUT", f"/api/v2/conversations/{id}/end")
            await page_host.until("closed")
            page_host.over.set()

    assert page_host.notes["snapshot"] == 1
    assert page_host.notes["error"] == 0
    assert text_of(dom[0], "output") == ["speech_event speech_event "]
    assert text_of(dom[0], "li") == await shown(tmp_path / "callboard.db", id)


def text_of(dom: str, tag: str) -> list[str]:
    return [html.unescape(text) for text in re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", dom, re.DOTALL)]


async def shown(log: Path, id: str) -> list[str]:
    """Every frame the log has for who was there from the first device on."""
    async with open_history(StoreAddress(log)) as store:
        records = await store.read_stream(StreamName.of(Category.CONVERSATION, id))
    texts: list[str] = []
    state: Any = conversation.initial
    for record in records:
        state = conversation.fold(state, (record.event,))
        frame = CONVERSATIONS.render(record, state)
        if frame is not None:
            texts.append(frame.body.decode())
    assert json.loads(texts[0])["payload"] == {"status": "connected", "client_count": 1}
    return texts
