"""The dialects there are: what the packages in `adapters.protocols` say of themselves. Nobody else lists them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType

from adapters import protocols
from core.dialect import Endpoint, Reference


def endpoints(names: Mapping[str, str]) -> Iterator[Endpoint]:
    """Where the dialects are spoken, given the settings of these names."""
    for package in _packages():
        yield from package.endpoints(names)


def references() -> Iterator[tuple[Reference, Sequence[Endpoint]]]:
    """What each dialect says of itself, and where it is spoken on any server."""
    for package in _packages():
        yield package.REFERENCE, package.endpoints(package.REFERENCE.names)


def _packages() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(protocols.__path__, f"{protocols.__name__}."):
        module = importlib.import_module(found.name)
        if hasattr(module, "endpoints"):
            yield module
