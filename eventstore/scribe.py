"""A process that commits, so that committing shares no interpreter lock with the event loop.

Batches go to it over a socket pair as MessagePack, each behind its length, and a report comes back for each. It ends
when that socket does; so a server that was killed leaves nothing behind but, at most, one whole batch. It inherits the
log's lock, so that no other server can begin before it has ended. A process that is lost is a fault of the disk like
any other, and the next one begins with the question how far the log is.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
import trio
from msgspec import Raw, msgpack

from eventstore.batches import Batch, Report, Statement, Work
from eventstore.committer import Committer
from eventstore.recorder import LogDatastore, LogRecorder
from eventstore.writer import Take

SPIN = 0.0002
"""Seconds the process keeps looking for the next batch before it sleeps: to be woken costs more than most waits."""
LOOK = 0.0005
"""Seconds our end keeps looking for the next report, between the other tasks' turns."""
CORES = len(os.sched_getaffinity(0))
"""With one there is nobody to wait for awake."""
GOODBYE = b""
"""Said before the socket is closed. Where it was not, the server was killed: then the log is left as it is, as whoever
finds that may have put another in its place, whose files beside it must not be tidied away."""
PIECE = 1 << 18
"""Bytes read at one time."""
RESTART_PAUSE = 0.5
"""Seconds before a process that could not be started, or was lost at once, is started again."""

_LENGTH = struct.Struct("!I")
_encode = msgpack.Encoder().encode
_to_batch = msgpack.Decoder(Batch).decode
_to_report = msgpack.Decoder(Report).decode

log = structlog.get_logger("callboard.writer")


def framed(content: bytes) -> bytes:
    """The content behind its length."""
    return _LENGTH.pack(len(content)) + content


class Unframer:
    """Takes bytes as they come, and gives the contents that are whole."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """The contents that this piece completes."""
        pending, contents, at = self._pending, [], 0
        pending += piece
        while len(pending) - at >= _LENGTH.size:
            end = at + _LENGTH.size + _LENGTH.unpack_from(pending, at)[0]
            if end > len(pending):
                break
            contents.append(bytes(pending[at + _LENGTH.size : end]))
            at = end
        del pending[:at]
        return contents


class ProcessScribe:
    """Our end of it. `lock` is the descriptor of the log's lock file."""

    def __init__(self, uri: str, lock_timeout: int, lock: int) -> None:
        self._arguments, self._lock = (uri, str(lock_timeout)), lock
        self._line, self._theirs = _pair()
        self._unsent = b""
        self._has_unsent = trio.Event()
        self._closed = self._under_way = False

    def prepared(self, piece: Work | Statement) -> Any:
        """Encoded here and not with its batch, so that what cannot be encoded fails alone."""
        return Raw(_encode(piece))

    def commit(self, pieces: Sequence[Any]) -> None:
        self._under_way = True
        self._send(framed(_encode(pieces)))

    def close(self) -> None:
        self._closed = True
        self._send(framed(GOODBYE))
        with suppress(OSError):  # they may be gone already
            self._line.shutdown(socket.SHUT_WR)

    async def run(self, take: Take) -> None:
        while True:
            began = trio.current_time()
            await self._live(take)
            if self._closed:
                return
            log.error("the process that writes the log was lost, and is started again")
            if trio.current_time() - began < RESTART_PAUSE:
                await trio.sleep(RESTART_PAUSE)

    async def _live(self, take: Take) -> None:
        """One life of the process. In the end a batch that got no report is answered for it."""
        try:
            process = await self._start()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_rest)
                await self._listen(take)
                nursery.cancel_scope.cancel()
            await process.wait()
        except OSError as fault:
            reason = str(fault)
            log.error("the process that writes the log cannot be started", reason=reason)  # noqa: TRY400  # no news in the trace
        finally:
            self._line.close()
            self._theirs.close()
        if not self._closed:
            self._line, self._theirs, self._unsent = *_pair(), b""
            if self._under_way:
                self._under_way = False
                take(Report(fault="the process that writes the log was lost"))

    async def _start(self) -> trio.Process:
        descriptor = self._theirs.fileno()
        command = [sys.executable, "-P", "-m", "eventstore.scribe", str(descriptor), *self._arguments]
        start = partial(
            trio.lowlevel.open_process, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            pass_fds=(descriptor, self._lock), start_new_session=True,
        )  # fmt: skip
        process: trio.Process = await start(command)
        self._theirs.close()
        return process

    async def _listen(self, take: Take) -> None:
        unframer, line = Unframer(), self._line
        with suppress(OSError):
            while piece := await _next_piece(line):
                for content in unframer.feed(piece):
                    self._under_way = False
                    take(_to_report(content))

    def _send(self, content: bytes) -> None:
        """At once, as far as the kernel takes it."""
        try:
            sent = self._line.send(content)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # they are gone: `_listen` sees it too
        if sent < len(content):
            self._unsent = content[sent:]
            self._has_unsent.set()

    async def _send_rest(self) -> None:
        while True:
            await self._has_unsent.wait()
            self._has_unsent = trio.Event()
            while self._unsent:
                await trio.lowlevel.wait_writable(self._line)
                rest, self._unsent = self._unsent, b""
                self._send(rest)


async def _next_piece(line: socket.socket) -> bytes:
    """What comes next; b"" at the end. Behind a report the next one is looked for without sleeping: others run in
    between, and an event loop that slept takes longer over all it does."""
    until = time.perf_counter() + (LOOK if CORES > 1 else 0.0)
    while time.perf_counter() < until:
        with suppress(BlockingIOError):
            return line.recv(PIECE)
        await trio.lowlevel.checkpoint()
    await trio.lowlevel.wait_readable(line)
    return line.recv(PIECE)


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


# --- in the process ---------------------------------------------------------------------------------------------


def main() -> None:
    """Commit what comes by the descriptor given as the first argument, until it ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the server says when it is over
        signal.signal(number, signal.SIG_IGN)
    descriptor, uri, lock_timeout = sys.argv[1:]
    datastore = LogDatastore(uri, lock_timeout=int(lock_timeout))
    committer = Committer(LogRecorder(datastore), datastore.connect_writer, in_doubt=True)
    with socket.socket(fileno=int(descriptor)) as line:
        if not _commit_all(line, committer):
            os._exit(1)
    committer.close()
    datastore.close()


def _commit_all(line: socket.socket, committer: Committer) -> bool:
    """Whether the server said goodbye in the end."""
    unframer = Unframer()
    spin = SPIN if CORES > 1 else 0.0
    with suppress(ConnectionError):
        while piece := _receive(line, spin):
            for content in unframer.feed(piece):
                if content == GOODBYE:
                    return True
                line.sendall(framed(_encode(committer.commit(_to_batch(content)))))
    return False


def _receive(line: socket.socket, spin: float) -> bytes:
    """The next bytes; at first without sleeping."""
    until = time.perf_counter() + spin
    while time.perf_counter() < until:
        with suppress(BlockingIOError):
            return line.recv(PIECE, socket.MSG_DONTWAIT)
    return line.recv(PIECE)


if __name__ == "__main__":
    main()
