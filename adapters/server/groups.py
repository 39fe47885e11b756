"""Exceptions out of nurseries."""

from __future__ import annotations


def sole(error: BaseException) -> BaseException:
    """The one exception in nested groups of one; the innermost group when there are several; itself when it is none."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
