"""Checkpoints as the settings want them, and the key that signs them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from adapters.config import BadSetting, Settings
from core.ports import Clock, EventStore
from eventstore.checkpointing import Interval, keeping_checkpoints
from eventstore.signing import BadKey, SigningKey
from eventstore.sqlite import SQLiteStore


def signing_key(file: Path, source: str = "CALLBOARD_SIGNING_KEY") -> SigningKey:
    """The key in a file. Raises BadSetting, which names where that is written."""
    try:
        return SigningKey.load(file)
    except BadKey as fault:
        raise BadSetting((f"{source}: {fault}",)) from None


def checkpoints_kept(settings: Settings, store: EventStore, clock: Clock) -> AbstractAsyncContextManager[None]:
    """While it is entered, checkpoints are made of a log in a file. Raises BadSetting."""
    key = None if settings.signing_key is None else signing_key(settings.signing_key)
    if settings.store.path is None or not isinstance(store, SQLiteStore) or not settings.checkpoint_every:
        return nullcontext()
    interval = Interval(settings.checkpoint_every, settings.checkpoint_seconds)
    return keeping_checkpoints(store, settings.store.path, clock, interval, key)
