"""A log without its server, for one piece of work: actors run that are asked, and no others wake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.system import System, SystemSettings
from adapters.bootstrap import actors_over, language_model, open_transcriber, performers
from adapters.config import Settings
from adapters.encryption import key_file_named
from adapters.opening import blob_store, open_store
from adapters.setting_values import StoreAddress

ASKED_ALONE = SystemSettings(resumes=False)


@asynccontextmanager
async def open_quiet(address: StoreAddress) -> AsyncIterator[System]:
    """Actors that decide, and do nothing. Raises StoreUnavailable, BadSetting."""
    async with open_store(address, key_file_named()) as store, actors_over(store, {}, ASKED_ALONE) as system:
        yield system


@asynccontextmanager
async def open_aside(settings: Settings) -> AsyncIterator[System]:
    """Actors with the models and tools that are configured. Raises StoreUnavailable, BadSetting."""
    running: list[System] = []
    async with open_store(settings.store, key_file_named()) as store, open_transcriber(settings) as transcriber:
        model, blobs = language_model(settings), blob_store(settings.store)
        perform = performers(settings, model, transcriber, blobs, lambda: running[0].boot)
        async with actors_over(store, perform, ASKED_ALONE) as system:
            running.append(system)
            yield system
