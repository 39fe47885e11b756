"""The cases eventsourcing ships for recorders, on ours: what its users know of a recorder holds of this one.

`AggregateRecorderTestCase` is not among them: it is for recorders without positions, and demands that an insert
returns none.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import uuid4

from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    RecorderTestCase,
    TrackingRecorderTestCase,
)

from eventstore.chain import COLUMNS, GENESIS, link
from eventstore.recorder import LogDatastore, LogRecorder


class OnAFile(RecorderTestCase):
    """A recorder on a file of its own, with our kind of stream names."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.datastore = LogDatastore(str(Path(folder.name, "log.db")))
        self.addCleanup(self.datastore.close)

    def tearDown(self) -> None:
        """Whatever was inserted, the chain holds over it."""
        columns = ", ".join("CAST(state AS BLOB)" if name == "state" else name for name in (*COLUMNS, "hash"))
        head = GENESIS
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(f"SELECT {columns} FROM stored_events ORDER BY rowid")
            for *row, stored in cursor.fetchall():
                head = link(head, tuple(row))
                assert head == stored

    def new_originator_id(self) -> str:
        return f"conversation-{uuid4()}"

    def create_recorder(self) -> LogRecorder:
        recorder = LogRecorder(self.datastore)
        recorder.create_table()
        return recorder


class TestAsApplicationRecorder(OnAFile, ApplicationRecorderTestCase[LogRecorder]):
    pass


class TestAsProcessRecorder(OnAFile, ProcessRecorderTestCase):
    pass


class TestAsTrackingRecorder(OnAFile, TrackingRecorderTestCase):
    pass


class TestPositionsOfConcurrentInserts(OnAFile, NonInterleavingNotificationIDsBaseCase):
    pass


del OnAFile, ApplicationRecorderTestCase, NonInterleavingNotificationIDsBaseCase, ProcessRecorderTestCase
del RecorderTestCase, TrackingRecorderTestCase  # pytest would collect them as cases of this module
