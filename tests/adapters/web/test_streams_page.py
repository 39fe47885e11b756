"""The test page in a real browser: every button, and two tabs that find each other through our signalling."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.adapters.web.chromium import browsing
from tests.adapters.web.streams_server import streaming

PATIENCE = 60.0


def logged(text: str) -> str:
    return f"document.getElementById('log').textContent.includes('{text}')"


def shows(id: str, text: str) -> str:
    return f"document.getElementById('{id}').textContent === '{text}'"


async def test_every_button_does_what_it_says(tmp_path: Path) -> None:
    async with streaming() as server, browsing(tmp_path) as browser:
        with trio.fail_after(PATIENCE):
            page = await browser.open(f"{server.url}/api/stream/test-page?session=a")
            assert await page.tell("document.getElementById('talk').disabled")
            await page.click("connect")
            await page.until(shows("status", "connected"))
            for button, answer in (
                ("test", "test_response"),
                ("ping", "pong"),
                ("chat", "chat_message"),
                ("audio", "audio_received"),
            ):
                await page.click(button)
                await page.until(logged(f'"type":"{answer}"'))
            await page.click("disconnect")
            await page.until(shows("status", "disconnected"))
            assert await page.tell("document.getElementById('talk').disabled")


async def test_two_tabs_connect_by_webrtc_and_hear_each_other(tmp_path: Path) -> None:
    async with streaming() as server, browsing(tmp_path) as browser:
        with trio.fail_after(PATIENCE):
            url = f"{server.url}/api/stream/test-page?session=a&connect"
            pages = [await browser.open(url) for _ in range(2)]
            for page in pages:
                await page.until(shows("status", "connected"))
            await pages[0].click("call")
            for page in pages:
                await page.until(shows("peer", "connected"))
                await page.until(logged('"type":"webrtc_connected"'))
                await page.until("document.getElementById('heard').textContent.startsWith('hello from ')")
            status = (await server.http.get("/api/stream/status/a")).json()
            assert (status["status"], status["connection_state"]) == ("webrtc", "connected")
            await pages[0].click("hangup")
            await pages[1].until(logged('"type":"webrtc_disconnected"'))
            await pages[0].until(shows("peer", "none"))
