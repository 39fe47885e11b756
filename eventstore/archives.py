"""Texts of ended streams in compressed files beside the log, and how all who read the log read them there.

`<log>-archive-000001.jsonl.gz` and so on hold what `payload` and `command` of archived events are, together with all
else the log says of them: gzip members of some hundred lines of JSON each, so that `zcat` shows an archive, and a
reader finds a member by its place in the file. Once it has its name an archive never changes.

In the log such an event keeps all its columns but two: instead of the texts there is where they are,
`{"archived":"000001@4711"}`. Nobody may take that for a payload, so whoever selects texts selects `STATE` and `COMMAND`
(or `state_of` and `command_of` under another name of the table), by a connection that was taught what they mean. The
chain goes over the texts and not over where they are: an archive that was changed is found like a changed row.
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from glob import escape
from pathlib import Path

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder

from eventstore.turns import give_way
from eventstore.uris import reading_uri

ARCHIVE, ENDING = "-archive-", ".jsonl.gz"
"""Behind the log's name, before and behind the archive's number."""
STUB = '{"archived":'
"""What a place in an archive begins with, and no payload or command does."""
STEPS = 1000
"""Of SQLite's, between two times that we may give way."""
KEPT = 12 * 2**20
"""Bytes of text a connection keeps, about: as much as those who read the log from end to end go back and forth in."""
MOST_TEXT = 256 * 2**20
"""Bytes that one member may become: more is no archive of ours."""
PIECE = 1 << 16
"""Bytes read at one time."""
GZIP = 31
"""zlib's word for the gzip format."""

_POINTER = re.compile(r'\{"archived":"([0-9]{6,})@([0-9]{1,18})"\}')


class Unreachable(Exception):
    """A text that an archive should have; the message says why it has not, and what to do."""


class Line(Struct):
    """Of a line what its reader wants."""

    position: int
    payload: Raw
    command: Raw


_lines = Decoder(Line)

Texts = dict[int, tuple[str, str | None]]
"""Payload and command by position."""


def archive_file(log: Path, number: int) -> Path:
    """Where the log's archive of this number is: beside the file itself, by whatever name it is opened."""
    log = log.resolve()
    return log.with_name(f"{log.name}{ARCHIVE}{number:06}{ENDING}")


def archives_beside(log: Path) -> list[Path]:
    """The archives that are there, in their order."""
    log = log.resolve()
    return sorted(log.parent.glob(f"{escape(log.name)}{ARCHIVE}*{ENDING}"))


def pointer(number: int, offset: int) -> str:
    """What stands in the log for a text in the member at `offset` of an archive."""
    return f'{STUB}"{number:06}@{offset}"}}'


def is_stub(column: str) -> str:
    """SQL: whether what stands in the column is a place in an archive."""
    return f"(SUBSTR({column}, 1, {len(STUB)}) = '{STUB}')"


def state_of(row: str = "") -> str:
    """SQL for an event's payload, wherever it is. `row`: the name of the table in the query, with a dot behind it."""
    return f"IIF({is_stub(f'{row}state')}, archived_state({row}state, {row}rowid), {row}state)"


def command_of(row: str = "") -> str:
    """SQL for an event's command, wherever it is; as `state_of`."""
    return f"IIF({is_stub(f'{row}command')}, archived_command({row}command, {row}rowid), {row}command)"


STATE, COMMAND = state_of(), command_of()


def columns_of(names: Iterable[str], type: str, row: str = "") -> str:
    """SQL for these columns of the log; the two with texts, wherever those are, as the `type`. `row` as above."""
    texts = {"state": state_of(row), "command": command_of(row)}
    return ", ".join(f"CAST({texts[name]} AS {type})" if name in texts else f"{row}{name}" for name in names)


