"""Bytes by their digest, in files and in memory."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from adapters.gateways.blobs import FileBlobs, MemoryBlobs
from core.ports import BlobStore, BlobTooLarge

Blobs = Callable[..., BlobStore]
HELLO = hashlib.sha256(b"hello").hexdigest()


@pytest.fixture(params=["file", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    def build(**options: int) -> BlobStore:
        return FileBlobs(tmp_path / "blobs", **options) if request.param == "file" else MemoryBlobs(**options)

    return build


async def test_what_was_put_is_found_under_its_sha_256(blobs: Blobs) -> None:
    store = blobs()
    assert await store.put(b"hello") == HELLO
    assert await store.get(HELLO) == b"hello"
    assert await store.put(b"hello") == HELLO


async def test_nothing_is_found_under_what_was_never_put(blobs: Blobs) -> None:
    store = blobs()
    await store.put(b"hello")
    for digest in ("0" * 64, "", "..", f"../{HELLO}", HELLO.upper(), f"{HELLO}\n", HELLO[:-1], f"{HELLO[:2]}/{HELLO}"):
        assert await store.get(digest) is None


async def test_no_bytes_at_all_are_a_blob_too(blobs: Blobs) -> None:
    store = blobs()
    assert await store.get(await store.put(b"")) == b""


async def test_more_than_the_limit_is_refused_and_not_kept(blobs: Blobs) -> None:
    store = blobs(max_bytes=4)
    with pytest.raises(BlobTooLarge, match="at most 4 bytes are kept, not 5"):
        await store.put(b"hello")
    assert await store.get(HELLO) is None


async def test_the_same_bytes_put_by_many_at_once_are_one_whole_file(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path / "blobs")
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(store.put, b"hello")
    assert [path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == [HELLO]
    assert await FileBlobs(tmp_path / "blobs").get(HELLO) == b"hello"


async def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", fail)
    store = FileBlobs(tmp_path / "blobs")
    with pytest.raises(OSError, match="no space left"):
        await store.put(b"hello")
    assert await store.get(HELLO) is None
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


async def test_a_damaged_file_is_not_given_out_and_mended_by_putting_again(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path)
    await store.put(b"hello")
    (tmp_path / HELLO[:2] / HELLO).write_bytes(b"hell")
    assert await store.get(HELLO) is None
    await store.put(b"hello")
    assert await store.get(HELLO) == b"hello"


async def test_what_a_killed_write_left_is_swept_and_what_may_be_under_way_is_not(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path / "blobs")
    store.sweep()
    await store.put(b"hello")
    folder = tmp_path / "blobs" / HELLO[:2]
    for name, age in (("left", 3700), ("young", 3500), (HELLO, 9999)):
        path = folder / (name if name == HELLO else f".{name}")
        path.write_bytes(b"hello")
        os.utime(path, (time.time() - age,) * 2)
    store.sweep()
    assert sorted(path.name for path in folder.iterdir()) == [".young", HELLO]
