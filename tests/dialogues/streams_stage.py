"""The stage of the dialect `streams`. The transcriber answers when the dialogue says so."""

from __future__ import annotations

from adapters.protocols.streams import dialect_for
from core.identifiers import Category, StreamName
from core.session import DisconnectDevices, FailTranscription, OpenSession, SucceedTranscription
from tests.dialogues.stage import Stage


class StreamsStage(Stage):
    def __init__(self, id: str) -> None:
        super().__init__(dialect_for, Category.SESSION, "session_id", id)

    def happen(self, words: list[str]) -> bool:
        match words:
            case ["transcriber", "says", text]:
                self.tell(self.actor(self.id).stream, SucceedTranscription(self._oldest(), text))
            case ["transcriber", "fails", reason]:
                self.tell(self.actor(self.id).stream, FailTranscription(self._oldest(), reason))
            case ["DELETE", path] if path.startswith("/api/stream/disconnect/"):
                self.tell(self.actor(path.rpartition("/")[2]).stream, DisconnectDevices(self.now()))
            case ["somebody", "opens", id, "via", dialect]:
                self.tell(StreamName.of(Category.SESSION, id), OpenSession("ann", dialect, self.now()))
            case _:
                return super().happen(words)
        return True

    def _oldest(self) -> int:
        number: int = self.actor(self.id).state.open[0].number
        return number
