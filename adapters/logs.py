"""How the server writes its own log (not the event log): structlog, for people on a terminal or as JSON lines.

Every record carries what is bound to the task it comes from (`structlog.contextvars`): the correlation id above all.
No secret is in it, wherever one was put (`adapters.redaction`). Tracebacks are shown without local variables: those
hold what people said, and keys.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from io import StringIO
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from adapters.redaction import redacted, redacted_fields

MULTILINE = ("exception", "stack")
"""Fields the console shows on lines of their own."""
FIRST = ("timestamp", "level", "event", "correlation_id")
"""Fields that are written first, and so also where the others are too much for one record."""
MOST_TRACEBACK = 64 * 1024
"""Characters of a traceback on the console."""


def configure(*, as_json: bool, debug: bool = False) -> None:
    """Write to stderr, everything from INFO up (with `debug` from DEBUG up), and what the standard library's loggers
    warn of. JSON: one line a record."""
    prepare: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        prepare.append(structlog.processors.ExceptionRenderer(without_locals))
    finish: list[Processor] = [partial(_redact, one_line=not as_json), _renderer(as_json=as_json)]
    structlog.configure(
        [*prepare, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stdlib = logging.StreamHandler(sys.stderr)
    stdlib.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish], foreign_pre_chain=prepare
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[stdlib], force=True)


def _renderer(*, as_json: bool) -> Processor:
    if as_json:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=_may_be_colored(), exception_formatter=_write_traceback)


def _may_be_colored() -> bool:
    """On a terminal, unless its user wants none (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _redact(_logger: Any, _method: str, fields: EventDict, *, one_line: bool) -> EventDict:
    """Take the secrets out. `exc_info`, where nobody has rendered it yet, is left to `_write_traceback`."""
    apart = {name: fields.pop(name) for name in ("exc_info", *MULTILINE) if name in fields} if one_line else {}
    first = {name: fields.pop(name) for name in FIRST if name in fields}
    clean: EventDict = redacted_fields({**first, **fields}, one_line=one_line)
    for name, value in apart.items():
        clean[name] = redacted(str(value)) if name in MULTILINE else value
    return clean


def _write_traceback(out: TextIO, exc_info: ExcInfo) -> None:
    plain = StringIO()
    structlog.dev.plain_traceback(plain, exc_info)
    out.write(redacted(plain.getvalue(), MOST_TRACEBACK))
