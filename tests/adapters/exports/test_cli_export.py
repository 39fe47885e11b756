"""`callboard audit export`: a file with its manifest, from a log's file and from its server; and checking it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from msgspec import json

from adapters import cli
from adapters.exports.formats import Format
from adapters.exports.manifest import manifest_file, read_manifest
from core.audit import Accessed
from eventstore.audit import AuditLog, Filters
from tests.adapters.test_cli_audit import fill
from tests.adapters.whole import serving

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`callboard audit export` as typed: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", "audit", "export", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of two things heard and one refused."""
    trio.run(fill, tmp_path / "log.db")
    return tmp_path / "log.db"


async def accesses(path: Path) -> list[Accessed]:
    page = await AuditLog(path).page(Filters(event="audit.accessed"))
    return [json.decode(entry.payload, type=Accessed) for entry in page.entries]


def test_an_export_is_written_recorded_and_checked(run: Run, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl.gz"
    code, out, err = run(str(file), "--store", f"sqlite:///{path}", "--rejected")
    assert (code, err) == (0, "")
    assert "one event" in out
    manifest = read_manifest(manifest_file(file))
    assert (manifest.filters, manifest.file.name, manifest.entries.runs) == ({"rejected": True}, file.name, ((3, 3),))
    begun, ended = trio.run(accesses, path)
    assert (begun.way, begun.head, begun.question["format"]) == ("export", 3, Format.JSONL)
    assert (ended.way, ended.entries, ended.question["entries_sha256"]) == ("exported", 1, manifest.entries.sha256)
    assert ended.question["export"] == manifest.access
    assert "is what was exported" in run(str(file), "--verify")[1]
    file.write_bytes(file.read_bytes()[:-1])
    code, out, _ = run(str(file), "--verify")
    assert (code, out[:21]) == (1, "Not what was exported")


def test_what_cannot_be_exported_is_said_in_a_line(run: Run, path: Path, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("")
    for name, reason in (("x.txt", "--format"), ("there.csv", "there already"), ("no/x.csv", "no folder")):
        code, _, err = run(str(tmp_path / name), "--store", f"sqlite:///{path}")
        assert (code, err.count("\n")) == (1, 1)
        assert reason in err
    assert trio.run(accesses, path) == []


def test_a_server_s_export_is_fetched_with_its_manifest(run: Run, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"

    async def ask() -> tuple[int, str, str]:
        async with serving(CALLBOARD_STORE=f"sqlite:///{path}") as server:
            work = partial(run, str(file), "--server", server.urls[0], "--category", "conversation")
            return await trio.to_thread.run_sync(work)

    assert trio.run(ask)[0] == 0
    manifest = read_manifest(manifest_file(file))
    assert (manifest.file.name, manifest.entries.count) == ("x.csv", 3)
    assert "is what was exported" in run(str(file), "--verify")[1]
    assert [it.way for it in trio.run(accesses, path)] == ["export", "exported", "manifest"]


def test_nobody_answers(run: Run, tmp_path: Path) -> None:
    code, _, err = run(str(tmp_path / "x.csv"), "--server", "http://127.0.0.1:9")
    assert (code, err.count("\n")) == (1, 1)
    assert list(tmp_path.iterdir()) == []
