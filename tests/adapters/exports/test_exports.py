"""Exports: three formats that say the same, in constant memory, and files that are whole or not there."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from msgspec.structs import astuple, replace

from adapters.exports import manifest as manifests
from adapters.exports.files import appearing, check_file, export_to
from adapters.exports.formats import Format, NotExported, entries_in, format_of, writer_of
from adapters.exports.manifest import Ledger, Manifest, as_json, manifest_file
from adapters.exports.parquet import ParquetWriter, parquet, pyarrow
from adapters.exports.writing import Export, Question
from eventstore.audit import Entry, Filters
from eventstore.chain import GENESIS

BATCH = 500


def entry(position: int, **changed: Any) -> Entry:
    plain = Entry(
        position, "conversation-ada", position, "conversation.interim_heard/1", '{"text":"hay"}', 1_700_000_000_000_000,
        "c", None, f"command-{position}", "ada", "b.1", None, "ab" * 32,
    )  # fmt: skip
    return replace(plain, **changed)


NASTY = [
    entry(1, principal='=HYPERLINK("http://x")', origin="+1", correlation="-1", command_id="@x"),
    entry(2, principal="'quoted", origin="", command_id="", causation="", command=""),
    entry(3, payload='{"text":"a, \\"b\\"\\r\\nc"}', principal='x"y,z\r\nnew line\rand return', origin="\ttab"),
    entry(7, principal="Ærøskøbing 🚢\u2028", time=-1, command='{"name":"x"}', causation="conversation-ada@1"),
]


@dataclass
class Steps:
    """A log that is walked through: so many entries, made as they are asked for, or these."""

    count: int = 0
    these: Sequence[Entry] = ()

    async def walk(
        self, filters: Filters, *, after: int = 0, until: int | None = None
    ) -> AsyncIterator[Sequence[Entry]]:
        if self.these:
            yield self.these
            return
        head = self.count if until is None else until
        for start in range(after, head, BATCH):
            yield [entry(n) for n in range(start + 1, min(start + BATCH, head) + 1)]


def question(format: Format, head: int, *, compress: bool = False) -> Question:
    return Question("", "epoch", head, Filters(), format, "x", 7, compress)


async def exported(steps: Steps, format: Format, *, compress: bool = False) -> tuple[bytes, Manifest]:
    export = Export(steps, question(format, steps.count or 1, compress=compress))
    content = b"".join([piece async for piece in export.pieces()])
    assert export.manifest is not None
    return content, export.manifest


def held(file: Path, content: bytes, manifest: Manifest) -> list[Entry]:
    """What is read from the file."""
    file.write_bytes(content)
    batches = entries_in(file, manifest.file.format, compressed=manifest.file.compressed)
    return [each for batch in batches for each in batch]


# --- the formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("format", Format)
async def test_what_is_read_from_an_export_is_what_was_written(tmp_path: Path, format: Format, compress: bool) -> None:
    content, manifest = await exported(Steps(these=NASTY), format, compress=compress)
    assert held(tmp_path / "x", content, manifest) == NASTY
    assert manifest.file.sha256 == sha256(content).hexdigest()
    assert manifest.file.bytes == len(content)


async def test_all_formats_have_one_digest_which_anybody_can_compute() -> None:
    told = [(await exported(Steps(these=NASTY), format))[1].entries for format in Format]
    packed = b"".join(msgspec.msgpack.encode(astuple(each)) for each in NASTY)
    assert told == [told[0]] * len(Format)
    assert told[0].sha256 == sha256(packed).hexdigest()
    assert (told[0].count, told[0].first, told[0].last, told[0].runs) == (4, 1, 7, ((1, 3), (7, 7)))


@pytest.mark.parametrize("format", Format)
async def test_equal_questions_become_equal_files(format: Format) -> None:
    one, two = [await exported(Steps(1200), format, compress=True) for _ in range(2)]
    assert one == two


@pytest.mark.parametrize("format", Format)
async def test_an_export_of_nothing_is_a_file_too(tmp_path: Path, format: Format) -> None:
    export = Export(Steps(), question(format, 0))
    content = b"".join([piece async for piece in export.pieces()])
    assert export.manifest is not None
    assert held(tmp_path / "x", content, export.manifest) == []
    assert (export.manifest.head.hash, export.manifest.entries.first) == (GENESIS.hex(), None)


async def test_no_cell_of_csv_is_a_formula(tmp_path: Path) -> None:
    content, _ = await exported(Steps(these=NASTY), Format.CSV)
    assert content.endswith(b"\r\n")
    (tmp_path / "x").write_bytes(content)
    with (tmp_path / "x").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [cell for row in rows for name, cell in row.items() if name not in {"position", "version", "time"}]
    assert [text for text in texts if text[:1] in {"=", "+", "-", "@", "\t", "\r"}] == []
    assert rows[0]["principal"] == "'" + NASTY[0].principal


async def test_parquet_has_types_and_row_groups_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.exports.parquet.MOST_ROWS", 1000)
    writer = ParquetWriter(compress=True)
    pieces = [writer.begin(), *[writer.write(batch) async for batch in Steps(3300).walk(Filters())], writer.end()]
    (tmp_path / "x").write_bytes(b"".join(pieces))
    with parquet.ParquetFile(tmp_path / "x") as file:
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        table, schema = file.read(), file.schema_arrow
    assert groups == [1000, 1000, 1000, 300]
    assert pyarrow.types.is_int64(schema.field("position").type)
    assert pyarrow.types.is_string(schema.field("payload").type)
    assert str(schema.field("time").type) == "timestamp[us, tz=UTC]"
    assert table["time"][0].as_py() == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert table["position"].to_pylist() == list(range(1, 3301))


async def test_what_somebody_put_into_the_log_and_is_of_no_type_is_no_parquet() -> None:
    strange = replace(entry(1), principal=b"\xff")
    with pytest.raises(NotExported, match="position 1"):
        await exported(Steps(these=[strange]), Format.PARQUET)


def test_a_format_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotExported, match=r"callboard\[parquet\]"):
        writer_of(Format.PARQUET)


def test_a_file_s_name_tells_its_format() -> None:
    assert format_of(Path("a.b.csv")) == (Format.CSV, False)
    assert format_of(Path("a.jsonl.gz")) == (Format.JSONL, True)
    assert format_of(Path("a.txt")) is None


# --- memory -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", Format)
async def test_six_times_the_events_take_no_more_memory(format: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.exports.parquet.MOST_ROWS", BATCH)
    peaks = [await peak(format, count) for count in (2000, 2000, 12_000)]  # the first makes what is made once
    assert peaks[2] < 1.2 * peaks[1]


async def peak(format: Format, count: int) -> int:
    """Bytes at most, while nobody keeps what comes."""
    export = Export(Steps(count), question(format, count))
    tracemalloc.start()
    async for _ in export.pieces():
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_a_ledger_keeps_no_more_runs_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MOST_RUNS", 3)
    ledger = Ledger()
    ledger.take([entry(1), entry(2), entry(4), entry(6), entry(7)])
    assert ledger.contained().runs == ((1, 2), (4, 4), (6, 7))
    ledger.take([entry(9)])
    assert ledger.contained().runs is None
    assert (ledger.contained().count, ledger.contained().last) == (6, 9)


# --- files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An export as JSON Lines, with its manifest."""
    content, manifest = trio.run(exported, Steps(1200), Format.JSONL)
    (tmp_path / "x.jsonl").write_bytes(content)
    manifest_file(tmp_path / "x.jsonl").write_bytes(as_json(manifest))
    return tmp_path / "x.jsonl"


