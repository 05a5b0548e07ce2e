"""``${NAME}`` and ``{file: PATH}`` in the configuration: values that come from the environment or from a file."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path as FilePath

from router.config.faults import Fault, Path
from router.config.located_yaml import Document
from router.fields import is_field
from router.secret import Reference
from router.wording import did_you_mean, quoted

_LARGEST_FILE = 64 * 1024
_SHORT = 3
_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Bad(Exception):
    """``of_environment``: the reference is right, and what it stands for is not there."""

    def __init__(self, sentence: str, *, of_environment: bool = False) -> None:
        super().__init__(sentence)
        self.of_environment = of_environment


def resolve(document: Document, environment: Mapping[str, str], folder: FilePath) -> tuple[object, list[Fault]]:
    """The values of the document with every reference replaced. What could not be replaced is left as written."""
    faults: list[Fault] = []

    def resolved(value: object, path: Path) -> object:
        if isinstance(value, dict) and list(value) == ["file"] and isinstance(value["file"], str):
            name = resolved(value["file"], path)
            return replaced(path, value, lambda: _from_file(folder, str(name)))
        if isinstance(value, dict):
            return {key: resolved(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [resolved(item, (*path, i)) for i, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return replaced(path, value, lambda: _from_environment(value, environment))
        return value

    def replaced(path: Path, value: object, text: Callable[[], str]) -> object:
        try:
            return Reference(text())
        except _Bad as bad:
            span = document.values.get((*path, "file"), document.values[path])
            faults.append(Fault(str(bad), span, path, of_environment=bad.of_environment))
            return value

    return resolved(document.root, ()), faults


def as_written(sentence: str, value: object, written: object) -> str:
    """The sentence with what references stand for taken out of it, and the references themselves put in."""
    for text, reference in _references(value, written):
        sentence = sentence.replace(quoted(text), quoted(reference))
        if len(text) > _SHORT:
            sentence = sentence.replace(text, reference)
    return sentence


def _references(value: object, written: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Reference):
        yield str(value), written if isinstance(written, str) else "{file: ...}"
    elif isinstance(value, dict) and isinstance(written, dict):
        for key in value.keys() & written.keys():
            yield from _references(value[key], written[key])
    elif isinstance(value, list) and isinstance(written, list):
        for item, text in zip(value, written, strict=True):
            yield from _references(item, text)


def _from_environment(text: str, environment: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: _variable(match[1], bool(match[2]), environment), text)


def _variable(name: str, closed: bool, environment: Mapping[str, str]) -> str:
    if not closed:
        raise _Bad("after ${ and the name of an environment variable comes a closing }")
    if not _NAME.fullmatch(name):
        raise _Bad(f"{quoted(name)} is not the name of an environment variable: use letters, digits and _ only")
    if name not in environment:
        hint = did_you_mean(name, environment)
        if is_field(name):
            hint = f"; or is the field of an event meant? That is written {{{{ {name} }}}}, in a template"
        raise _Bad(f"the environment variable {name} is not set; set it before you start{hint}", of_environment=True)
    if not environment[name].strip():
        raise _Bad(f"the environment variable {name} is empty; give it a value before you start")
    return environment[name]


def _from_file(folder: FilePath, name: str) -> str:
    file = f"the file {quoted(name)}"
    try:
        with (folder / name).open("rb") as opened:
            text = opened.read(_LARGEST_FILE + 1).decode().rstrip("\r\n")
    except OSError as error:
        raise _Bad(f"{file} can't be read: {(error.strerror or type(error).__name__).lower()}") from None
    except ValueError:
        raise _Bad(f"{file} is not UTF-8 text, or this can't be a file's name") from None
    if len(text) > _LARGEST_FILE:
        raise _Bad(f"{file} is larger than 64 KiB; is it the right one?")
    if not text.strip():
        raise _Bad(f"{file} is empty")
    return text
