"""The index beside a log: derived, level, of this log alone; and what is to be forgotten is in none of its files."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from core.ports import StoreUnavailable
from eventstore import index as tuning
from eventstore.audit import AuditLog, Filters
from eventstore.index import Index
from eventstore.index_reading import index_path
from eventstore.opening import open_sqlite
from eventstore.words import match_expression, objection, phrases, says
from tests.eventstore.logs import raw, say, stream


async def written(path: Path, *texts: str) -> None:
    async with open_sqlite(path) as store:
        for text in texts:
            await say(store, stream("a"), text)


async def found(path: Path, text: str) -> list[int]:
    return [entry.position for entry in (await AuditLog(path).page(Filters(text=text))).entries]


async def plan(path: Path, filters: Filters) -> str:
    return "\n".join(await AuditLog(path).plan(filters))


def bytes_beside(path: Path) -> bytes:
    """All that the index has on the disk."""
    files = path.parent.glob(f"{index_path(path).name}*")
    return b"".join(file.read_bytes() for file in files)


async def test_levelling_goes_on_where_it_ended_and_tells_how_far_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "STEP", 2)
    monkeypatch.setattr(tuning, "STEPS", 1)
    await written(path, "one", "two", "three", "four", "five")
    told = list[tuple[int, int]]()
    assert await Index(path).level(lambda position, head: told.append((position, head))) == 5
    assert told == [(2, 5), (4, 5)]
    await written(path, "six")
    assert await Index(path).level() == 6
    assert await found(path, "six") == [6]


async def is_indexed(path: Path, text: str) -> bool:
    """Whether a follower that has time takes a word in."""
    for _ in range(1000):
        await trio.sleep(tuning.PAUSE)
        if "VIRTUAL TABLE" in await plan(path, Filters(text=text)) and len(await found(path, text)) == 1:
            return True
    return False


async def test_a_follower_takes_in_what_comes(path: Path, autojump_clock: trio.testing.MockClock) -> None:
    await written(path, "before")
    async with open_sqlite(path) as store, trio.open_nursery() as nursery:
        nursery.start_soon(Index(path).follow, lambda: store.head)
        await say(store, stream("b"), "meanwhile")
        assert await is_indexed(path, "meanwhile")
        await Index(path).forget()
        assert await is_indexed(path, "before")
        for file in path.parent.glob(f"{index_path(path).name}*"):
            file.unlink()
        assert await is_indexed(path, "meanwhile")
        nursery.cancel_scope.cancel()


async def test_an_index_of_another_log_is_made_anew(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    await written(other, "elsewhere", "and again")
    await Index(other).level()
    await written(path, "here", "and there")
    index_path(other).rename(index_path(path))
    assert await found(path, "elsewhere") == []
    assert await found(path, "here") == [1]
    await Index(path).level()
    assert await found(path, "elsewhere") == []
    assert await found(path, "here") == [1]
    assert b"elsewhere" not in bytes_beside(path)


async def test_an_index_of_another_past_of_the_log_is_made_anew(path: Path) -> None:
    """A copy of the log was put back, and went on differently."""
    await written(path, "before")
    earlier = path.read_bytes()
    await written(path, "undone")
    await Index(path).level()
    path.write_bytes(earlier)
    await written(path, "instead", "and more")
    assert await found(path, "undone") == []
    assert await found(path, "instead") == [2]
    await Index(path).level()
    assert await found(path, "undone") == []
    assert await found(path, "instead") == [2]


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be one" * 100])
async def test_what_is_no_index_is_made_one(content: bytes, path: Path) -> None:
    await written(path, "here")
    index_path(path).write_bytes(content)
    assert await found(path, "here") == [1]
    assert await Index(path).level() == 1
    assert await found(path, "here") == [1]


async def test_an_index_of_another_format_is_made_anew(path: Path) -> None:
    await written(path, "here")
    await Index(path).level()
    with raw(index_path(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert await Index(path).level() == 1
    with raw(index_path(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == tuning.FORMAT


async def test_a_reader_sees_an_index_that_was_deleted_and_made_again(path: Path) -> None:
    await written(path, "one")
    audit, index = AuditLog(path), Index(path)
    await audit.page(Filters())
    await index.level()
    assert "VIRTUAL TABLE" in "\n".join(await audit.plan(Filters(text="one")))
    for file in path.parent.glob(f"{index_path(path).name}*"):
        file.unlink()
    assert "VIRTUAL TABLE" not in "\n".join(await audit.plan(Filters(text="one")))
    await index.level()
    assert "VIRTUAL TABLE" in "\n".join(await audit.plan(Filters(text="one")))


class Erasing:
    """Gives a text until it is erased."""

    erased = False

    def event(self, stream: str, version: int, name: str, state: str) -> str:  # a protocol's
        return state.replace("unobtainium", "[erased]") if self.erased else state

    def command(self, stream: str, version: int, command: str | None) -> bytes | None:
        return None if command is None else self.event(stream, version, "", command).encode()


async def test_what_is_forgotten_is_in_no_file_of_the_index(path: Path) -> None:
    """The log gives the text no more: here by what unseals it."""
    others = " ".join(f"word{number * number}" for number in range(3000))  # so that pages become free
    await written(path, *(f"some unobtainium {others}" for _ in range(3)), "something else")
    opener = Erasing()
    index, audit = Index(path, opener), AuditLog(path, opener)
    await index.level()
    assert b"nobtainium" in bytes_beside(path)
    assert await audit.count(Filters(text="unobtainium")) == (3, True)
    opener.erased = True
    await index.forget()
    assert b"btainium" not in bytes_beside(path)
    assert await audit.count(Filters(text="unobtainium")) == (0, True)
    await index.level()
    assert b"btainium" not in bytes_beside(path)
    assert await audit.count(Filters(text="unobtainium")) == (0, True)
    assert await audit.count(Filters(text="erased")) == (3, True)
    assert await audit.count(Filters(text="else")) == (1, True)


async def test_what_cannot_be_forgotten_while_it_is_read_is_said_to_be(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "PATIENCE", 0.05)
    await written(path, "one")
    await Index(path).level()
    with raw(index_path(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM level").fetchall()
        with pytest.raises(StoreUnavailable, match="forget again"):
            await Index(path).forget()


async def test_an_event_that_somebody_made_unreadable_is_found_by_its_words(path: Path) -> None:
    await written(path, "one", "two")
    with raw(path) as connection:
        connection.execute("DROP TRIGGER only_archived")
        connection.execute("UPDATE stored_events SET state = 'plainly no json' WHERE rowid = 2")
    await Index(path).level()
    assert await found(path, "plainly") == [2]


NASTY = (
    '"', '""', '"a', 'a"b', "*", "a*b", "(", "a AND", "OR", "NOT a", "NEAR(a b)", "text:a", "tags:sab", "a -b", "^a",
    "{x} : y", "a\0b", "\0", "\ud800", "'; DROP TABLE entries", "+", "a + b", '"a" "b"*', "İ", "ß", "日本語", "🎉",
)  # fmt: skip


async def test_names_of_commands_and_keys_are_no_texts(path: Path) -> None:
    await written(path, "one")
    for _ in range(2):
        assert [await found(path, text) for text in ("conversation", "say", "content", "role")] == [[], [], [], []]
        await Index(path).level()


async def test_nothing_a_person_types_is_a_mistake(path: Path) -> None:
    await written(path, "a needle", "text tags AND OR NOT NEAR")
    await Index(path).level()
    audit = AuditLog(path)
    for text in NASTY:
        page = await audit.page(Filters(text=text))
        assert page.next_cursor is None
        assert (await audit.count(Filters(text=text, stream=text, principal=text)))[0] == 0


TEXTS = (
    "Ünïcödé Straße naïve",
    "日本語 テキスト",
    "one-two_three's 4.5",
    "tab\tnew\nline",
    "🎉 party 🎉",
    "İstanbul ﬁne",
)


async def test_the_index_and_the_log_agree_what_a_word_is(path: Path) -> None:
    await written(path, *TEXTS)
    asked = ["unicode", "strasse", "straße", "naive", "日本語", "日本", "日本*", "one", "two", "three", "s", "4", "5"]
    asked += ["party", "new line", '"new line"', '"line new"', "ﬁne", "fine", "テキスト", "UNICODE"]
    without = {text: await found(path, text) for text in asked}
    await Index(path).level()
    assert {text: await found(path, text) for text in asked} == without
    assert without["unicode"] == [1]


def test_a_question_has_a_bounded_number_of_words_and_each_is_looked_up_once() -> None:
    assert match_expression(phrases('s* S* "s"* other s')) == '"s" * AND "other" AND "s"'
    assert objection("word " * 16) is None
    assert objection("s* " * 17) == "there are 17 words and phrases in it; write 16 at most"


def test_what_has_no_word_in_it_asks_for_nothing_and_finds_nothing() -> None:
    assert phrases(' - "" * ') == ()
    assert not says((), '"anything"', None)
