"""What auditors take away over HTTP: checkpoints, and proofs that a program without the server checks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters import proof_verifier
from core.audit import Accessed
from core.conversation import OpenConversation
from eventstore.checkpointing import Interval, keeping_checkpoints
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.adapters.web.test_audit import TALK, Office, heard, opened
from tests.eventstore.checkpointed import Clock

CHECKPOINTS, PROOF = "/api/audit/checkpoints", "/api/audit/proof"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Over a log with checkpoints of one, two and three events, and none of the fourth."""
    path = tmp_path / "log.db"
    for number, command in enumerate((OpenConversation(), heard("a"), heard("b"), heard("c"))):
        async with open_sqlite(path) as store, opened(store, f"sqlite:///{path}") as office:
            if number == 3:
                await office.system.ask(TALK, command, office.system.stamp(principal="bob"))
                yield office
                return
            async with keeping_checkpoints(store, path, Clock(), Interval(), None):
                await office.system.ask(TALK, command, office.system.stamp(principal="bob"))


async def test_a_proof_is_told_that_needs_no_server_to_be_checked(office: Office) -> None:
    proof = await office.told(f"{PROOF}/{TALK}@2")
    assert proof_verifier.check(proof)[0].startswith(f"Proved: {TALK}@2 (conversation.interim_heard/1, ")
    assert proof["event"]["principal"] == "bob"
    assert (await office.told(f"{PROOF}/2"))["event"] == proof["event"]
    early = await office.told(f"{PROOF}/{TALK}@2", size=2)
    assert (len(early["path"]), len(proof["path"])) == (1, 2)
    (access, *_) = [record.event for record in await office.accesses()]
    assert isinstance(access, Accessed)
    assert (access.way, access.entries, access.question) == ("proof", 1, {"stream": TALK, "version": 2})


async def test_checkpoints_are_told_to_be_kept_elsewhere(office: Office) -> None:
    told = (await office.told(CHECKPOINTS))["checkpoints"]
    assert [each["size"] for each in told] == [1, 2, 3]
    assert proof_verifier.Checkpoint(told[0]["checkpoint"]).head.hex() == told[0]["head"]
    assert (told[0]["time"][:10], told[0]["signed"]) == ("2023-11-14", False)
    for query, sizes in (({"newest_first": "true", "limit": 1}, [3]), ({"after": 1}, [2, 3]), ({"limit": 2}, [1, 2])):
        body = await office.told(CHECKPOINTS, **query)
        assert [each["size"] for each in body["checkpoints"]] == sizes
    assert [record.event.way for record in await office.accesses()] == ["checkpoints"] * 4


@pytest.mark.parametrize("event", ["conversation-nobody@1", f"{TALK}@99", "7000", "nothing", f"{TALK}@4"])
async def test_what_cannot_be_proved_is_not_found_with_the_reason(office: Office, event: str) -> None:
    status, body = await office.ask(f"{PROOF}/{event}")
    assert status == 404
    assert any(reason in body["detail"] for reason in ("has no event", "is no event", "is in no checkpoint yet"))
    (access,) = [record.event for record in await office.accesses()]
    assert isinstance(access, Accessed)
    assert (access.way, access.entries) == ("proof", 0)
    assert access.question.get("stream", "") == event.rpartition("@")[0]


@pytest.mark.parametrize("path", [CHECKPOINTS, f"{PROOF}/{TALK}@1"])
async def test_clients_are_told_nothing_of_it(office: Office, path: str) -> None:
    assert (await office.ask(path, role="client"))[0] == 403
    assert (await office.ask(path, role="operator"))[0] == 200


@pytest.mark.parametrize("path", [CHECKPOINTS, f"{PROOF}/{TALK}@1"])
async def test_a_log_in_memory_has_neither(path: str) -> None:
    async with opened(MemoryStore(), "memory:") as office:
        assert (await office.ask(path))[0] == 404
