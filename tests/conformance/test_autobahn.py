"""Autobahn's cases for WebSocket servers, run by kosoku against our own stack: guard, link and outlet."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import partial
from typing import TypedDict

import trio

from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits, serve
from tests.conformance.echo import echo_app

CASES = 301
AT_MOST = 120.0
"""Seconds for all cases; on an idle machine they take about 10."""
# kosoku lives on asyncio, so it gets an interpreter of its own.
CLIENT = """
import asyncio, json, sys
from kosoku import FailureError, run_fuzzingclient
try:
    results = asyncio.run(run_fuzzingclient(sys.argv[1], exclude_cases=["12.*", "13.*"], concurrency=2))
except FailureError as failure:
    results = failure.results
fields = "case_id", "passed", "result", "result_close", "description"
verdicts = "behavior", "behavior_close"
print(json.dumps([
    {name: getattr(result, name) for name in fields} | {name: getattr(result, name).value for name in verdicts}
    for result in results
]))
"""


class Verdict(TypedDict):
    """On one case, in Autobahn's words."""

    case_id: str
    passed: bool
    behavior: str
    behavior_close: str
    result: str
    result_close: str
    description: str


def told(verdict: Verdict) -> str:
    """What to read of a case that failed."""
    words = "{case_id}: {behavior}, close {behavior_close}: {result} {result_close} ({description})"
    return words.format(**verdict)


async def verdicts(url: str) -> list[Verdict]:
    """All of them; of a run where cases failed, kosoku gives those alone."""
    with trio.fail_after(AT_MOST):
        run = await trio.run_process(
            [sys.executable, "-c", CLIENT, url], capture_stdout=True, stderr=subprocess.DEVNULL
        )
    return list(json.loads(run.stdout))


async def test_all_of_autobahns_cases_pass(nursery: trio.Nursery) -> None:
    """All but those of compression (12 and 13), which we never agree to."""
    shutdown = trio.Event()
    limits = ServerLimits(link=LinkLimits(outlet_bytes=64 * 2**20))
    (url,) = await nursery.start(partial(serve, echo_app(), ["127.0.0.1:0"], shutdown, limits=limits))
    found = await verdicts(url.replace("http", "ws") + "/echo")
    shutdown.set()
    failed = [told(verdict) for verdict in found if not verdict["passed"]]
    assert failed == []
    assert len(found) == CASES, Counter(verdict["behavior"] for verdict in found)
