"""Events and commands ↔ their stored name and readable JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from eventstore.catalog import COMMANDS, EVENTS
from eventstore.upcasters import UPCASTERS, Upcast, next_version


class UnknownName(LookupError):
    """The log holds a name this version of Callboard does not know: it was written by a newer one."""


class Undecodable(ValueError):
    """What is stored under this name is not what the name promises."""


class Codec:
    """One catalog's encoder and decoder. `names` maps stored names, `<kind>.<what>/<version>`, to classes."""

    def __init__(self, names: Mapping[str, type], upcasters: Mapping[str, Upcast] = UPCASTERS) -> None:
        self._names = {cls: name for name, cls in names.items()}
        self._upcasters = upcasters
        self._classes = dict(names)
        self._decode: dict[str, Callable[[bytes | str], Any]] = {
            name: msgspec.json.Decoder(cls).decode for name, cls in names.items()
        }
        self._encode = msgspec.json.Encoder().encode

    def name_of(self, cls: type) -> str:
        """The stored name of a class. Raises UnknownName for one that is not in the catalog."""
        try:
            return self._names[cls]
        except KeyError:
            raise UnknownName(f"{cls.__qualname__} has no name in the catalog") from None

    def encode(self, message: Any) -> tuple[str, bytes]:
        """Stored name and JSON. Raises UnknownName, or TypeError for content JSON cannot say."""
        return self.name_of(type(message)), self._encode(message)

    def decode(self, name: str, content: bytes | str) -> Any:
        """The event or command, brought to its newest version. Raises UnknownName, Undecodable."""
        try:
            decode = self._decode.get(name)
            return decode(content) if decode else self._upcast(name, msgspec.json.decode(content))
        except msgspec.MsgspecError as error:
            raise Undecodable(f"a stored {name} cannot be read: {error}") from error

    def _upcast(self, name: str, content: dict[str, Any]) -> Any:
        while name not in self._classes:
            if name not in self._upcasters:
                raise UnknownName(f"the log holds a {name!r}, which this version of Callboard does not know")
            content, name = self._upcasters[name](content), next_version(name)
        return msgspec.convert(content, self._classes[name])


events = Codec(EVENTS)
commands = Codec(COMMANDS)


class StoredCommand(msgspec.Struct):
    """A command as it stands beside the first event of its decision: its stored name, and the rest as JSON."""

    name: str
    body: msgspec.Raw


stored_command = msgspec.json.Decoder(StoredCommand).decode
"""Raises MsgspecError."""


def decoded_command(stored: str | bytes) -> Any:
    """The command, brought to its newest version. Raises UnknownName, Undecodable, MsgspecError."""
    command = stored_command(stored)
    return commands.decode(command.name, bytes(command.body))
