"""The routes of those who look after the server and its past: audit, proofs, forks, forgetting, the console's own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from quart import Blueprint

from actors.system import System
from adapters.auditing import audit_log
from adapters.config import Settings
from adapters.forgetting import Forgetting, Removable
from adapters.reels import Reels
from adapters.seen import runs_of
from adapters.web.audit import audit_blueprint
from adapters.web.audit_blobs import audit_blobs_blueprint
from adapters.web.audit_connections import connections_blueprint
from adapters.web.audit_export import Place, audit_export_blueprint
from adapters.web.causes import causes_blueprint
from adapters.web.console_board import console_board_blueprint
from adapters.web.console_commands import console_commands_blueprint
from adapters.web.forgetting import forgetting_blueprint
from adapters.web.forks import forks_blueprint
from adapters.web.frames_then import frames_blueprint
from adapters.web.outlines import outlines_blueprint
from adapters.web.proofs import proofs_blueprint
from adapters.web.sockets import Sockets
from adapters.web.verification import verification_blueprint
from core.identifiers import StreamName
from core.ports import BlobStore


class Blobs(BlobStore, Removable, Protocol):
    """Bytes that are kept, until they are forgotten."""


def history_routes(settings: Settings, system: System, blobs: Blobs, sockets: Sockets) -> Iterator[Blueprint]:
    """All of them, over a system whose clients come by `sockets`."""
    path, store, reels = settings.store.path, system.store, Reels(system.store, sockets.deciders)

    def forget_shown(streams: Collection[StreamName]) -> None:
        sockets.recollection.forget(streams)
        reels.forget(streams)

    yield audit_blueprint(system, audit_log(path, store))
    yield connections_blueprint(system, runs_of(audit_log(path, store), system.boot))
    yield causes_blueprint(system, audit_log(path, store))
    yield audit_export_blueprint(system, None if path is None else Place(path, settings.encryption_key))
    yield proofs_blueprint(system, path)
    yield verification_blueprint(system, path)
    yield audit_blobs_blueprint(system, blobs)
    yield outlines_blueprint(system)
    yield frames_blueprint(system, reels)
    yield forgetting_blueprint(system, Forgetting(store, path, blobs), forget_shown)
    yield forks_blueprint(system)
    yield console_board_blueprint(system, sockets, settings.auth)
    yield console_commands_blueprint(system)
