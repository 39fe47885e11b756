"""A person is forgotten on a running server: no file says any more what they said, and every proof still holds."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from typer.testing import CliRunner

from adapters.cli import app
from eventstore.index import Index
from eventstore.masterkey import read_master_key
from eventstore.unlocking import opener_of
from tests.adapters.whole import Whole, heard, serving

SECRET, OTHER = "née Ångström, Kungsgatan 7, dörr 4711", "Bob's number is 0170 555"
WORDS = (b"ungsgatan", b"ngstrom")
"""Of SECRET, in small letters without accents, and without a beginning that an index may share with other words."""
PATIENCE = 60.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Of a server whose log is sealed and whose folder holds nothing else."""
    (tmp_path / "key").write_text("c3" * 32)
    monkeypatch.setenv("CALLBOARD_ENCRYPTION_KEY", str(tmp_path / "key"))
    return {
        "CALLBOARD_STORE": f"sqlite:///{tmp_path}/data/log.db",
        "CALLBOARD_ENCRYPTION_KEY": str(tmp_path / "key"),
        "CALLBOARD_PASSIVATE_AFTER": "3600",
    }


def forms_of(text: str) -> Iterator[bytes]:
    """The ways in which a text may stand in a file: as it is, escaped in JSON, in base64 wherever it begins there."""
    plain = text.encode()
    yield plain
    yield json.dumps(text)[1:-1].encode()
    for start in range(3):
        yield b64encode(b" " * start + plain)[4:-4]


def holders_of(text: str, folder: Path) -> list[str]:
    """The files in which the text stands, or one of its words as an index keeps them."""
    files = [(file.name, file.read_bytes()) for file in sorted(folder.rglob("*")) if file.is_file()]
    sought = [*forms_of(text), *(form.lower() for form in forms_of(text)), *WORDS]
    return [name for name, content in files if any(form in content or form in content.lower() for form in sought)]


async def run(*arguments: str) -> str:
    """What `callboard` prints, beside the server; without its warnings that this is on nobody's record."""
    done = await trio.to_thread.run_sync(CliRunner().invoke, app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


async def conversation(server: Whole, user: str, text: str) -> str:
    """The stream of a conversation in which the user said the text, and it was answered."""
    made = await server.http.post("/api/v2/conversations", json={"user_id": user, "topic": text})
    stream = f"conversation-{made.json()['id']}"
    sent = {"content": text}
    answered = await server.http.post(f"/api/v2/conversations/{made.json()['id']}/messages", json=sent)
    assert answered.status_code == 200, answered.text
    heard_so_far = {"final_transcript": text}
    await server.http.post(f"/api/conversations/{made.json()['id']}/transcript", json=heard_so_far)
    return stream


async def replayed(server: Whole, path: str, epoch: str, until: int) -> str:
    """What a client is shown that was away from the beginning on."""
    frames = list[Any]()
    async with server.connect(f"{path}?since=1&epoch={epoch}") as socket:
        while not frames or frames[-1].get("seq", 0) < until:
            frames.append(await heard(socket))
    return json.dumps(frames, ensure_ascii=False)


async def events_of(server: Whole, stream: str) -> Any:
    answer = await server.http.get("/api/audit/events", params={"stream": stream})
    assert answer.status_code == 200, answer.text
    return answer.text


async def found(server: Whole, text: str) -> int:
    """How many events the auditor finds with these words, once the index is level."""
    answer = await server.http.get("/api/audit/events/count", params={"text": text})
    return int(answer.json()["count"])


async def test_after_forgetting_no_file_has_the_text_and_all_proofs_made_before_hold(
    settings: dict[str, str], tmp_path: Path
) -> None:
    data, store = tmp_path / "data", ("--store", settings["CALLBOARD_STORE"])
    log = data / "log.db"
    with trio.fail_after(PATIENCE):
        async with serving(**settings) as server:
            of_ann, of_bob = await conversation(server, "ann", SECRET), await conversation(server, "bob", OTHER)
            path = f"/api/ws/conversations/{of_ann.removeprefix('conversation-')}"
            async with server.connect(path) as listener:
                greeting = await heard(listener)
                epoch, joined = greeting["epoch"], greeting["seq"] - 1
                assert SECRET in await replayed(server, path, epoch, joined)
                await Index(log, opener_of(log, read_master_key(tmp_path / "key"))).level()
                assert await found(server, "4711") > 1
                assert {file.removesuffix("-wal") for file in holders_of(SECRET, data)} == {"log.db-index"}
                proof = tmp_path / "proof.json"
                proof.write_text(await run("proof", "make", f"{of_ann}@1", "--fresh", *store))

                told = await run("forget", "ann", "--yes", "--server", server.urls[0])
                assert "person:ann is forgotten: 1 key destroyed, 1 stream" in told
                assert (await listener.closed())[0] == 1012

            assert holders_of(SECRET, data) == []
            assert await found(server, "4711") == 0
            assert SECRET not in await events_of(server, of_ann)
            assert "[erased]" in await events_of(server, of_ann)
            assert OTHER in await events_of(server, of_bob)
            frames = await replayed(server, path, epoch, joined)
            assert SECRET not in frames
            assert "[erased]" in frames
            messages = (await server.http.get(f"/api/v2/conversations/{path.rpartition('/')[2]}/messages")).text
            assert SECRET not in messages
            assert "[erased]" in messages
            again = await run("forget", "ann", "--yes", "--server", server.urls[0])
            assert "There is no key of person:ann" in again
            listed = (await server.http.get("/api/v2/conversations")).text
            assert SECRET not in listed
            assert OTHER in listed
        await run("verify", *store)
        await run("proof", "check", str(proof))
        assert SECRET not in proof.read_text()
        await run("check", *store)
        async with serving(**settings) as later:
            listed = (await later.http.get("/api/v2/conversations")).text
            assert SECRET not in listed
            assert OTHER in listed
    assert holders_of(SECRET, data) == []
