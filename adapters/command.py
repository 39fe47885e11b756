"""`callboard`. All but what somebody waits for comes last on the machine, from its first line on.

To read its own code takes it a third of a second, and who speaks with a server on the same machine must not feel that.
"""

from __future__ import annotations

import sys

from adapters import priority

WAITED_FOR = {"serve", "demo", "ask", "fork", "migrate"}
"""Commands with which people speak, or by which a conversation goes on."""


def main() -> None:
    """Do what the command line says."""
    if not WAITED_FOR & set(sys.argv[1:2]):
        priority.thread_comes_last(priority.NICENESS)
    from adapters import cli

    cli.main()


if __name__ == "__main__":
    main()
