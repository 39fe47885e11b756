"""Encryption as its owner sets it up, and `callboard forget`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import jwt
import pytest
import trio
from msgspec.structs import replace

from adapters import cli
from adapters.config import BadSetting, from_environment
from adapters.deeds import record_in
from adapters.forgetting import Forgetting, Forgotten, nothing_in_memory
from adapters.forking import fork
from adapters.gateways.blobs import blobs_beside
from adapters.opening import open_store
from adapters.setting_values import StoreAddress
from core.audit import Command, SubjectForgotten
from core.conversation import ConversationOpened, FinalHeard, OpenConversation, UpdateTranscript
from core.identifiers import Category, StreamName
from core.messages import Decision, Stamp
from core.ports import StoreUnavailable
from core.session import Media, MediaKind, MediaReceived, OpenSession, SessionOpened
from eventstore.index import Index
from eventstore.locking import take_lock
from eventstore.masterkey import MasterKey
from eventstore.opening import open_sqlite
from eventstore.sealing import Vault
from eventstore.sqlite import SQLiteStore
from eventstore.unlocking import keys_file
from tests.adapters.whole import serving

Run = Callable[..., tuple[int, str, str]]

SECRET = "the code of my door is 4711"


@pytest.fixture
def keyed(tmp_path: Path) -> dict[str, str]:
    """Settings of a server whose log is sealed."""
    key = tmp_path / "key"
    key.write_text("5a" * 32)
    return {"CALLBOARD_STORE": f"sqlite:///{tmp_path}/data/log.db", "CALLBOARD_ENCRYPTION_KEY": str(key)}


# --- the setting ------------------------------------------------------------------------------------------------


async def test_with_a_key_the_log_does_not_say_what_people_said(keyed: dict[str, str], tmp_path: Path) -> None:
    """CALLBOARD_ENCRYPTION_KEY."""
    async with serving(**keyed) as server:
        await server.http.post("/api/v2/conversations", json={"topic": SECRET, "user_id": "ann"})
    async with serving(**keyed) as later:
        assert SECRET in (await later.http.get("/api/v2/conversations?user_id=ann")).text
    assert {file.name for file in (tmp_path / "data").iterdir()} >= {"log.db", "log.db-keys"}
    for file in (tmp_path / "data").iterdir():
        assert SECRET.encode() not in file.read_bytes(), file


async def test_a_server_without_the_key_of_its_log_does_not_start(keyed: dict[str, str], tmp_path: Path) -> None:
    async with serving(**keyed) as server:
        await server.opened()
    (tmp_path / "key").write_text("00" * 32)
    for settings in (keyed, {**keyed, "CALLBOARD_ENCRYPTION_KEY": ""}):
        with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="CALLBOARD_ENCRYPTION_KEY"), flatten_subgroups=True):
            async with serving(**settings):
                pass


async def test_a_bad_key_is_named_at_the_start_and_not_shown(keyed: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2")
    with pytest.RaisesGroup(BadSetting, flatten_subgroups=True) as refusal:
        async with serving(**keyed):
            pass
    assert refusal.value.exceptions[0].args[0].startswith(f"CALLBOARD_ENCRYPTION_KEY: {tmp_path}/key holds no key")
    assert "hunter2" not in str(refusal.value.exceptions[0])


def test_a_log_in_memory_is_not_sealed() -> None:
    with pytest.raises(BadSetting, match="CALLBOARD_ENCRYPTION_KEY: a log in memory"):
        from_environment({"CALLBOARD_ENCRYPTION_KEY": "key", "CALLBOARD_STORE": "memory:"}, {})


# --- keys -------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as typed: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def store(keyed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sealed log in which a conversation has SECRET for its topic; the environment names its key."""

    async def fill() -> None:
        async with open_sqlite(tmp_path / "data" / "log.db", master=MasterKey(b"\x5a" * 32)) as store:
            command = OpenConversation("tutor", "voice", SECRET, "ann", "api")
            event = ConversationOpened("tutor", "voice", SECRET, "ann", "api")
            stream = StreamName.of(Category.CONVERSATION, "1")
            await store.append(stream, [Decision(Stamp("c", 1), command, (event,))], expected_version=0)

    trio.run(fill)
    monkeypatch.setenv("CALLBOARD_ENCRYPTION_KEY", keyed["CALLBOARD_ENCRYPTION_KEY"])
    return keyed["CALLBOARD_STORE"]


