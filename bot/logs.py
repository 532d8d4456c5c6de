"""The service's log: a line of JSON per event, rotated, without secrets."""

import logging
import logging.handlers
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bot.data.home import using
from core.domain.redaction import Redaction

FOLDER = "logs"
NAME = "service.log"
_BYTES = 10_000_000
_KEPT = 5
_QUIET = ("alembic", "asyncio", "sse_starlette", "uvicorn.access")


class _File(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the base class's name
        """A full disk: the database says so in words, and a log has nowhere to say it."""


@contextmanager
def logged(home: Path, redaction: Redaction) -> Iterator[Path]:
    """Everything that is logged goes to the file; its path."""
    folder = home / FOLDER
    path = folder / NAME
    with using(home):
        folder.mkdir(mode=0o700, exist_ok=True)
        handler = _File(
            path, maxBytes=_BYTES, backupCount=_KEPT, encoding="utf-8", errors="backslashreplace"
        )
    common: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redacted(redaction),
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield path
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()


def _redacted(redaction: Redaction) -> Processor:
    def clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {
            key: redaction(value) if isinstance(value, str) else value
            for key, value in event.items()
        }

    return clean
