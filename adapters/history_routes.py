"""The routes of those who look after the server and its past: audit, proofs, forks, forgetting, the console's own."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from msgspec import Struct
from quart import Blueprint

from actors.system import System
from adapters.auditing import audit_log
from adapters.config import Settings
from adapters.forgetting import Forget, Forgetting, Removable, in_memory
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
from core.ports import BlobStore


class Blobs(BlobStore, Removable, Protocol):
    """Bytes that are kept, until they are forgotten."""


class History(Struct, frozen=True):
    """The routes, and what forgets a data subject with all that they keep of it in memory."""

    routes: tuple[Blueprint, ...]
    forget: Forget


def history_of(settings: Settings, system: System, blobs: Blobs, sockets: Sockets) -> History:
    """Over a system whose clients come by `sockets`."""
    path, store, reels = settings.store.path, system.store, Reels(system.store, sockets.deciders)
    start_over = in_memory(system, sockets.recollection.forget, reels.forget)
    forget = partial(Forgetting(store, path, blobs).forget_all, start_over=start_over)
    routes = (
        audit_blueprint(system, audit_log(path, store)),
        connections_blueprint(system, runs_of(audit_log(path, store), system.boot)),
        causes_blueprint(system, audit_log(path, store)),
        audit_export_blueprint(system, None if path is None else Place(path, settings.encryption_key)),
        proofs_blueprint(system, path),
        verification_blueprint(system, path),
        audit_blobs_blueprint(system, blobs),
        outlines_blueprint(system),
        frames_blueprint(system, reels),
        forgetting_blueprint(system, forget),
        forks_blueprint(system),
        console_board_blueprint(system, sockets, settings.auth),
        console_commands_blueprint(system),
    )
    return History(routes, forget)
