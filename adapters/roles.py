"""What a visitor may be. In a module of its own, so that the command line knows it without loading the web."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class Role(StrEnum):
    """A client talks, an operator looks after the running server, an auditor reads the history.

    Whoever is an operator or auditor is a client too.
    """

    CLIENT = "client"
    OPERATOR = "operator"
    AUDITOR = "auditor"


def roles_named(names: Sequence[object]) -> frozenset[Role]:
    """The roles of these names. What names no role counts for nothing, and everybody is a client at least."""
    return frozenset({Role.CLIENT, *(role for role in Role if role.value in names)})
