"""`callboard demo`: the main job on a real server, with a kill -9 in the middle of it."""


class DemoFailed(Exception):
    """The demo did not show what it promises; the message says what."""