def forget_how_far(_: int) -> None:
    """Nobody looks at the progress."""


def test_a_file_agrees_with_its_manifest(file: Path) -> None:
    assert check_file(file, forget_how_far).entries.count == 1200


def changed(file: Path) -> Iterator[Callable[[], Any]]:
    """Ways to change an export."""
    content, named = file.read_bytes(), manifest_file(file)
    yield lambda: file.write_bytes(content.replace(b"hay", b"hey", 1))
    yield lambda: file.write_bytes(content[: content.rindex(b"\n", 0, -1) + 1])
    yield lambda: named.write_bytes(b"{}")
    yield lambda: named.write_bytes(named.read_bytes().replace(b'"count": 1200', b'"count": 1201'))
    yield lambda: named.write_bytes(named.read_bytes().replace(b"callboard.manifest/1", b"callboard.manifest/2"))


@pytest.mark.parametrize("way", range(5))
def test_whatever_was_changed_is_found(file: Path, way: int) -> None:
    list(changed(file))[way]()
    with pytest.raises(NotExported):
        check_file(file, forget_how_far)


def test_a_file_that_does_not_become_whole_leaves_nothing(tmp_path: Path) -> None:
    def write_half() -> None:
        with appearing(tmp_path / "a", tmp_path / "b") as (out, _):
            out.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_the_process_says_why_there_is_no_export_and_there_is_no_file(tmp_path: Path) -> None:
    asked = replace(question(Format.CSV, 1), path=str(tmp_path / "missing" / "log.db"))
    with pytest.raises(NotExported, match="cannot be read"):
        trio.run(export_to, tmp_path / "x.csv", asked, forget_how_far)
    assert list(tmp_path.iterdir()) == []