class Archives:
    """The archives of one log, for one thread at a time; keeps what was read last."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read: OrderedDict[str, tuple[Texts, int]] = OrderedDict()
        self._kept = 0

    def state(self, place: str, position: int) -> str:
        """The payload. Raises Unreachable."""
        return self._texts(place, position)[0]

    def command(self, place: str, position: int) -> str | None:
        """The command. Raises Unreachable."""
        return self._texts(place, position)[1]

    def _texts(self, place: str, position: int) -> tuple[str, str | None]:
        read = self._read.get(place)
        if read is None:
            read = self._read[place] = self._opened(place, position)
            self._kept += read[1]
            while self._kept > KEPT and len(self._read) > 1:
                self._kept -= self._read.popitem(last=False)[1][1]
        else:
            self._read.move_to_end(place)
        texts = read[0].get(position)
        if texts is None:
            raise _unreachable(f"position {position}", f"{place[len(STUB) : -1]} does not have it")
        return texts

    def _opened(self, place: str, position: int) -> tuple[Texts, int]:
        """The member's texts, and how long it is."""
        found = _POINTER.fullmatch(place)
        if found is None:
            raise _unreachable(f"position {position}", f"{place[:60]!r} is no place in an archive")
        path = archive_file(self._log, int(found[1]))
        try:
            lines = member(path, int(found[2]))
            return texts_of(lines), len(lines)
        except FileNotFoundError:
            raise _unreachable(f"position {position}", f"{path.name} is missing") from None
        except (OSError, zlib.error, EOFError, ValueError, MsgspecError) as fault:
            raise _unreachable(f"position {position}", f"{path.name} is damaged: {fault}") from None


def member(path: Path, offset: int) -> bytes:
    """The lines of the member that begins there. Raises OSError, zlib.error, EOFError."""
    return measured_member(path, offset)[0]


def measured_member(path: Path, offset: int) -> tuple[bytes, int]:
    """The lines of the member that begins there, and how many bytes of the file it takes. Raises as `member`."""
    inflate, lines, taken = zlib.decompressobj(GZIP), bytearray(), 0
    with path.open("rb") as file:
        file.seek(offset)
        while not inflate.eof:
            piece = inflate.unconsumed_tail
            if not piece:
                piece = file.read(PIECE)
                taken += len(piece)
            if not piece or len(lines) > MOST_TEXT:
                raise EOFError("it ends too early" if not piece else "it has too much text")
            lines += inflate.decompress(piece, MOST_TEXT)
    return bytes(lines), taken - len(inflate.unused_data)


def texts_of(lines: bytes) -> Texts:
    """Raises MsgspecError, UnicodeDecodeError."""
    return {line.position: (_text(line.payload), _command(line.command)) for line in _lines.decode_lines(lines)}


def _text(json: Raw) -> str:
    return bytes(json).decode()


def _command(json: Raw) -> str | None:
    text = _text(json)
    return None if text == "null" else text


def teach(connection: sqlite3.Connection, log: Path) -> sqlite3.Connection:
    """The connection, which knows from now on how to read the texts that the log has in archives."""
    archives = Archives(log.resolve())
    connection.create_function("archived_state", 2, archives.state)
    connection.create_function("archived_command", 2, archives.command)
    return connection


def reading(log: Path) -> sqlite3.Connection:
    """A connection of its own to read the log by, wherever its texts are. Raises sqlite3.Error."""
    connection = teach(sqlite3.connect(reading_uri(log), uri=True), log)
    connection.set_progress_handler(give_way, STEPS)
    return connection


# SQLite says no more of such a fault than that there was one.
_reasons: dict[str, str] = {}


def _unreachable(what: str, why: str) -> Unreachable:
    reason = f"the text of {what} is in an archive, and {why}; put the archive back from a backup"
    _reasons["last"] = reason
    return Unreachable(reason)


def explained(fault: Exception) -> str:
    """What the fault of a query is, for people: also where it was in an archive."""
    if "user-defined function raised exception" in str(fault):
        return _reasons.get("last", str(fault))
    return str(fault)
