"""The Trio shell around the deciders: mailboxes, actors, effects, audiences, and the system that owns them all."""
