"""`callboard`. What looks back at a log comes last on the machine from its first line on.

To read its own code takes it a third of a second, and who speaks with a server on the same machine must not feel that.
"""

from __future__ import annotations

import sys

from adapters import priority

LIVING = {"serve", "demo", "ask"}
"""Commands with which somebody lives."""


def main() -> None:
    """Do what the command line says."""
    if not LIVING & set(sys.argv[1:2]):
        priority.thread_comes_last(priority.NICENESS)
    from adapters import cli

    cli.main()


if __name__ == "__main__":
    main()
