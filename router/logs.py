"""Logs: one JSON object a line on standard error. Never personal data, secrets, URLs of sinks or bodies."""

import logging
import re
import sys
import traceback
from copy import copy
from types import TracebackType

from pythonjsonlogger.json import JsonFormatter

log = logging.getLogger(__name__)

NOISY = ("uvicorn", "arq", "aiohttp", "httpx", "asyncio")


class Formatter(JsonFormatter):
    """JSON, with tracebacks that tell where but not what: an exception's text can quote a candidate's data."""

    def __init__(self) -> None:
        super().__init__(
            "{message}{levelname}{name}",
            style="{",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
        )

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "asyncio":  # what follows its first words quotes exceptions and arguments
            record = copy(record)
            record.msg, record.args = re.split(r"[\n(]", record.getMessage(), maxsplit=1)[0], ()
        return super().format(record)

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        lines: list[str] = []
        told: set[int] = set()
        error: BaseException | None = ei[1]
        while error is not None and id(error) not in told:
            told.add(id(error))
            frames = [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
            ]
            lines.append(" <- ".join([type(error).__name__, *reversed(frames)]))
            error = error.__cause__ or error.__context__
        return "\n".join(lines)


def log_as_json(level: int = logging.INFO) -> None:
    """For the long-running commands. What libraries say is kept from WARNING on: at INFO they name arguments."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _log_end


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's own report would quote the exception's text."""
    log.critical("ended by an error", exc_info=(kind, error, trace))
