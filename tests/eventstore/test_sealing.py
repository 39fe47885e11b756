"""Personal text in the log is sealed with a key of its subject, and without that key it is gone."""

from __future__ import annotations

import sqlite3
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as some
from msgspec import json

from core.channel import ChannelOpened, Publish, Published
from core.conversation import ConversationOpened, MessageSaid, OpenConversation, Role, Say
from core.identifiers import Category, StreamName
from core.messages import Decision, Stamp
from core.ports import EventStore, StoreUnavailable
from eventstore import keyring
from eventstore.catalog import COMMANDS, EVENTS
from eventstore.ciphers import Cipher
from eventstore.codec import events
from eventstore.fields import EACH, changed, tree_of
from eventstore.keyring import KeyRing, SubjectKey, WrongMasterKey
from eventstore.masterkey import BadMasterKey, MasterKey, make_master_key, read_master_key
from eventstore.opening import open_sqlite, open_sqlite_read_only
from eventstore.personal import IMPERSONAL_COMMANDS, IMPERSONAL_EVENTS, PERSONAL_COMMANDS, PERSONAL_EVENTS
from eventstore.sealing import ERASED, Vault
from eventstore.sqlite import SQLiteStore
from eventstore.subjects import owner, subject_named
from eventstore.unlocking import keys_file
from tests.eventstore.logs import assert_chained, raw, stream, texts
from tests.eventstore.test_catalog import DECIDERS, GOLDEN

MASTER, OTHER = MasterKey(bytes(range(32))), MasterKey(bytes(32))
EMPTY: tuple[Any, ...] = (None, "", [], {})
SECRET = "my number is 0049 170 555"


@pytest.fixture
async def sealed(path: Path) -> AsyncIterator[SQLiteStore]:
    async with open_sqlite(path, master=MASTER) as store:
        yield store


@asynccontextmanager
async def opened(path: Path, master: MasterKey | None = MASTER) -> AsyncIterator[SQLiteStore]:
    async with open_sqlite(path, master=master) as store:
        yield store


def vault_of(store: SQLiteStore) -> Vault:
    assert isinstance(store.opener, Vault)
    return store.opener


def begun_by(user: str | None, principal: str = "anonymous") -> Decision:
    opening = ConversationOpened("tutor", "voice", None, user, "api")
    return Decision(
        Stamp("c", 1, None, None, principal), OpenConversation("tutor", "voice", None, user, "api"), (opening,)
    )


def said(text: str, principal: str = "anonymous") -> Decision:
    return Decision(Stamp("c", 1, None, None, principal), Say("m", "r", text), (MessageSaid("m", Role.USER, text),))


async def talk(store: EventStore, name: str, user: str | None, text: str) -> StreamName:
    """A conversation of `user` in which `text` was said."""
    await store.append(stream(name), [begun_by(user)], expected_version=0)
    await store.append(stream(name), [said(text)], expected_version=1)
    return stream(name)


def payloads(path: Path) -> list[str]:
    with raw(path) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM stored_events ORDER BY rowid")]


# --- the declaration --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("catalog", "personal", "impersonal"),
    [(EVENTS, PERSONAL_EVENTS, IMPERSONAL_EVENTS), (COMMANDS, PERSONAL_COMMANDS, IMPERSONAL_COMMANDS)],
    ids=["events", "commands"],
)
def test_every_name_of_the_catalog_is_declared_personal_or_impersonal(
    catalog: dict[str, type], personal: dict[str, tuple[str, ...]], impersonal: frozenset[str]
) -> None:
    assert set(catalog) - personal.keys() - impersonal == set(), "declare them in eventstore/personal.py"
    assert not personal.keys() & impersonal
    for name, paths in personal.items():
        for path in paths:
            assert _leads_somewhere(catalog[name], path.split(".")), f"{name} has no {path}"


def _leads_somewhere(kind: Any, steps: list[str]) -> bool:
    for step in steps:
        if step == EACH:
            kind = kind.__args__[0]
            continue
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        if step not in fields:
            return False
        kind = fields[step]
    return True


# --- values -----------------------------------------------------------------------------------------------------

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | some.text(),
    lambda values: some.lists(values, max_size=4) | some.dictionaries(some.text(), values, max_size=4),
    max_leaves=12,
)


