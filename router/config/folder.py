"""The text of a configuration: one file, or all files of a folder, which then read as if they were one.

The lines of all files follow each other in one `Document`, so that every place in it is still one line of one file.
"""

from dataclasses import replace
from pathlib import Path as FilePath

from router.config.errors import ConfigError, ConfigErrors, unreadable
from router.config.faults import Fault, Path, Span, Unreadable
from router.config.located_yaml import Document, Token, decode, read
from router.wording import quoted

_LARGEST_FILE = 4 * 1024**2
_ENDINGS = (".yaml", ".yml")


def files_of(path: FilePath) -> list[FilePath]:
    """The files that a configuration consists of, in the order of their names; hidden ones are no part of it."""
    if not path.is_dir():
        return [path]
    files = (file for file in path.iterdir() if file.suffix in _ENDINGS and not file.name.startswith("."))
    return sorted(file for file in files if file.is_file())


def folder_of(path: FilePath) -> FilePath:
    """Where relative paths in a configuration start."""
    return path if path.is_dir() else path.parent


def document_of(path: FilePath) -> Document:
    """The configuration at ``path`` as values with places.

    Raises:
        ConfigErrors: there is none, or something in it is not YAML.
    """
    try:
        files = files_of(path)
    except OSError as error:
        raise ConfigErrors([ConfigError(str(path), _no_reading(error))]) from None
    if not files:
        raise ConfigErrors([ConfigError(str(path), "there is no file in this folder whose name ends in .yaml")])
    documents, errors = [], []
    for file in files:
        text = ""
        try:
            text = decode(_read(file))
            if len(files) == 1 or _says_something(text):
                documents.append((str(file), read(text)))
        except Unreadable as error:
            errors.append(unreadable(str(file), text, error.fault))
    if errors:
        raise ConfigErrors(errors)
    if not documents:
        raise ConfigErrors(
            [ConfigError(str(path), "all files in this folder are empty; start from config.example.yaml")]
        )
    return documents[0][1] if len(files) == 1 and not path.is_dir() else _Merge(documents).document


def _read(path: FilePath) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise Unreadable(_no_reading(error)) from None
    if len(raw) > _LARGEST_FILE:
        raise Unreadable("this is larger than 4 MiB, so it is not a configuration")
    return raw


def _no_reading(error: Exception) -> str:
    reason = (getattr(error, "strerror", None) or "this can't be a file's name").lower()
    return f"can't read the configuration: {reason}"


def _says_something(text: str) -> bool:
    """Whether there is more than comments: in a folder, a file may wait to be filled."""
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


class _Merge:
    """Puts documents together: mappings by key, lists one after the other, anything else stands in one file only."""

    def __init__(self, documents: list[tuple[str, Document]]) -> None:
        self.document = Document(root={}, values={(): Span(0, 0, 0, 0)})
        self._root: dict[str, object] = {}
        for name, document in documents:
            self._add(name, document)
        self.document.root = self._root

    def _add(self, name: str, document: Document) -> None:
        merged, first = self.document, len(self.document.lines)
        merged.files.append((first, name))
        merged.lines += [*document.lines, ""]  # a last text may end where the next line would begin
        merged.tokens |= {
            first + line: [Token(_below(token.span, first), token.is_key) for token in tokens]
            for line, tokens in document.tokens.items()
        }
        merged.faults += [
            replace(fault, span=_below(fault.span, first) if fault.span else None) for fault in document.faults
        ]
        placed = _Placed(document, first)
        if not isinstance(document.root, dict):
            sentence = "each file must begin with a key in the first column, such as routes:"
            merged.faults.append(Fault(sentence, placed.values[()]))
            return
        for key, value in document.root.items():
            self._section(key, value, placed)

    def _section(self, key: str, value: object, placed: "_Placed") -> None:
        there = self._root.get(key)
        if key not in self._root:
            self._root[key] = value
            self._take(placed, (key,), (key,))
        elif isinstance(there, dict) and isinstance(value, dict):
            for name, item in value.items():
                if name in there:
                    self._conflict((key, name), placed)
                else:
                    there[name] = item
                    self._take(placed, (key, name), (key, name))
        elif isinstance(there, list) and isinstance(value, list):
            for i, item in enumerate(value):
                self._take(placed, (key, i), (key, len(there)))
                there.append(item)
        else:
            self._conflict((key,), placed)

    def _take(self, placed: "_Placed", old: Path, new: Path) -> None:
        """The places of a value and of all that is in it."""
        depth = len(old)
        for path in placed.below(old):
            ours = (*new, *path[depth:])
            if path in placed.values:
                self.document.values[ours] = placed.values[path]
            if path in placed.keys:
                self.document.keys[ours] = placed.keys[path]

    def _conflict(self, path: Path, placed: "_Placed") -> None:
        line = self.document.keys[path].line
        what = f"{quoted(path[-1])} of {quoted(path[0])}" if len(path) > 1 else quoted(path[0])
        sentence = f"{what} stands in {self.document.words_for(line)} already; remove one of the two"
        if path[0] in ("sources", "sinks"):
            sentence += ", or give this one another name"
        self.document.faults.append(Fault(sentence, placed.keys[path]))


class _Placed:
    """Where the values of one document stand among the lines of all."""

    def __init__(self, document: Document, first: int) -> None:
        self.values = {path: _below(span, first) for path, span in document.values.items()}
        self.keys = {path: _below(span, first) for path, span in document.keys.items()}
        self._by_section: dict[Path, list[Path]] = {}
        for path in self.values:
            for depth in (1, 2):
                if len(path) >= depth:
                    self._by_section.setdefault(path[:depth], []).append(path)

    def below(self, section: Path) -> list[Path]:
        """The paths of what stands at ``section`` and in it."""
        return self._by_section[section]


def _below(span: Span, lines: int) -> Span:
    return replace(span, line=span.line + lines, end_line=span.end_line + lines)
