"""Where the command line asks an auditor's questions: at a log's file, or at the server that writes to it.

What is told is recorded in the log. At a file that nobody writes to this process does so itself, as the writer for a
moment; where another process is the writer it can only read, and says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec
from msgspec import Struct, structs

from adapters import opening
from adapters.auditing import access, as_object
from adapters.deeds import record_in, stamp_here
from adapters.encryption import key_file_named
from adapters.setting_values import StoreAddress
from core.audit import NoteAccess
from core.ports import StoreUnavailable
from eventstore.audit import AuditLog, Filters, TooBroad
from eventstore.cursors import BadCursor
from eventstore.index import Index

PATIENCE = 30.0
"""Seconds a server may take."""

Tell = Callable[[int, int], None]


class Listing(Struct, frozen=True):
    """Events as JSON objects, and where to go on."""

    entries: list[dict[str, Any]]
    next_cursor: str | None


class Desk(Protocol):
    """Answers questions. Raises StoreUnavailable, BadCursor, TooBroad."""

    async def page(self, filters: Filters, cursor: str | None, limit: int, *, newest_first: bool) -> Listing:
        """The next events."""

    async def count(self, filters: Filters, at_most: int) -> tuple[int, bool]:
        """How many there are, and whether that is all."""


# --- at a file --------------------------------------------------------------------------------------------------


class FileDesk:
    """The log in a file. `warn` is told why an access is not recorded."""

    def __init__(self, log: AuditLog, address: StoreAddress, warn: Callable[[str], None]) -> None:
        self._log, self._address, self._warn = log, address, warn

    async def page(self, filters: Filters, cursor: str | None, limit: int, *, newest_first: bool) -> Listing:
        page = await self._log.page(filters, cursor=cursor, limit=limit, newest_first=newest_first)
        await self._record(access("search", filters, len(page.entries), await self._log.head()))
        return Listing([as_object(entry) for entry in page.entries], page.next_cursor)

    async def count(self, filters: Filters, at_most: int) -> tuple[int, bool]:
        count, complete = await self._log.count(filters, at_most)
        await self._record(access("count", filters, count, await self._log.head()))
        return count, complete

    async def _record(self, note: NoteAccess) -> None:
        await recorded(self._address, note, self._warn)


async def recorded(address: StoreAddress, note: NoteAccess, warn: Callable[[str], None]) -> str | None:
    """The event that says that somebody at this machine is about to be told; None and a warning where none can."""
    try:
        return await record(address, note)
    except StoreUnavailable as fault:
        warn(f"this reading is not recorded in the log ({fault}); what its server is asked with --server is")
        return None


async def record(address: StoreAddress, note: NoteAccess) -> str:
    """Make it durable that somebody at this machine is about to be told. Returns the event. Raises StoreUnavailable."""
    async with opening.open_store(address, key_file_named(), apart=False) as store:
        return await record_in(store, stamp_here(), note)


@asynccontextmanager
async def at_file(address: StoreAddress, warn: Callable[[str], None], tell: Tell) -> AsyncIterator[Desk]:
    """The desk at a log's file, its index level where it may be written; `tell` hears how far that is."""
    async with opening.open_history(address) as store:
        path = address.path or Path()  # a log in memory was refused
        with suppress(StoreUnavailable):  # an index is for speed
            await Index(path, store.opener).level(tell)
        log = AuditLog(path, store.opener)
        try:
            yield FileDesk(log, address, warn)
        finally:
            log.close()


# --- at a server ------------------------------------------------------------------------------------------------


class ServerDesk:
    """A running server, which records what it tells."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def page(self, filters: Filters, cursor: str | None, limit: int, *, newest_first: bool) -> Listing:
        more = {"cursor": cursor, "limit": limit, "newest_first": newest_first}
        body = await self._told("/api/audit/events", {**asked_of(filters), **more})
        return Listing(body["entries"], body["next_cursor"])

    async def count(self, filters: Filters, at_most: int) -> tuple[int, bool]:
        body = await self._told("/api/audit/events/count", {**asked_of(filters), "at_most": at_most})
        return body["count"], body["complete"]

    async def _told(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        server = self._http.base_url
        try:
            given = {name: value for name, value in query.items() if value is not None}
            answer = await self._http.get(path, params=given)
            body: dict[str, Any] = msgspec.json.decode(answer.content)
        except (httpx.HTTPError, msgspec.DecodeError) as fault:
            reason = str(fault) or type(fault).__name__
            raise StoreUnavailable(f"no Callboard answers at {server} ({reason}); start it, or read --store") from None
        if answer.status_code == httpx.codes.OK:
            return body
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise StoreUnavailable(f"{server} does not tell us ({_detail(body)}); write an auditor's --token")
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY and "too broad" in str(body):
            raise TooBroad(_detail(body))
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY and "cursor" in str(body):
            raise BadCursor(_detail(body))
        raise StoreUnavailable(f"{server} does not tell us: {_detail(body)}")


def asked_of(filters: Filters) -> dict[str, Any]:
    """The filters as a server's query names them."""
    fields = structs.asdict(filters)
    return {_NAMES.get(name, name): value for name, value in fields.items()}


_NAMES = {"correlation": "correlation_id", "causation": "causation_id"}


def _detail(body: Any) -> str:
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list) and detail:
        return f"{detail[0]['loc'][-1]}: {detail[0]['msg']}"
    return str(detail)


@asynccontextmanager
async def at_server(server: str, token: str | None) -> AsyncIterator[Desk]:
    """The desk at a server with this URL. Raises StoreUnavailable."""
    async with web_client(server, token) as http:
        yield ServerDesk(http)


def web_client(server: str, token: str | None) -> httpx.AsyncClient:
    """Who speaks with a server. Raises StoreUnavailable."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        return httpx.AsyncClient(base_url=server, headers=headers, timeout=PATIENCE)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise StoreUnavailable("--server or --token: that is none; write http://HOST:PORT and a token") from None