def test_the_command_line_reads_a_sealed_log_with_its_key_alone(
    store: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SECRET in run("log", "show", "1", "--json", "--store", store)[1]
    assert run("check", "--store", store)[0] == 0
    monkeypatch.delenv("CALLBOARD_ENCRYPTION_KEY")
    assert run("verify", "--store", store)[0] == 0, "the chain needs no key"
    code, out, err = run("log", "show", "1", "--store", store)
    assert (code, out) == (1, "")
    assert "set CALLBOARD_ENCRYPTION_KEY" in err


def test_after_a_rotation_the_new_key_reads_the_log_and_running_it_again_does_no_harm(
    store: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = str(tmp_path / "new")
    assert run("keys", "new", new)[0] == 0
    for _ in range(2):
        code, out, _ = run("keys", "rotate", "--new", new, "--store", store)
        assert (code, out.partition(" ")[0]) == (0, "1")
    code, _, err = run("log", "show", "1", "--store", store)
    assert (code, "not the key" in err) == (1, True)
    monkeypatch.setenv("CALLBOARD_ENCRYPTION_KEY", new)
    assert SECRET in run("log", "show", "1", "--json", "--store", store)[1]


def test_a_subject_gets_a_new_key_and_what_was_sealed_stays_readable(store: str, run: Run) -> None:
    assert run("keys", "renew", "ann", "--store", store)[0] == 0
    assert SECRET in run("log", "show", "1", "--json", "--store", store)[1]


def test_no_key_is_lost_or_shown_by_a_slip(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLBOARD_ENCRYPTION_KEY", raising=False)
    key = tmp_path / "key"
    for arguments, reason in (
        (("keys", "new", str(key)), ""),
        (("keys", "new", str(key)), "already"),
        (("keys", "rotate", "--new", str(key)), "no key is named"),
        (("keys", "rotate", "--key", str(key), "--new", str(key), "--store", f"sqlite:///{tmp_path}/x"), "has no keys"),
        (("keys", "rotate", "--key", __file__, "--new", str(key)), "holds no key"),
    ):
        code, out, err = run(*arguments)
        assert (code, reason in err, err.count("\n")) == ((1, True, 1) if reason else (0, True, 0)), err
        assert key.read_text().strip() not in out + err


# --- forgetting -------------------------------------------------------------------------------------------------

MASTER = MasterKey(b"\x5a" * 32)


def heard(user: str, *digests: str) -> Decision:
    """A session of the user's, in which these blobs were received."""
    media = [MediaReceived(MediaKind.AUDIO, Media(digest, 3, "audio/wav"), 1) for digest in digests]
    opened = SessionOpened(user, "streams", 1, None, {"name": SECRET})
    return Decision(Stamp("c", 1), OpenSession(user, "streams", 1, None, {"name": SECRET}), (opened, *media))


def said(name: str) -> StreamName:
    return StreamName.of(Category.SESSION, name)


async def nothing_recorded(command: Command) -> None:
    raise StoreUnavailable("the log is full")


async def test_a_subjects_blobs_go_unless_somebody_elses_events_name_them_too(tmp_path: Path) -> None:
    path, blobs = tmp_path / "log.db", blobs_beside(tmp_path / "log.db")
    own, shared = await blobs.put(b"own"), await blobs.put(b"shared")
    async with open_sqlite(path, master=MASTER) as store:
        await store.append(said("1"), [heard("ann", own, shared)], expected_version=0)
        await store.append(said("2"), [heard("bob", shared)], expected_version=0)
        record = partial(record_in, store, Stamp("c", 1))
        done = await Forgetting(store, path, blobs).forget("ann", record, nothing_in_memory)
        assert done == Forgotten("person:ann", keys=1, streams=1, blobs=1, in_clear=0, elsewhere=0)
        assert (await blobs.get(own), await blobs.get(shared)) == (None, b"shared")
        infos = [(await store.read_events(said(name)))[0].user_info for name in "12"]
        assert infos == [{}, {"name": SECRET}]


async def test_a_forgetting_that_was_cut_short_is_finished_by_doing_it_again(tmp_path: Path) -> None:
    path, blobs = tmp_path / "log.db", blobs_beside(tmp_path / "log.db")
    own = await blobs.put(b"own")

    async def lost(streams: Collection[StreamName]) -> None:
        raise OSError("the power is off")

    async with open_sqlite(path, master=MASTER) as store:
        await store.append(said("1"), [heard("ann", own)], expected_version=0)
        record, work = partial(record_in, store, Stamp("c", 1)), Forgetting(store, path, blobs)
        with pytest.raises(StoreUnavailable):
            await work.forget("ann", nothing_recorded, nothing_in_memory)
        assert (await store.read_events(said("1")))[0].user_info == {"name": SECRET}, "not on record, so not done"
        await Index(path, store.opener).level()
        with pytest.raises(OSError, match="power"):
            await work.forget("ann", record, lost)
        assert (await store.read_events(said("1")))[0].user_info == {}
        again = await work.forget("ann", record, nothing_in_memory)
        assert again == Forgotten("person:ann", keys=0, streams=1, blobs=0, in_clear=0, elsewhere=0)
        on_record = [record.event for record in await store.read_all() if isinstance(record.event, SubjectForgotten)]
        assert [(event.subject, event.streams, event.blobs) for event in on_record] == [("person:ann", 1, 0)]
    assert b"4711" not in b"".join(file.read_bytes() for file in _files(tmp_path))


async def test_a_caller_that_hangs_up_midway_does_not_cut_a_forgetting_short(tmp_path: Path) -> None:
    path, blobs = tmp_path / "log.db", blobs_beside(tmp_path / "log.db")
    own, started_over = await blobs.put(b"own"), list[Collection[StreamName]]()
    async with open_sqlite(path, master=MASTER) as store:
        await store.append(said("1"), [heard("ann", own)], expected_version=0)
        ring = vault_of(store).ring
        await Index(path, store.opener).level()
        with trio.CancelScope() as call:

            async def hanging_up(command: Command) -> None:
                call.cancel()
                await record_in(store, Stamp("c", 1), command)

            async def start_over(streams: Collection[StreamName]) -> None:
                started_over.append(streams)

            await Forgetting(store, path, blobs).forget("ann", hanging_up, start_over)
        assert (await store.read_events(said("1")))[0].user_info == {}
        assert started_over == [{said("1")}] * 2
        assert not ring.unfinished()
    assert b"4711" not in b"".join(file.read_bytes() for file in _files(tmp_path))


async def test_starts_after_a_forgetting_have_the_boards_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with open_sqlite(path, master=MASTER) as store:
        await store.append(said("1"), [heard("ann")], expected_version=0)
        record = partial(record_in, store, Stamp("c", 1))

        async def start_over(streams: Collection[StreamName]) -> None:
            await store.save_checkpoint("board", 1, SECRET.encode())

        await Forgetting(store, path, blobs_beside(path)).forget("ann", record, start_over)
        assert await store.load_checkpoint("board") is None, "it may tell of what was forgotten"
        await store.save_checkpoint("board", 2, b"without")
    for _ in range(2):
        async with open_sqlite(path, master=MASTER) as store:
            assert await store.load_checkpoint("board") == (2, b"without")


async def test_what_a_killed_write_of_a_blob_left_is_gone_once_the_log_is_opened_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    left = tmp_path / "log.db-blobs" / "ab" / ".left"
    left.parent.mkdir(parents=True)
    left.write_text(SECRET)
    os.utime(left, (0, 0))
    async with open_store(StoreAddress(path), apart=False):
        assert not left.exists()


def vault_of(store: SQLiteStore) -> Vault:
    assert isinstance(store.opener, Vault)
    return store.opener


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


async def test_a_keys_file_from_before_a_forgetting_brings_nothing_back(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with open_sqlite(path, master=MASTER) as store:
        await store.append(said("1"), [heard("ann")], expected_version=0)
        kept = keys_file(path).read_bytes()
        record = partial(record_in, store, Stamp("c", 1))
        await Forgetting(store, path, blobs_beside(path)).forget("ann", record, nothing_in_memory)
    keys_file(path).write_bytes(kept)
    async with open_sqlite(path, master=MASTER) as store:
        assert (await store.read_events(said("1")))[0].user_info == {}


async def test_what_was_recorded_in_clear_is_said_to_stay(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with open_sqlite(path) as store:
        await store.append(said("1"), [heard("ann")], expected_version=0)
    async with open_sqlite(path, master=MASTER) as store:
        record = partial(record_in, store, Stamp("c", 1))
        done = await Forgetting(store, path, blobs_beside(path)).forget("ann", record, nothing_in_memory)
    assert (done.keys, done.in_clear) == (0, 1)


async def test_what_somebody_said_in_a_stream_of_another_is_counted_until_that_one_is_forgotten(tmp_path: Path) -> None:
    path, stream = tmp_path / "log.db", StreamName.of(Category.CONVERSATION, "1")
    opening = OpenConversation("tutor", "voice", SECRET, "ann", "api")
    opened = ConversationOpened("tutor", "voice", SECRET, "ann", "api")
    words = Decision(Stamp("c", 2, principal="bob"), UpdateTranscript(final=SECRET), (FinalHeard(SECRET, 0.9),))
    async with open_sqlite(path, master=MASTER) as store:
        await store.append(stream, [Decision(Stamp("c", 1), opening, (opened,)), words], expected_version=0)
        record, work = partial(record_in, store, Stamp("c", 3)), Forgetting(store, path, blobs_beside(path))
        assert (await work.forget("bob", record, nothing_in_memory)).elsewhere == 1
        assert (await work.forget("ann", record, nothing_in_memory)).elsewhere == 0
        assert (await work.forget("bob", record, nothing_in_memory)).elsewhere == 0


@pytest.mark.parametrize(("user", "named", "keys"), [(None, "conversation-1", 3), ("ann", "ann", 1)])
async def test_forks_of_what_is_forgotten_and_their_forks_are_forgotten_with_it(
    tmp_path: Path, user: str | None, named: str, keys: int
) -> None:
    path, stamp = tmp_path / "log.db", Stamp("c", 1, principal="olga")
    names = [StreamName.of(Category.CONVERSATION, each) for each in "1234"]
    opening = OpenConversation("tutor", "voice", SECRET, user, "api")
    opened = ConversationOpened("tutor", "voice", SECRET, user, "api")
    async with open_sqlite(path, master=MASTER) as store:
        for name in (names[0], names[3]):
            whose = user if name == names[0] else None
            decision = Decision(Stamp("c", 1), replace(opening, user_id=whose), (replace(opened, user_id=whose),))
            await store.append(name, [decision], expected_version=0)
        await fork(store, names[0], names[1], stamp)
        await fork(store, names[1], names[2], stamp, at=1)
        record = partial(record_in, store, stamp)
        done = await Forgetting(store, path, blobs_beside(path)).forget(named, record, nothing_in_memory)
        assert (done.keys, done.streams) == (keys, 3)
        topics = [(await store.read_events(name))[0].topic for name in names]
        assert topics == ["[erased]"] * 3 + [SECRET]


async def test_what_is_forked_while_it_is_forgotten_is_forgotten_too(tmp_path: Path) -> None:
    path, stamp = tmp_path / "log.db", Stamp("c", 1)
    one, other = (StreamName.of(Category.CONVERSATION, each) for each in "12")
    async with open_sqlite(path, master=MASTER) as store:
        opened = ConversationOpened("tutor", "voice", SECRET, None, "api")
        decision = Decision(stamp, OpenConversation("tutor", "voice", SECRET, None, "api"), (opened,))
        await store.append(one, [decision], expected_version=0)
        record = partial(record_in, store, stamp)

        async def late(command: Command) -> None:
            if not await store.read_stream(other):
                await fork(store, one, other, stamp)
            await record(command)

        done = await Forgetting(store, path, blobs_beside(path)).forget(one, late, nothing_in_memory)
        assert (done.keys, done.streams) == (2, 2)
        assert (await store.read_events(other))[0].topic == "[erased]"


def test_forgetting_without_a_server(store: str, run: Run, tmp_path: Path) -> None:
    code, _, err = run("forget", "ann", "--store", store)
    assert (code, err.count("\n"), "write --yes" in err) == (1, 1, True)
    lock = take_lock(tmp_path / "data" / "log.db")
    code, _, err = run("forget", "ann", "--yes", "--store", store)
    lock.release()
    assert (code, err.count("\n"), "--server URL" in err) == (1, 1, True)
    assert run("forget", "ann", "--yes", "--store", store)[1].startswith("person:ann is forgotten: 1 key destroyed")
    assert run("forget", "ann", "--yes", "--store", store)[1].startswith("There is no key of person:ann")
    shown = run("log", "show", "1", "--json", "--store", store)[1]
    assert "[erased]" in shown
    assert SECRET not in shown
    assert run("verify", "--store", store)[0] == 0
    assert run("check", "--store", store)[0] == 0
    tail = run("log", "tail", "--json", "--store", store)[1].splitlines()
    assert [json.loads(line)["event"] for line in tail][1:] == ["audit.subject_forgotten/1"]


def test_where_nothing_is_sealed_forgetting_says_why_it_cannot_be(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLBOARD_ENCRYPTION_KEY", raising=False)

    async def fill() -> None:
        async with open_sqlite(tmp_path / "log.db") as plain:
            await plain.append(said("1"), [heard("ann")], expected_version=0)

    trio.run(fill)
    code, out, err = run("forget", "ann", "--yes", "--store", f"sqlite:///{tmp_path}/log.db")
    assert (code, out, err.count("\n"), "CALLBOARD_ENCRYPTION_KEY" in err) == (1, "", 1, True)


async def test_over_http_it_takes_an_operator_and_a_sealed_log(keyed: dict[str, str]) -> None:
    secret = "an-example-of-a-signing-key-with-enough-bytes"
    jwt_settings = {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": secret}

    def by(role: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {jwt.encode({'sub': 'olga', 'exp': 2**32, 'roles': [role]}, secret, 'HS256')}"
        }

    async with serving(**keyed, **jwt_settings) as server:
        path = "/api/audit/subjects/ann/forget"
        assert (await server.http.post(path, headers=by("auditor"))).status_code == 403
        await server.http.post("/api/v2/conversations", json={"topic": SECRET, "user_id": "ann"}, headers=by("client"))
        told = await server.http.post(path, headers=by("operator"))
        assert told.json() == {
            "subject": "person:ann",
            "keys": 1,
            "streams": 1,
            "blobs": 0,
            "in_clear": 0,
            "elsewhere": 0,
        }
        found = await server.http.get(
            "/api/audit/events?event=audit.subject_forgotten", headers=by("auditor"), follow_redirects=True
        )
        assert [entry["principal"] for entry in found.json()["entries"]] == ["olga"]
    async with serving() as in_memory:
        refused = await in_memory.http.post(path)
        assert (refused.status_code, "CALLBOARD_ENCRYPTION_KEY" in refused.text) == (409, True)
