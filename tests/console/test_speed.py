"""Long streams and quick ones: what is measured in the page itself, and held to its bounds on a quiet machine.

`CALLBOARD_STRICT_LATENCY=1` asserts the bounds as they are; else they are ten times as wide, as others use the machine.
`CALLBOARD_CONSOLE_MINUTES=10` lets events come for that long; else it is a few seconds.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
import trio
from playwright.sync_api import Page, expect

from adapters.demo.ear import listening
from tests.console.conftest import Look, Serve
from tests.console.logs import long_log
from tests.console.rig import Running, Traffic

LENIENCE = 1 if os.environ.get("CALLBOARD_STRICT_LATENCY") else 10
MINUTES = float(os.environ.get("CALLBOARD_CONSOLE_MINUTES", "0.03"))
RATE = 200
"""Events a second."""
LONG, LONGER = 10_000, 100_000

PAINTED = """(stream) => new Promise((done) => {
  const began = performance.now();
  const look = () => {
    const row = document.querySelector(".event-row[data-version='10000'] .event-says");
    const isThere = row && row.textContent !== "…" && document.querySelector(".state[data-version='10000']");
    if (isThere) requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
    else requestAnimationFrame(look);
  };
  location.hash = `#${stream}`;
  look();
})"""
"""ms from going to a stream until its last event and its state are drawn."""

STEPPED = """async (steps) => {
  const slider = document.querySelector("input.travel"), took = [];
  for (const at of steps) {
    const began = performance.now();
    slider.value = at;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((done) => {
      const look = () => {
        const isThere = document.querySelector(`.state[data-version="${at}"][aria-busy="false"]`)
          && document.querySelector(`.event-row[data-version="${at}"][aria-selected="true"]`);
        if (isThere) setTimeout(done);
        else requestAnimationFrame(look);
      };
      look();
    });
    took.push(performance.now() - began);
  }
  return took;
}"""
"""ms of each step of the slider, until the event is chosen in the list and its state is drawn."""

SCROLLED = """async (far) => {
  const box = document.querySelector(".event-rows"), gaps = [];
  let last = performance.now();
  for (let step = 0; step < 60; step += 1) {
    box.scrollTop = (far * ((step * 37) % 60)) / 60;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }
  return { gaps, rows: box.querySelectorAll("[data-version]").length };
}"""
"""ms between pictures while the list is thrown about."""

WATCH_GAPS = """() => {
  const gaps = (window.gaps = []);
  let last = performance.now();
  const look = (now) => {
    gaps.push(now - last);
    last = now;
    window.watching = requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    log = tmp_path_factory.mktemp("long") / "callboard.db"
    long_log(log, long=LONG, longer=LONGER)
    running = serve(log)
    if LENIENCE == 1:
        until_indexed(log)
    return running


def until_indexed(log: Path) -> None:
    """The server has made the index of a log that came all at once: while it does, it is not at rest."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{log}-index", timeout=1)) as index:
            if index.execute("SELECT position FROM level").fetchone()[0] >= LONG + LONGER:
                return
        trio.run(trio.sleep, 0.2)
    raise AssertionError("the index is not made")


def median(numbers: list[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def nearly_all(numbers: list[float], share: float = 0.95) -> float:
    """What that share of them stays within."""
    return sorted(numbers)[int(len(numbers) * share)]


def test_ten_thousand_events_are_painted_within_a_second_and_travelled_in_50_ms_steps(
    look: Look, server: Running
) -> None:
    page = look(server).open()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    painted = page.evaluate(PAINTED, "conversation-long")
    assert painted <= 1000 * LENIENCE, f"{painted:.0f} ms"
    steps = page.evaluate(STEPPED, [(n * 7919) % LONG + 1 for n in range(25)] + list(range(5000, 5025)))
    print(f"first paint {painted:.0f} ms; steps: median {median(steps):.0f} ms, worst {max(steps):.0f} ms")
    assert max(steps) <= 50 * LENIENCE, sorted(steps)


def test_a_list_of_a_hundred_thousand_scrolls_smoothly_with_few_rows_in_the_document(
    look: Look, server: Running
) -> None:
    page = look(server).open("#conversation-longer")
    rows = page.get_by_role("grid", name="Events")
    expect(rows).to_have_attribute("aria-rowcount", str(LONGER))
    scrolled = page.evaluate(SCROLLED, 28 * LONGER)
    print(f"scrolling: median {median(scrolled['gaps']):.0f} ms, worst {max(scrolled['gaps']):.0f} ms between pictures")
    assert scrolled["rows"] < 100
    assert nearly_all(scrolled["gaps"]) <= 34 * LENIENCE
    for version in (LONGER, 77_777, 1):
        page.get_by_role("slider", name="Version of the stream").fill(str(version))
        row = page.locator(f".event-row[data-version='{version}']")
        expect(row).to_be_in_viewport()
        expect(row.locator(".event-says")).not_to_have_text("…")


async def dictate(url: str, began: list[float]) -> None:
    """Interim transcripts, so many a second, until cancelled."""
    async with listening(url) as ear:
        began.append(trio.current_time())
        for number in range(1_000_000):
            await trio.sleep_until(began[0] + number / RATE)
            payload = {"interim_transcript": f"I went sailing {number}", "confidence": 0.8}
            await ear.send("transcript_update", payload=payload)
            ear.texts.clear()
            ear.frames.clear()


def heap(page: Page) -> int:
    """Bytes of the page's JavaScript that are in use, once all garbage is collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return int(used)


GROWTH = {"board": 0, "stream": 64}
"""Bytes that may stay of each event: a stream's outline is in memory as a whole, a board's past is not."""


@pytest.mark.parametrize("view", GROWTH)
def test_two_hundred_events_a_second_drop_no_pictures_worth_noticing_and_leave_no_memory(
    look: Look, server: Running, traffic: Traffic, view: str
) -> None:
    id = server.conversation()
    page = look(server).open(f"#conversation-{id}" if view == "stream" else "")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    scope = traffic.begin(dictate, f"ws://127.0.0.1:{server.port}/api/ws/conversations/{id}", [])
    page.wait_for_timeout(1000)
    page.evaluate(WATCH_GAPS)
    used = list[int]()
    for _ in range(3):
        page.wait_for_timeout(MINUTES * 60_000 / 3)
        gaps: list[float] = page.evaluate("() => window.gaps.splice(0)")
        used.append(heap(page))
        page.evaluate("() => { window.gaps.length = 0; }")
        late = sum(gap for gap in gaps if gap > 50) / sum(gaps)
        print(
            f"{view}: {len(gaps)} pictures, median {median(gaps):.0f} ms, worst {max(gaps):.0f} ms, heap {used[-1]:,}"
        )
        assert late <= (0.02 if LENIENCE == 1 else 0.6), sorted(gaps)[-20:]
    traffic.stop(scope)
    if view == "stream":
        told = server.told(f"/api/audit/streams/conversation-{id}/outline")["version"]
        expect(page.get_by_role("grid", name="Events")).to_have_attribute("aria-rowcount", str(told))
    assert used[-1] <= used[0] + 2_000_000 + GROWTH[view] * RATE * 60 * MINUTES, used
