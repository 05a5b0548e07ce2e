"""SIGHUP has two meanings: the terminal is gone, or someone asks to read the configuration again."""

import os
import signal
from contextlib import suppress


class Hangup:
    """Tells them apart. Made when the process starts; ``is_wanted``: whether the signal shall be handled at all."""

    def __init__(self) -> None:
        self._had_terminal = _has_terminal()
        self.is_wanted = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # under nohup it is, and stays so

    def terminal_is_gone(self) -> bool:
        return self._had_terminal and not _has_terminal()


def _has_terminal() -> bool:
    with suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        return True
    return False
