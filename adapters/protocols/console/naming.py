"""What events are called: as in the log, without the number of their shape."""

from __future__ import annotations

import re

from core.decider import CommandRejected

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


_NAMES: dict[type, str] = {CommandRejected: "command.rejected"}


def event_name(kind: type) -> str:
    """`conversation.message_said` of `core.conversation.MessageSaid`; what a class says of its category is not said
    twice, as in `conversation.opened` of `ConversationOpened`."""
    if (name := _NAMES.get(kind)) is None:
        category, words = kind.__module__.rpartition(".")[2], _WORD.sub("_", kind.__name__).lower()
        name = _NAMES[kind] = f"{category}.{words.removeprefix(f'{category}_')}"
    return name
