"""Logs: one JSON object a line on standard error. Never personal data, secrets, URLs of sinks or bodies."""

import logging
import sys
import traceback
from types import TracebackType

from pythonjsonlogger.json import JsonFormatter

_NOISY = ("uvicorn", "arq", "aiohttp", "httpx", "asyncio")


class Formatter(JsonFormatter):
    """JSON, with tracebacks that tell where but not what: an exception's text can quote a candidate's data."""

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        lines = []
        error: BaseException | None = ei[1]
        while error is not None:
            frames = [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
            ]
            lines.append(" <- ".join([type(error).__name__, *reversed(frames)]))
            error = error.__cause__ or error.__context__
        return "\n".join(lines)


def log_as_json(level: int = logging.INFO) -> None:
    """For the long-running commands. What libraries say is kept from WARNING on: at INFO they name arguments."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        Formatter(
            "{message}{levelname}{name}",
            style="{",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
