"""Logs: one JSON object a line on standard error. Never personal data, secrets, URLs of sinks or bodies."""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType

log = logging.getLogger(__name__)

NOISY = ("uvicorn", "arq", "aiohttp", "httpx", "asyncio")

_NO_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class Formatter(logging.Formatter):
    """JSON, with tracebacks that tell where but not what: an exception's text can quote a candidate's data.

    A line is written per webhook and per attempt, which is why no library does it: one takes half as long again.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.name == "asyncio":  # what follows its first words quotes exceptions and arguments
            message = re.split(r"[\n(]", message, maxsplit=1)[0]
        line = {"message": message, "level": record.levelname, "logger": record.name}
        line |= {name: value for name, value in vars(record).items() if name not in _NO_FIELDS}
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        line["time"] = datetime.fromtimestamp(record.created, UTC).isoformat()
        return _encode(line)

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
    # nobody is told these, so they need not be found out: see "Optimization" in Python's logging HOWTO
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _log_end


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's own report would quote the exception's text."""
    log.critical("ended by an error", exc_info=(kind, error, trace))