@given(value=JSON, others=some.dictionaries(some.text(), JSON, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_value_is_sealed_and_opened_to_the_same_bytes(value: Any, others: dict[str, Any]) -> None:
    cipher = Cipher(SubjectKey("a key", bytes(32)))
    before = json.encode({**others, "here": value, "list": [{"there": value}, 1]})
    tree = tree_of(["here", "list.[].there"])
    sealed = changed(before, tree, cipher.seal)

    def opened(at: str, content: bytes) -> bytes:
        wrapped = json.decode(content)
        if value in EMPTY:
            assert wrapped == value
            return content
        assert ERASED[wrapped["is"]] is not None
        return cipher.open(at, b64decode(wrapped["sealed"].partition(".")[2]), wrapped["is"])

    assert changed(sealed, tree, opened) == before


def test_a_value_with_another_shape_than_declared_stays_as_it_is() -> None:
    tree = tree_of(["a.[].b"])
    for other in (b'{"a":3}', b'{"a":{"b":1}}', b"[]", b'"a"'):
        assert changed(other, tree, lambda at, value: b'"?"') == other  # a Change


@pytest.mark.parametrize("name", sorted(PERSONAL_EVENTS))
def test_every_kind_of_event_is_folded_when_it_was_forgotten(name: str) -> None:
    """And whatever of it is personal reads as what stands for its type."""
    cipher, tree = Cipher(SubjectKey("a key", bytes(32))), tree_of(PERSONAL_EVENTS[name])
    before = (GOLDEN / f"{name.replace('/', '@')}.json").read_bytes().strip()
    sealed = changed(before, tree, cipher.seal)
    erased = changed(sealed, tree, lambda _, value: ERASED[json.decode(value)["is"]] if b"sealed" in value else value)
    assert sealed != before, "an example has something personal"
    event = events.decode(name, erased)
    decider = DECIDERS.get(name.split(".")[0])
    if decider is not None:
        decider.wanted(decider.fold(decider.initial, (event, event)))


# --- the log ----------------------------------------------------------------------------------------------------


async def test_what_is_said_is_not_in_the_file_and_is_read_as_it_was_said(sealed: SQLiteStore, path: Path) -> None:
    await talk(sealed, "1", "ann", SECRET)
    await assert_chained(sealed)
    assert texts((await sealed.read_stream(stream(1)))[1:]) == [SECRET]
    assert (await sealed.read_events(stream(1)))[1].content == SECRET
    assert [record.event for record in await sealed.read_all()] == await sealed.read_events(stream(1))
    for file in path.parent.iterdir():
        assert SECRET.encode() not in file.read_bytes(), file


async def test_what_is_not_personal_stays_readable_for_sql(sealed: SQLiteStore, path: Path) -> None:
    await talk(sealed, "1", "ann", SECRET)
    with raw(path) as connection:
        query = "SELECT json_extract(state, '$.role'), json_extract(state, '$.content.is') FROM stored_events"
        assert connection.execute(query).fetchall()[1] == ("user", "string")


async def test_without_encryption_the_log_is_as_it_always_was(durable: SQLiteStore, path: Path) -> None:
    await talk(durable, "1", "ann", SECRET)
    assert SECRET in payloads(path)[1]
    assert not keys_file(path).exists()


async def test_what_was_recorded_before_encryption_is_read_beside_what_came_after(path: Path) -> None:
    async with open_sqlite(path) as plain:
        await talk(plain, "1", "ann", "in clear")
    async with opened(path) as store:
        await store.append(stream(1), [said(SECRET)], expected_version=2)
        assert texts((await store.read_stream(stream(1)))[1:]) == ["in clear", SECRET]
        assert "in clear" in payloads(path)[1]
        assert SECRET not in payloads(path)[2]


async def test_what_only_looks_sealed_is_read_as_what_it_is(path: Path) -> None:
    fake = {"text": "x", "deep": {"sealed": "0123.AAAA", "is": "string"}, "sealed": "0123.AAAA", "is": "object"}
    channel = StreamName.of(Category.CHANNEL, "c")
    decision = Decision(Stamp("c", 1), Publish("c", fake), (ChannelOpened("c"), Published("c", fake)))
    async with open_sqlite(path) as plain:
        await plain.append(channel, [decision], expected_version=0)
    async with opened(path) as store:
        await store.append(channel, [decision], expected_version=2)
        assert [event.payload for event in (await store.read_events(channel))[1::2]] == [fake, fake]


async def test_a_sealed_value_put_into_another_place_does_not_open(path: Path) -> None:
    async with opened(path) as store:
        await talk(store, "1", "ann", "the first")
        await store.append(stream(1), [said("the second")], expected_version=2)
    first, second = payloads(path)[1:]
    for forged in (second, first.replace('"string"', '"number"')):
        with raw(path) as connection:
            connection.execute("DROP TRIGGER only_archived")
            connection.execute("UPDATE stored_events SET state = ? WHERE rowid = 2", (forged,))
        async with opened(path) as store:
            with pytest.raises(StoreUnavailable, match="not what was sealed there"):
                await store.read_stream(stream(1))
            with pytest.raises(StoreUnavailable, match="not what was sealed there"):
                await store.read_events(stream(1))


async def test_the_key_is_durable_before_the_event_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys' file refuses: nothing is appended, and once it does not, the same append goes through."""
    async with opened(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(KeyRing, "ensure", _refuse)
            with pytest.raises(StoreUnavailable, match="full"):
                await store.append(stream(1), [begun_by("ann")], expected_version=0)
            assert store.head == 0
        await store.append(stream(1), [begun_by("ann")], expected_version=0)


def _refuse(ring: KeyRing, subjects: Any) -> Any:  # in place of a method
    raise StoreUnavailable("the disk is full")


# --- subjects ---------------------------------------------------------------------------------------------------


def test_a_stream_is_its_users_else_its_first_principals_else_its_own() -> None:
    def whose(user: str | None, principal: str) -> str:
        payload = json.encode(begun_by(user).events[0]).decode()
        return owner("conversation-1", ("conversation.opened/1", payload, principal))

    assert whose("ann", "shop") == "person:ann"
    assert whose(None, "bob") == "person:bob"
    for nobody in ("anonymous", "everybody", "system", "retell"):
        assert whose(None, nobody) == whose(nobody, nobody) == "stream:conversation-1"


def test_a_person_and_a_stream_of_one_name_are_two_subjects() -> None:
    assert subject_named("ann") == "person:ann"
    assert subject_named("call-7") == "stream:call-7"
    assert subject_named("person:call-7") == "person:call-7"


async def test_all_that_is_recorded_in_a_stream_is_its_subjects(sealed: SQLiteStore) -> None:
    await talk(sealed, "1", "ann", SECRET)
    await sealed.append(stream(1), [said("by an effect", "system"), said("by another", "bob")], expected_version=2)
    ring = vault_of(sealed).ring
    assert ring.ids_of("person:ann")
    assert not ring.ids_of("person:bob")
    await vault_of(sealed).destroy(ring.ids_of("person:ann"))
    assert texts((await sealed.read_stream(stream(1)))[1:]) == ["[erased]"] * 3


async def test_in_a_channel_each_event_is_of_who_caused_it(sealed: SQLiteStore) -> None:
    channel = StreamName.of(Category.CHANNEL, "news")
    await talk(sealed, "1", "cleo", SECRET)
    stamps = [
        Stamp("c", 1, principal="ann"), Stamp("c", 1, principal="bob"), Stamp("c", 1),
        Stamp("c", 1, None, f"{stream(1)}@2", "system"),
    ]  # fmt: skip
    decisions = [Decision(each, Publish("news", {"n": 1}), (Published("news", {"n": 1}),)) for each in stamps]
    await sealed.append(channel, decisions, expected_version=0)
    ring = vault_of(sealed).ring
    for subject, erased in (("person:ann", 0), ("person:bob", 1), (f"stream:{channel}", 2), ("person:cleo", 3)):
        assert (await sealed.read_events(channel))[erased].payload == {"n": 1}
        await vault_of(sealed).destroy(ring.ids_of(subject))
        assert (await sealed.read_events(channel))[erased].payload == {}


# --- keys -------------------------------------------------------------------------------------------------------


async def test_a_destroyed_key_leaves_what_stands_for_each_type_and_the_others_text(path: Path) -> None:
    async with opened(path) as store:
        for name, user in (("1", "ann"), ("2", "bob")):
            await talk(store, name, user, f"{SECRET}, says {user}")
        ids = vault_of(store).ring.ids_of("person:ann")
        await vault_of(store).destroy(ids)
        assert texts((await store.read_stream(stream(1)))[1:]) == ["[erased]"]
        assert texts((await store.read_stream(stream(2)))[1:]) == [f"{SECRET}, says bob"]
        await store.append(stream(1), [said("after that")], expected_version=2)
        await assert_chained(store)
    async with opened(path) as store:
        assert texts((await store.read_stream(stream(1)))[1:]) == ["[erased]", "after that"]


async def test_a_new_generation_seals_what_comes_and_the_old_one_opens_what_was(path: Path) -> None:
    async with opened(path) as store:
        await talk(store, "1", "ann", "before")
        await vault_of(store).renew("person:ann")
        await store.append(stream(1), [said("after")], expected_version=2)
        assert len(vault_of(store).ring.ids_of("person:ann")) == 2
    keys = [payload.partition('"sealed":"')[2].partition(".")[0] for payload in payloads(path)[1:]]
    assert len(set(keys)) == 2
    async with opened(path) as store:
        assert texts((await store.read_stream(stream(1)))[1:]) == ["before", "after"]


async def test_after_a_rotation_the_new_master_key_opens_all_and_the_old_one_nothing(path: Path) -> None:
    async with opened(path) as store:
        await talk(store, "1", "ann", SECRET)
    before = path.read_bytes()
    ring = KeyRing(keys_file(path), MASTER)
    assert ring.rotate(OTHER) == 1
    ring.close()
    with pytest.raises(WrongMasterKey):
        KeyRing(keys_file(path), MASTER)
    assert path.read_bytes() == before, "the log is not touched"
    async with opened(path, OTHER) as store:
        assert texts((await store.read_stream(stream(1)))[1:]) == [SECRET]


def test_a_rotation_that_fails_midway_has_changed_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing(path, MASTER)
    ring.ensure(["a", "b", "c"])
    wrapped = iter([b"1", b"2"])
    with monkeypatch.context() as patch:
        patch.setattr("eventstore.keyring.aes_key_wrap", lambda *_: next(wrapped))
        with pytest.raises(StopIteration):
            ring.rotate(OTHER)
    assert all(ring.current(subject) for subject in "abc")
    assert ring.rotate(OTHER) == 3
    assert all(ring.current(subject) for subject in "abc")
    ring.close()


def test_a_destroyed_key_is_not_in_its_file(path: Path) -> None:
    ring = KeyRing(path, MASTER)
    ring.ensure(["ann", "bob"])
    with sqlite3.connect(path) as connection:
        (wrapped,) = connection.execute("SELECT wrapped FROM keys WHERE subject = 'ann'").fetchone()
    connection.close()
    assert wrapped in path.read_bytes()
    ids = ring.ids_of("ann")
    ring.destroy(ids)
    ring.close()
    assert wrapped not in path.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no journal stays"
    assert ring.is_destroyed(ids[0])
    assert ring.current("bob")
    ring.close()


async def test_nothing_is_sealed_with_a_key_whose_destruction_failed_midway(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as store:
        await talk(store, "1", "ann", SECRET)
        ids = vault_of(store).ring.ids_of("person:ann")
        with (
            closing(sqlite3.connect(keys_file(path), check_same_thread=False)) as other,
            monkeypatch.context() as patched,
        ):
            patched.setattr(keyring, "_transaction", partial(_read_by, other, keyring.__dict__["_transaction"]))
            with pytest.raises(StoreUnavailable, match="locked"):
                await vault_of(store).destroy(ids)
        await talk(store, "2", "ann", "later")
        assert texts((await store.read_stream(stream(1)))[1:]) == ["[erased]"]
    async with opened(path) as store:
        assert texts((await store.read_stream(stream(2)))[1:]) == ["later"]


@contextmanager
def _read_by(other: sqlite3.Connection, transaction: Any, ring: sqlite3.Connection) -> Iterator[None]:
    """In place of a transaction: right after it somebody else begins to read the file, so that it cannot be swept."""
    with transaction(ring):
        yield
    ring.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM keys").fetchone()


async def test_a_checkpoint_is_gone_with_what_it_was_derived_from(path: Path) -> None:
    async with opened(path) as store:
        await store.save_checkpoint("board", 7, SECRET.encode())
        await store.save_checkpoint("place", 8, b"")
        assert await store.load_checkpoint("board") == (7, SECRET.encode())
        await vault_of(store).destroy(())
        assert await store.load_checkpoint("board") is None
        assert await store.load_checkpoint("place") == (8, b"")


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "cut short"])
async def test_what_was_derived_before_a_forgetting_was_finished_is_gone_and_later_starts_keep_what_is_derived(
    path: Path, finished: bool
) -> None:
    async with opened(path) as store:
        await talk(store, "1", "ann", SECRET)
        ids = vault_of(store).ring.ids_of("person:ann")
        _note_forgotten(path, ids)
        await vault_of(store).destroy(ids)
        await store.save_checkpoint("board", 2, SECRET.encode())
        if finished:
            await vault_of(store).destroy(())
            vault_of(store).ring.finish()
    async with opened(path) as store:
        assert await store.load_checkpoint("board") is None
        await store.save_checkpoint("board", 3, b"without")
    for _ in range(2):
        async with opened(path) as store:
            assert await store.load_checkpoint("board") == (3, b"without")


async def test_what_was_decided_before_a_forgetting_is_not_appended_behind_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as store:
        vault, ensure = vault_of(store), KeyRing.ensure

        def ensured_late(ring: KeyRing, subjects: Any) -> Any:
            trio.from_thread.run_sync(vault.drop)
            return ensure(ring, subjects)

        monkeypatch.setattr(KeyRing, "ensure", ensured_late)
        with pytest.raises(StoreUnavailable, match="forgotten meanwhile"), trio.fail_after(5):
            await store.append(stream(1), [begun_by("ann")], expected_version=0)


# --- opening ----------------------------------------------------------------------------------------------------


async def test_a_sealed_log_is_not_written_without_its_key_nor_with_another(path: Path) -> None:
    async with opened(path) as store:
        await talk(store, "1", "ann", SECRET)
    for master, reason in ((None, "CALLBOARD_ENCRYPTION_KEY"), (OTHER, "not the key")):
        with pytest.raises(StoreUnavailable, match=reason):
            async with opened(path, master):
                pass
    keys_file(path).unlink()
    for opening in (opened, open_sqlite_read_only):
        with pytest.raises(StoreUnavailable, match=r"keys of this log are missing: .*-keys; put back the file"):
            async with opening(path, MASTER):
                pass
        assert not keys_file(path).exists(), "restoring would prefer it to the backup's"
    KeyRing(keys_file(path), MASTER).close()
    with pytest.raises(StoreUnavailable, match="not those of this log"):
        async with opened(path):
            pass


async def test_a_reader_without_the_key_verifies_and_reads_no_text(path: Path) -> None:
    async with opened(path) as store:
        await talk(store, "1", "ann", SECRET)
        async with open_sqlite_read_only(path) as reader:
            await assert_chained(reader)
            with pytest.raises(StoreUnavailable, match="CALLBOARD_ENCRYPTION_KEY"):
                await reader.read_stream(stream(1))
        async with open_sqlite_read_only(path, MASTER) as reader:
            assert texts((await reader.read_stream(stream(1)))[1:]) == [SECRET]


async def test_keys_that_come_back_with_a_copy_of_their_file_are_destroyed_again(path: Path) -> None:
    async with opened(path) as store:
        await talk(store, "1", "ann", SECRET)
        (key_id,) = vault_of(store).ring.ids_of("person:ann")
    _note_forgotten(path, [key_id])
    async with opened(path) as store:
        assert texts((await store.read_stream(stream(1)))[1:]) == ["[erased]"]


def _note_forgotten(path: Path, ids: Sequence[str]) -> None:
    """In the log, as its third event."""
    with raw(path) as connection:
        note = json.encode({"key_ids": ids}).decode()
        row = (3, "audit-x", 1, "audit.subject_forgotten/1", note, 0, "", None, None, "", "", None, b"")
        connection.execute(f"INSERT INTO stored_events VALUES ({', '.join('?' * len(row))})", row)


def test_a_master_key_is_read_in_hex_and_base64_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for text in ("00" * 32 + "\n", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="):
        file.write_text(text)
        assert read_master_key(file) == OTHER
    assert "\\x" not in repr(OTHER)


@pytest.mark.parametrize("content", [b"", b"short", b"00" * 31, b"zz" * 32, "é".encode() * 32])
def test_a_file_that_holds_no_key_is_refused_without_telling_what_it_holds(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(BadMasterKey, match="holds no key") as refusal:
        read_master_key(file)
    assert not content or content.decode() not in str(refusal.value)


def test_a_new_master_key_replaces_none_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    make_master_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    key = read_master_key(file)
    with pytest.raises(BadMasterKey, match="already"):
        make_master_key(file)
    assert read_master_key(file) == key
    with pytest.raises(BadMasterKey, match="keys new"):
        read_master_key(tmp_path / "none")
