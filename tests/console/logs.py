"""Logs for the console to show: a long one, one full of what was meant to harm, and one that somebody changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import trio

from adapters.opening import DECIDERS
from core.call import ConnectSocket, DescribeCall
from core.channel import Publish
from core.conversation import GiveReply, JoinClient, OpenConversation, Phase, RequestPhase, UpdateTranscript
from core.decider import CommandRejected, Rejected
from core.identifiers import Category, StreamName
from core.messages import Decision, Stamp
from core.session import Chat, JoinDevice, OpenSession
from eventstore.opening import open_sqlite

BEGAN = 1_795_269_600_000_000
"""2026-11-21, 14:00 UTC."""
STEP = 250_000
"""µs between two commands."""
AT_ONCE = 1000

HOSTILE = (
    "<img src=x onerror=alert('image')>",
    "<script>document.title = 'taken'; alert('script')</script>",
    '"><svg/onload=alert("svg")>',
    "' onfocus='alert(1)' autofocus='",
    "javascript:alert('link')",
    "\u202egnp.tneconni\u202c and \u2066isolated\u2069",
    "w" * 10_000,
    "bell \x07, escape \x1b[31m, null \x00, line\u2028separator, bom \ufeff",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} %3Cscript%3E",
    "</script></style></textarea></title><h1>injected</h1>",
)
"""Texts that must be shown as texts."""
NAMES = tuple(name.replace(" ", "/").replace("'", "") for name in HOSTILE[:6])
"""The same as parts of ids, which have no spaces."""


def decided(stream: StreamName, commands: Iterator[Any], **circumstances: str) -> Iterator[Decision]:
    """What the real deciders make of the commands, as the log would have it."""
    decider = DECIDERS[stream.category]
    state = decider.initial
    for number, command in enumerate(commands):
        outcome = decider.decide(state, command)
        events = (CommandRejected(outcome.code, outcome.message),) if isinstance(outcome, Rejected) else tuple(outcome)
        if events:
            state = decider.fold(state, events)
            yield Decision(Stamp(f"c.{number}", BEGAN + number * STEP, None, None, **circumstances), command, events)


async def append(path: Path, told: dict[StreamName, Iterator[Any]], **circumstances: str) -> None:
    """Write streams of these commands and what they led to."""
    async with open_sqlite(path) as store:
        for stream, commands in told.items():
            decisions, version = list(decided(stream, commands, **circumstances)), 0
            for begin in range(0, len(decisions), AT_ONCE):
                portion = decisions[begin : begin + AT_ONCE]
                await store.append(stream, portion, expected_version=version)
                version += sum(len(decision.events) for decision in portion)


def talk(events: int) -> Iterator[Any]:
    """Commands of a conversation that lead to about so many events."""
    yield OpenConversation(topic="sailing", user_id="ada")
    yield JoinClient("b.1")
    for number in range(events - 2):
        match number % 10:
            case 0:
                yield RequestPhase(Phase.LISTENING)
            case 9:
                yield RequestPhase(Phase.IDLE)
            case 5:
                yield RequestPhase(Phase.SPEAKING)  # refused
            case 7:
                yield GiveReply(f"m-{number}", f"The wind was stronger than we thought, {number} times.")
            case _:
                yield UpdateTranscript(interim=f"I went sailing {number}", confidence=0.8)


def long_log(path: Path, **lengths: int) -> None:
    """Conversations of these ids and about so many events."""
    told = {StreamName.of(Category.CONVERSATION, id): talk(events) for id, events in lengths.items()}
    trio.run(append, path, told)


def hostile_log(path: Path) -> None:
    """Streams of all kinds in which every text that somebody outside chooses is meant to harm."""
    for bad in NAMES:
        told = {StreamName.of(category, bad): iter(commands) for category, commands in _bad_commands(bad).items()}
        trio.run(partial(append, path, told, principal=bad, origin=bad))


def _bad_commands(name: str) -> dict[Category, list[Any]]:
    conversation = [OpenConversation(name, name, name, name), JoinClient(name), RequestPhase(Phase.LISTENING)]
    conversation += [UpdateTranscript(interim=text) for text in HOSTILE]
    conversation += [UpdateTranscript(final=text, confidence=0.5) for text in HOSTILE]
    conversation += [GiveReply(f"{name}-{number}", text) for number, text in enumerate(HOSTILE)]
    session = [OpenSession("everybody", "streams", BEGAN), JoinDevice(name, "everybody", "streams", BEGAN)]
    session += [Chat(text, BEGAN) for text in HOSTILE]
    call = [ConnectSocket(name, BEGAN), DescribeCall({text: {text: [text]} for text in HOSTILE})]
    return {
        Category.CONVERSATION: conversation,
        Category.SESSION: session,
        Category.CALL: call,
        Category.CHANNEL: [Publish(name, {text: text}) for text in HOSTILE],
    }


def tamper(path: Path, event: str) -> None:
    """Change what an event says, as somebody with the file could."""
    stream, _, version = event.rpartition("@")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER only_archived")
        changed = connection.execute(
            "UPDATE stored_events SET state = json_set(CAST(state AS TEXT), '$.added', 'later')"
            " WHERE originator_id = ? AND originator_version = ?",
            (stream, int(version)),
        )
        assert changed.rowcount == 1
