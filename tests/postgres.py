"""A real PostgreSQL for tests, from the machine's packages, that can be stopped and started again."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


class Postgres:
    """A server on a socket in ``folder``. It does not flush, so that it is fast."""

    def __init__(self, folder: Path) -> None:
        self._programs = _programs()
        self._data = folder / "data"
        self._user = _user()
        self.url = f"postgresql://postgres:W00t@/postgres?host={folder}"
        if self._user:
            shutil.chown(folder, self._user["user"], self._user["group"])
        self._call("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        options = f"fsync = off\nlisten_addresses = ''\nunix_socket_directories = '{folder}'\n"
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(options)

    def start(self) -> None:
        self._call("pg_ctl", "start", "--wait", f"--log={self._data / 'log'}")

    def stop(self) -> None:
        """As a crash would: connections are cut, nothing is tidied up."""
        self._call("pg_ctl", "stop", "--mode=immediate")

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments, "--pgdata", str(self._data)]
        nothing = subprocess.DEVNULL
        subprocess.run(command, check=True, stdin=nothing, stdout=nothing, stderr=nothing, cwd="/", **self._user)


def _programs() -> Path:
    """Debian keeps all but ``psql`` and the like out of PATH."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql, or brew install postgresql")
    return found[-1].resolve().parent


def _user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid}
