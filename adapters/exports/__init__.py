"""Exports: events that meet a question, as a file in one of three formats, with a manifest that says what it is."""
