"""The append-only log behind `core.ports.EventStore`."""
