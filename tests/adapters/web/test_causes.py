"""What auditors are told of an event's causes, and that it is on record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.audit import Accessed
from core.conversation import BeginReply, CompleteReply, OpenConversation, Say
from core.identifiers import Category, StreamName
from core.messages import Stamp
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.adapters.web.test_audit import Office, opened

TALK = StreamName.of(Category.CONVERSATION, "talk")
CAUSES = "/api/audit/causes"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Over a log in which somebody asks (events 2 to 4), and is answered (5 to 8)."""
    path = tmp_path / "log.db"
    async with open_sqlite(path) as store, opened(store, f"sqlite:///{path}") as office:
        system = office.system
        await system.ask(TALK, OpenConversation(), system.stamp(principal="bob"))
        asked = system.stamp(principal="bob")
        await system.ask(TALK, Say("m", "r", "Ahoy?"), asked)
        for command in BeginReply("r", "scripted"), CompleteReply("r", 1, "Ahoy!"):
            stamp = Stamp(asked.correlation_id, system.clock.now(), None, f"{TALK}@3", "system")
            await system.ask(TALK, command, stamp)
        yield office


async def test_what_led_to_an_event_and_what_came_of_it_is_told_and_on_record(office: Office) -> None:
    told = await office.told(f"{CAUSES}/{TALK}@7")
    (cause,) = told["causes"]
    assert (cause["principal"], cause["command"]["body"]["content"], cause["causation_id"]) == ("bob", "Ahoy?", None)
    assert [event["version"] for event in cause["events"]] == [2, 3, 4]
    assert (told["decision"]["causation_id"], told["decision"]["effects"], told["others"]) == (f"{TALK}@3", [], [])
    asked = await office.told(f"{CAUSES}/{TALK}@3")
    assert (asked["causes"], len(asked["decision"]["effects"])) == ([], 2)
    accesses = [record.event for record in await office.accesses()]
    assert [(access.way, access.question) for access in accesses if isinstance(access, Accessed)] == [
        ("causes", {"stream": TALK, "version": 7}),
        ("causes", {"stream": TALK, "version": 3}),
    ]


async def test_of_what_is_not_there_nothing_is_told(office: Office) -> None:
    for nothing in (f"{TALK}@99", f"{TALK}@0", TALK, "conversation-x@1", f"{TALK}@{'9' * 30}", "nonsense@1"):
        assert (await office.ask(f"{CAUSES}/{nothing}"))[0] == 404
    assert (await office.ask(f"{CAUSES}/{TALK}@3", role="client"))[0] == 403


async def test_a_log_in_memory_is_not_kept_for_auditors() -> None:
    async with opened(MemoryStore("epoch"), "memory:") as office:
        assert (await office.ask(f"{CAUSES}/{TALK}@1"))[0] == 404
