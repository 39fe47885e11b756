"""The shell of a console's connection, without a socket."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from adapters.protocols.console import CONSOLE
from adapters.protocols.console.frames import HERE
from core.audit import Deeds
from core.conversation import Conversation
from core.dialect import Handshake, Output, Recall, Tell, Tune, Untune, Write
from core.messages import Accepted

NOW = 1_735_862_400_000_000
HEAD = 500_000
ENDS = 7
"""Events in any stream."""
NOTED = Accepted((), Deeds(), 1)


class Shell:
    """Does what the connection says, as adapters/web/socket.py does. A command is settled when the test says so, and a
    recall ends then where it `takes_time`; what the connection says meanwhile waits in line."""

    def __init__(self, *, takes_time: bool = False) -> None:
        self.connection = CONSOLE.connect(Handshake("a.1", {}, {}, "ada", "e", "", frozenset({"auditor"})))
        self.told = deque[Tell]()
        self.written: list[dict[str, Any]] = []
        self.tuned: list[tuple[str, int | None]] = []
        self.hears = set[str]()
        self.recalling: Recall | None = None
        self._takes_time, self._line, self._works = takes_time, deque[Output](), False
        self.do(self.connection.opened(NOW))

    def send(self, **frame: Any) -> list[dict[str, Any]]:
        """What is answered at once."""
        return self.text(json.dumps(frame))

    def text(self, frame: str | bytes) -> list[dict[str, Any]]:
        before = len(self.written)
        self.do(self.connection.received(frame, NOW))
        return self.written[before:]

    def settle(self, outcome: Any = NOTED) -> list[dict[str, Any]]:
        before = len(self.written)
        tell = self.told.popleft()
        self.do(self.connection.settled(tell, outcome, NOW))
        return self.written[before:]

    def go_on(self) -> None:
        """The recall under way has shown its records."""
        if self.recalling is not None:
            for version in range(self.recalling.since + 1, min(self.recalling.until, ENDS) + 1):
                self.written.append({"type": "record", "stream": str(self.recalling.stream), "version": version})
            self.recalling = None
            self.do(())

    def end(self) -> None:
        """All is settled, and all recalls end."""
        while self.told or self.recalling:
            self.go_on()
            if self.told:
                self.settle()

    def do(self, outputs: Sequence[Output]) -> None:
        self._line.extend(outputs)
        if not self._works:
            self._works = True
            while self._line and self.recalling is None:
                self._do(self._line.popleft())
            self._works = False

    def _do(self, output: Output) -> None:
        match output:
            case Write(body):
                self.written.append(json.loads(body))
            case Tell():
                self.told.append(output)
            case Tune(topic, after):
                self._tune(topic, after)
            case Recall(stream, since):
                self.recalling, version = output, min(since, ENDS)
                for said in self.connection.recalled(stream, Conversation(interim=str(version)), version, NOW):
                    self._do(said)
                if not self._takes_time:
                    self.recalling = None
            case Untune(topic):
                self.hears.discard(topic)
            case _:
                raise AssertionError(output)

    def _tune(self, topic: str, after: int | None) -> None:
        self.hears.add(topic)
        if topic != HERE:
            self.tuned.append((topic, after))
        outputs = self.connection.tuned(topic, HEAD if after is None else min(after, HEAD), NOW)
        self._line.extendleft(reversed(outputs))
