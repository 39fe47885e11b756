"""The master key as it is configured: CALLBOARD_ENCRYPTION_KEY names the file that has it."""

from __future__ import annotations

import os
from pathlib import Path

from adapters.config import BadSetting
from adapters.setting_values import Unusable, parse_path
from eventstore.masterkey import BadMasterKey, MasterKey, read_master_key
from eventstore.unlocking import keys_file

SETTING = "CALLBOARD_ENCRYPTION_KEY"


def master_key(file: Path | None) -> MasterKey | None:
    """The key in the file; None where encryption is off. Raises BadSetting."""
    try:
        return None if file is None else read_master_key(file)
    except BadMasterKey as fault:
        raise BadSetting((f"{SETTING}: {fault}",)) from None


def key_file_named() -> Path | None:
    """The file that the environment names: what reads a log has no other settings. Raises BadSetting."""
    try:
        text = os.environ.get(SETTING, "").strip()
        return parse_path(text) if text else None
    except Unusable as fault:
        raise BadSetting((f"{SETTING}: {fault}",)) from None


def has_keys(path: Path) -> bool:
    """Whether the log at `path` has keys, and so perhaps sealed text."""
    return keys_file(path).exists()
