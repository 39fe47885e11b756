"""Makes a log for tests/golden_logs in which nearly everything happens that the catalog of events has a name for.

All dialogues that can be played over real sockets are; what their servers recorded goes decision by decision into one
log, each dialogue's streams with its number behind their names. Then a whole server runs on that log, for what happens
in no dialogue, and at last the command line archives what has ended. A release adds its own by

    python -m tests.golden_maker tests/golden_logs/<release>.dialogues.db.gz
    python -m tests.adapters.test_replaying tests/golden_logs/<release>.dialogues.db.gz

the second of which puts beside it what clients were sent. Nobody ever changes one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import msgspec
import trio

from adapters import cli_archive
from adapters.dialects import references
from adapters.forking import decisions_of
from core.dialect import Endpoint
from core.identifiers import Category, StreamName
from core.messages import Decision
from core.ports import EventStore
from eventstore.opening import open_sqlite
from tests.adapters.whole import PATIENCE, Whole, heard, say, serving
from tests.dialogues import live
from tests.dialogues.dialogue import Names, read_dialogue
from tests.dialogues.test_api_reference import CASTS
from tests.golden import keep

SERVERS_OWN = frozenset({Category.AUDIT, Category.DELIVERY})
"""Streams whose names say the day or the run of a server: they are not copied, the whole server makes its own."""
TALKING = {"content": "What is the weather in Lisbon?", "role": "user"}
ASKING = ("Can I come", "Can I come at nine?")
"""A caller as the platform hears it, more with every frame."""
OPERATOR = "operator"
"""Who archives: not the name of whoever makes the log."""


def make(golden: Path) -> None:
    """A new log, at this place."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        trio.run(_play_all, path)
        trio.run(_serve, path)
        with patch.dict("os.environ", LOGNAME=OPERATOR):
            cli_archive.archive(0.0, [Category.CALL], False, True, f"sqlite:///{path}")
        keep(path, golden)


async def _play_all(path: Path) -> None:
    """Every dialogue of every dialect, each on a server of its own; then into this log."""
    dialogues = [(name, file) for name in sorted(CASTS) for file in CASTS[name][0].FILES if live.can_live(file)]
    async with open_sqlite(path) as log:
        for number, (dialect, file) in enumerate(dialogues, start=1):
            await _copy(await _played(dialect, file), log, number)


async def _played(dialect: str, file: Path) -> EventStore:
    """The log of the dialogue's server."""
    module, stage, names = CASTS[dialect]
    lines = read_dialogue(file, module.envelope)
    store = live.GatedStore(stage().epoch)
    with patch.object(live, "GatedStore", lambda _: store):
        await live.play_live(lines, stage(), Names(dict(names)), _endpoint(dialect), file.name)
    return store


def _endpoint(dialect: str) -> Endpoint:
    return next(places[0] for reference, places in references() if reference.name == dialect)


async def _copy(played: EventStore, log: EventStore, number: int) -> None:
    """Decision by decision, in the order in which they were taken."""
    records = await played.read_all(limit=100_000)
    found = list[tuple[int, StreamName, Decision]]()
    for stream in {record.stream for record in records if record.stream.category not in SERVERS_OWN}:
        own, commands = await played.read_stream(stream), await played.read_commands(stream)
        firsts = (own[version - 1].position for version in sorted(commands))
        decided = decisions_of(own, commands, len(own))
        found += [(first, stream, decision) for first, decision in zip(firsts, decided, strict=True)]
    versions = dict.fromkeys((stream for _, stream, _ in found), 0)
    for _, stream, decision in sorted(found, key=lambda each: each[0]):
        version = versions[stream]
        await log.append(_numbered(stream, number), [_renamed(decision, number)], expected_version=version)
        versions[stream] += len(decision.events)


def _numbered(stream: StreamName, number: int) -> StreamName:
    return StreamName(f"{stream}.{number}")


def _renamed(decision: Decision, number: int) -> Decision:
    """With a cause that is where it is now."""
    stamp = decision.stamp
    if stamp.causation_id is None:
        return decision
    stream, _, version = stamp.causation_id.rpartition("@")
    cause = f"{_numbered(StreamName(stream), number)}@{version}"
    return msgspec.structs.replace(decision, stamp=msgspec.structs.replace(stamp, causation_id=cause))


async def _serve(path: Path) -> None:
    """What no dialogue has: forks, looks into the log, notes of delivery, a session that expires."""
    written = {"STORE": f"sqlite:///{path}", "SEEN_INTERVAL": "0.1", "SESSION_MAX_AGE": "1"}
    async with serving(**{f"CALLBOARD_{name}": value for name, value in written.items()}) as server:
        async with server.connect("/ws") as client:
            await say(client, {"type": "ping"})
            session = (await heard(client))["session_id"]
            value = {"name": "session.set_value", "body": {"key": "colour", "value": "red"}}
            await _post(server, f"/api/console/streams/session-{session}/commands", value)
        await _fork_conversation(server)
        await _fork_call(server)
        for name in ("session.expired", "delivery.noted"):
            await _recorded(server, name)


async def _fork_conversation(server: Whole) -> None:
    id = await server.opened()
    await _post(server, f"/api/v2/conversations/{id}/messages", TALKING)
    await _post(server, f"/api/audit/streams/conversation-{id}/fork", {"at": 1, "personality": "playful"})


async def _fork_call(server: Whole) -> None:
    async with server.connect("/ws-default/call-1") as platform:
        for number, content in enumerate(ASKING, start=1):
            said = [{"role": "user", "content": content}]
            asked = {"response_id": number, "transcript": said, "transcript_with_tool_calls": said}
            await say(platform, {"interaction_type": "response_required", **asked})
        frame = await heard(platform)
        while not (frame.get("content_complete") and frame["response_id"] == len(ASKING)):
            frame = await heard(platform)
        await _post(server, "/api/audit/streams/call-call-1/fork", {"model": "another"})


async def _post(server: Whole, path: str, body: Mapping[str, object]) -> None:
    answer = await server.http.post(path, json=body)
    assert answer.status_code == 200, answer.text


async def _recorded(server: Whole, event: str) -> None:
    """Wait until there is such an event."""
    with trio.fail_after(PATIENCE):
        while not await _count(server, event):  # noqa: ASYNC110  # a server that is asked from outside sets no event
            await trio.sleep(0.5)


async def _count(server: Whole, event: str) -> int:
    answer = await server.http.get("/api/audit/events/count", params={"type": event})
    return int(answer.json()["count"])


if __name__ == "__main__":
    make(Path(sys.argv[1]))
