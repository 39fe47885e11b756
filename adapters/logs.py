"""How the server writes its own log (not the event log): structlog, for people on a terminal or as JSON lines.

Tracebacks are shown without local variables: those hold what people said, and keys.
"""

from __future__ import annotations

import logging
import sys

import structlog


def configure(*, as_json: bool) -> None:
    """Write to stderr, everything from INFO up, the standard library's loggers included."""
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    prepare: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        prepare.append(structlog.processors.ExceptionRenderer(without_locals))
    structlog.configure(
        [*prepare, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stdlib = logging.StreamHandler(sys.stderr)
    stdlib.setFormatter(structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=prepare))
    logging.basicConfig(level=logging.WARNING, handlers=[stdlib], force=True)
