"""A real server for tests, that can be stopped and started again."""

import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from router.embedded import find_server


class Valkey:
    """A server on a socket in ``folder``. It keeps nothing on disk, so that it is fast."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder}/server.sock"

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", "server.sock", "--appendonly", "no", "--save", ""]
        self._process = subprocess.Popen([find_server(), *options], cwd=self._folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline, "the server for the tests does not start"
            time.sleep(0.005)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as redis:
                return bool(redis.ping())
        except RedisError:
            return False
