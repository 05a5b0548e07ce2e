"""Checking the tests that stand beside the rules: each has one thing to try, and expects what can be."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Protocol

from router.config.faults import Path
from router.config.located_yaml import Document
from router.config.plain_words import missing_key
from router.config.settings import Case, TestSettings
from router.identity import partition_in
from router.trying.given import BadFields, event_of
from router.wording import did_you_mean, listed, quoted

_GIVEN = ("fields", "payload", "event")


class Tell(Protocol):
    """Takes a fault of what stands at ``path``, of the key there, or of the key that is ``missing`` there."""

    def __call__(self, path: Path, sentence: str, *, missing: str | None = None, at_key: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Names:
    """What tests can name."""

    sources: Sequence[str]
    sinks: Sequence[str]
    routes: Sequence[str]


@dataclass(frozen=True, slots=True)
class CaseCheck:
    """Works through the tests of one file, which lies in ``folder``. ``read`` is told path, place and value of one."""

    document: Document
    folder: FilePath
    names: Names
    read: Callable[[Path, str, object], TestSettings | None]
    fault: Tell

    def cases(self, values: object) -> Iterator[Case]:
        """The tests that are right; mistakes of the others are faults."""
        if not isinstance(values, list):
            self.fault(("tests",), '"tests" must be a list: begin each test with a dash, as in - name: hires go to IT')
            return
        lines: dict[str, str] = {}
        for i, value in enumerate(values):
            path: Path = ("tests", i)
            test = self.read(path, f"test {i + 1}", value)
            if test is None:
                continue
            if first := lines.get(test.name):
                sentence = f"a test {quoted(test.name)} stands in {first} already; give this one another name"
                self.fault((*path, "name"), sentence)
            line = self.document.values[path].line
            lines.setdefault(test.name, self.document.words_for(line))
            self._given(test, path)
            self._expected(test, path)
            payload = self.folder / test.payload if test.payload else None
            file, number = self.document.place(line)
            yield Case(test.model_copy(update={"payload": payload}), number + 1, file)

    def _given(self, test: TestSettings, path: Path) -> None:
        given = [key for key in _GIVEN if getattr(test, key) is not None]
        place = f"the test {quoted(test.name)}"
        if not given:
            meaning = "what the event has, as under when, or payload: a file, or event: the id of a stored event"
            self.fault(path, missing_key("fields", place, meaning), missing="fields")
        for more in given[1:]:
            self.fault((*path, more), f"{quoted(given[0])} stands in {place} already; remove one of them", at_key=True)
        if test.source is not None and test.source not in self.names.sources:
            self._unknown((*path, "source"), "source", test.source, self.names.sources)
        if test.fields is not None:
            self._fields(test, path)
        if test.payload is not None:
            self._payload(test, test.payload, path)
        if test.event is not None:
            self._event(test, test.event, path)

    def _fields(self, test: TestSettings, path: Path) -> None:
        try:
            event_of(test.fields or {})
        except BadFields as bad:
            for mistake in bad.mistakes:
                self.fault((*path, "fields", *mistake.path), mistake.sentence, at_key=mistake.is_field)

    def _payload(self, test: TestSettings, payload: FilePath, path: Path) -> None:
        if test.source is None and len(self.names.sources) != 1:
            meaning = f"which source the payload came from: {listed(self.names.sources)}"
            self.fault(path, missing_key("source", f"the test {quoted(test.name)}", meaning), missing="source")
        if not (self.folder / payload).is_file():
            self.fault((*path, "payload"), f"there is no file {quoted(str(payload))} beside this one")

    def _event(self, test: TestSettings, event: str, path: Path) -> None:
        try:
            partition_in(event if event.startswith("evt_") else "")
        except ValueError:
            sentence = (
                f"{quoted(event)} is no id of a stored event: they begin with evt_, as `ats-router events` shows them;"
                " what an event has is written below fields:"
            )
            self.fault((*path, "event"), sentence)
        if test.source is not None:
            self.fault((*path, "source"), "a stored event knows its source; remove this line", at_key=True)

    def _expected(self, test: TestSettings, path: Path) -> None:
        for i, sink in enumerate(test.send_to):
            if self.names.sinks and sink not in self.names.sinks:
                self._unknown((*path, "send_to", i), "sink", sink, self.names.sinks)
        for i, route in enumerate(test.routes or ()):
            if route not in self.names.routes:
                self._unknown((*path, "routes", i), "route", route, self.names.routes)
        for sink in test.message:
            if self.names.sinks and sink not in self.names.sinks:
                self._unknown((*path, "message", sink), "sink", sink, self.names.sinks, at_key=True)
            elif sink not in test.send_to:
                sentence = f"{quoted(sink)} has a message here, but is not in send_to of this test; add it there"
                self.fault((*path, "message", sink), sentence, at_key=True)

    def _unknown(self, path: Path, word: str, name: str, known: Sequence[str], *, at_key: bool = False) -> None:
        hint = did_you_mean(name, known) or f"; known: {listed(known, 'and')}"
        self.fault(path, f"there is no {word} {quoted(name)}{hint}", at_key=at_key)
