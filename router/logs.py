"""Logs: one JSON object a line on standard error. Never personal data, secrets, URLs of sinks or bodies."""

import json
import logging
import re
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

log = logging.getLogger(__name__)

NOISY = ("uvicorn", "arq", "aiohttp", "httpx", "asyncio")

GATHER_SECONDS = 0.05
"""A line is written so much later at most, unless the disk or the pipe is slow."""

MOST_LINES = 10_000
"""So many may wait to be written; with more, who logs has to wait."""

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


class Writer(logging.Handler):
    """Formats and writes in a thread of its own, many lines at a time: a disk that is busy with the ledger must not
    hold up webhooks, and a loop over many lines takes a fraction of the time. What a killed process said in its last
    moment is lost."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._records: deque[logging.LogRecord] = deque()
        self._something = threading.Event()
        self._turn = threading.Lock()
        threading.Thread(target=self._write_forever, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
        if not self._something.is_set():
            self._something.set()
        if len(self._records) >= MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what there is. Also called at the end of the process, by `logging`."""
        with self._turn, suppress(OSError, ValueError):  # whoever read it is gone
            records = [self._records.popleft() for _ in range(len(self._records))]
            self._stream.writelines(map(self._line, records))
            self._stream.flush()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self.format(record)}\n"
        except Exception:
            self.handleError(record)
            return ""

    def _write_forever(self) -> None:
        while True:
            self._something.wait()
            time.sleep(GATHER_SECONDS)
            self._something.clear()
            self.flush()


def log_as_json(level: int = logging.INFO) -> None:
    """For the long-running commands. What libraries say is kept from WARNING on: at INFO they name arguments."""
    handler = Writer(sys.stderr)
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
