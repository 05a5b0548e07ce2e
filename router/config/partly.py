"""What can be used of a configuration that is wrong: where the ledger is, to say how the running processes go."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path as FilePath

from pydantic import ValidationError

from handlers.stages import StageKinds
from router.config.faults import Unreadable
from router.config.folder import files_of, folder_of
from router.config.located_yaml import Document, decode, read
from router.config.references import resolve
from router.config.settings import Config, Redis, Retention, Server
from router.edition import Edition
from router.rules import Ruleset


def without_rules(path: FilePath, environment: Mapping[str, str] = os.environ) -> Config:
    """A configuration with the ledger of the one at ``path``, and nothing else of it."""
    return Config(
        server=Server(),
        redis=_redis(path, environment),
        timezone="UTC",
        sources={},
        stages=StageKinds(()),
        sinks={},
        rules=Ruleset(()),
        retention=Retention(),
        edition=Edition({}, {}, {}),
    )


def _redis(path: FilePath, environment: Mapping[str, str]) -> Redis:
    """The settings under ``redis`` if they can be read, else those that hold without any."""
    folder = folder_of(path)
    found = Redis()
    with suppress(OSError, Unreadable):
        for file in files_of(path):
            root, _ = resolve(_readable(decode(file.read_bytes())), environment, folder)
            if isinstance(root, dict) and "redis" in root:
                with suppress(ValidationError):
                    found = Redis.model_validate(root["redis"])
    return found.model_copy(update={"data_dir": (folder / found.data_dir).absolute()})


def _readable(text: str) -> Document:
    """The sections above the one where it ceases to be YAML."""
    lines = text.splitlines(keepends=True)
    end = len(lines)
    while end:
        try:
            return read("".join(lines[:end]))
        except Unreadable as error:
            at_fault = error.fault.span.line + 1 if error.fault.span else end
            sections = (i for i in range(min(end, at_fault)) if lines[i][:1].isalpha())
            end = max(sections, default=0)
    return Document(values={})
