"""Reading and checking the file: one typed `Config`, or everything that is wrong with it at once."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

import handlers
import sinks
from handlers.settings import SourceSettings
from handlers.stages import EVERYDAY, StageKinds
from router.config.advice import Seen, hardly_meant, unreachable, unused_sinks
from router.config.cases import CaseCheck, Names
from router.config.confusions import (
    in_default,
    in_route,
    in_stages,
    in_test,
    only_of_sinks,
    setting_of_a_sink,
    unknown_sink,
)
from router.config.errors import ConfigError, ConfigErrors, report
from router.config.faults import Fault, Path
from router.config.folder import document_of, folder_of
from router.config.located_yaml import Document
from router.config.plain_words import missing_key, plain_faults, unknown_key
from router.config.recipients import in_overrides
from router.config.references import as_written, resolve
from router.config.settings import (
    TOP_LEVEL,
    Case,
    Company,
    Config,
    DefaultSettings,
    Redis,
    Retention,
    RouteSettings,
    Server,
    StagesSettings,
    TestSettings,
)
from router.config.unpolled import unpolled
from router.edition import edition_of
from router.naming import names_of
from router.rules import DEFAULT, CompiledRoute, Review, RuleErrors, Ruleset, SendTo, compile_route
from router.secret import Reference
from router.wording import did_you_mean, listed, nearest, quoted
from sinks.base import SinkSettings

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TEXT_TAKEN_FOR_COMMENT = re.compile(r"([\w.-]+:|-)\s+(#[^\s#].*?)(?:\s+#.*)?\s*$")
_SETTINGS = "settings, one a line, indented below it: name: value"
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Checked:
    """What a file says: the configuration, unless one of the problems is an error; and everything to tell of it."""

    config: Config | None
    problems: tuple[ConfigError, ...]

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        return tuple(problem for problem in self.problems if not problem.is_warning)


def load(path: FilePath | str, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check the file at ``path``; relative paths in it start where it lies.

    Raises:
        ConfigErrors: all that is wrong with it.
    """
    checked = check(path, environment)
    if checked.config is None:
        raise ConfigErrors(checked.errors)
    return checked.config


def check(path: FilePath | str, environment: Mapping[str, str] = os.environ, seen: Seen | None = None) -> Checked:
    """As `load`, with warnings; those about names that no event had so far only with what was ``seen``."""
    try:
        document = document_of(FilePath(path))
    except ConfigErrors as unreadable:
        return Checked(None, unreadable.errors)
    work = _Check(document, environment, folder_of(FilePath(path)))
    config = work.config()
    warnings = [*hardly_meant(document, work.routes, config, seen)]
    in_routes = any(fault.path and fault.path[0] in ("routes", "default") for fault in work.faults)
    if not document.faults and not in_routes and all(map(_NAME.fullmatch, work.names("sinks"))):
        warnings += unused_sinks(document)  # else the sink may be meant where a mistake is
    if config is not None:
        warnings += unpolled(document, config.sources)
    return Checked(config, tuple(report(str(path), document, [*work.faults, *warnings])))


def load_tests(path: FilePath | str, config: Config, environment: Mapping[str, str] = os.environ) -> tuple[Case, ...]:
    """The tests of a file of their own, below ``tests:``, for the rules of ``config``.

    Raises:
        ConfigErrors: all that is wrong with it.
    """
    document = document_of(FilePath(path))
    work = _Check(document, environment, folder_of(FilePath(path)))
    work.only_tests()
    routes = [route.name for route in config.rules.routes]
    cases = tuple(work.tests(Names(list(config.sources), list(config.sinks), [*routes, DEFAULT])))
    if work.faults:
        raise ConfigErrors(report(str(path), document, work.faults))
    return cases


class _Check:
    """Works through the file from top to bottom and gathers faults on the way."""

    def __init__(self, document: Document, environment: Mapping[str, str], folder: FilePath) -> None:
        self._document = document
        self._folder = folder
        root, faults = resolve(document, environment, folder)
        self.faults = [*document.faults, *faults, *_nothings(document, document.root, ())]
        if not isinstance(root, dict):
            sentence = "the file must begin with a key in the first column, such as sources:"
            self.faults.append(Fault(sentence, document.values[()], ()))
        self._root: dict[str, Any] = root if isinstance(root, dict) else {}
        self._sinks: dict[str, SinkSettings] = {}
        self.routes: list[tuple[Path, CompiledRoute]] = []

    def config(self) -> Config | None:
        self._top_level()
        server = self._settings(Server, ("server",), '"server"', self._root.get("server", {}))
        redis = self._settings(Redis, ("redis",), '"redis"', self._root.get("redis", {}))
        retention = self._settings(Retention, ("retention",), '"retention"', self._root.get("retention", {}))
        by_vendor = {vendor: handler.Settings for vendor, handler in handlers.by_vendor().items()}
        by_type = {sink_type: sink.Settings for sink_type, sink in sinks.by_type().items()}
        named_sources = self._named("source", SourceSettings, "vendor", by_vendor)
        of_all = {key: value for key, value in self._root.items() if key in Company.model_fields}
        company = self._settings(Company, (), "the top level", of_all)
        zone = {"timezone": company.timezone} if company else {}
        self._sinks = self._named("sink", SinkSettings, "type", by_type, zone)
        stages, rules = self._stages(), self._rules()
        tests = tuple(self.tests(self._known()))
        if self.faults or server is None or redis is None or company is None or retention is None:
            return None
        return Config(
            server=server,
            redis=redis.model_copy(update={"data_dir": (self._folder / redis.data_dir).absolute()}),
            timezone=company.timezone,
            sources=named_sources,
            sinks=self._sinks,
            stages=stages,
            rules=rules,
            retention=retention,
            edition=edition_of(cast("dict[str, Any]", self._document.root)),
            tests=tests,
        )

    def tests(self, known: Names) -> Iterator[Case]:
        """The tests beside the rules, or those of a file of their own."""
        read = partial(self._settings, TestSettings)
        values = self._root.get("tests", [])
        for i in range(len(values) if isinstance(values, list) else 0):
            self.faults += in_test(self._document, ("tests", i))
        return CaseCheck(self._document, self._folder, known, read, self._fault).cases(values)

    def only_tests(self) -> None:
        """Nothing else has a meaning in a file of tests."""
        for key in self._root:
            if key != "tests":
                self._fault((key,), unknown_key(key, "a file of tests", ["tests"]), at_key=True)
        if "tests" not in self._root:
            self._fault((), missing_key("tests", "the file", "a list of tests below it"), missing="tests")

    def _known(self) -> Names:
        return Names(self.names("sources"), self.names("sinks"), [*self._route_names(), DEFAULT])

    def _route_names(self) -> list[str]:
        """By what is written: what references stand for may be secret."""
        written = self._document.root.get("routes") if isinstance(self._document.root, dict) else None
        return names_of(written) if isinstance(written, list) else []

    def _top_level(self) -> None:
        for key in self._root:
            if key not in TOP_LEVEL:
                is_of_sinks = key in only_of_sinks()
                sentence = setting_of_a_sink(key) if is_of_sinks else unknown_key(key, "the top level", TOP_LEVEL)
                self._fault((key,), sentence, at_key=True)
        meanings = {
            "sources": "the ATS accounts that send webhooks",
            "sinks": "the places that events go to",
            "routes": "the rules that say which event goes to which sink",
        }
        meant = {nearest(key, TOP_LEVEL) for key in self._root}
        for key, meaning in meanings.items():
            if isinstance(self._document.root, dict) and key not in meant:
                self._fault((), missing_key(key, "the top level", meaning), missing=key)

    def _named(
        self,
        word: str,
        base: type[_Model],
        chooser: str,
        known: Mapping[str, type[_Model]],
        unless_written: Mapping[str, Any] = MappingProxyType({}),
    ) -> dict[str, _Model]:
        """The sources, or the sinks: names with settings of the class that ``chooser`` chooses."""
        section = f"{word}s"
        found = {}
        entries = self._root.get(section, {})
        if not isinstance(entries, dict):
            self._fault(
                (section,),
                f'"{section}" must be {word}s by their names, without dashes; write my-{word}: below it, indented',
            )
            return {}
        for name, value in entries.items():
            path = (section, name)
            if not _NAME.fullmatch(name):
                self.faults.append(Fault(_bad_name(word, name), self._document.keys[path], (*path, "")))
            model = self._chosen(path, word, value, chooser, known)
            place = f"the {word} {quoted(name)}"
            if model and (settings := self._settings(model, path, place, {**unless_written, **value})):
                found[name] = settings
        return found

    def _chosen(
        self, path: Path, word: str, value: object, chooser: str, known: Mapping[str, type[_Model]]
    ) -> type[_Model] | None:
        if not isinstance(value, dict):
            self._fault(path, f"the {word} {quoted(path[-1])} must have {_SETTINGS}")
        elif chooser not in value:
            self._no_chooser(path, f"the {word} {quoted(path[-1])}", value, chooser, known)
        elif (choice := value[chooser]) not in known:
            written = quoted(self._document.value_at((*path, chooser)))
            hint = did_you_mean(str(choice), known) or f"; known: {listed(known, 'and')}"
            self._fault((*path, chooser), f"there is no {chooser} {written}{hint}")
        else:
            return known[choice]
        return None

    def _no_chooser(
        self, path: Path, place: str, value: dict[str, object], chooser: str, known: Mapping[str, object]
    ) -> None:
        common = SourceSettings.model_fields | SinkSettings.model_fields
        if misspelt := nearest(chooser, value.keys() - common.keys()):
            self._fault((*path, misspelt), unknown_key(misspelt, place, [chooser]), at_key=True)
        else:
            self._fault(path, missing_key(chooser, place, f"one of {listed(known)}"), missing=chooser)

    def _settings(self, model: type[_Model], path: Path, place: str, value: object) -> _Model | None:
        if not isinstance(value, dict):
            self._fault(path, f"{place} must have {_SETTINGS}")
            return None
        try:
            return model.model_validate(value)
        except ValidationError as failure:
            below = any(fault.path and fault.path != path and fault.path[: len(path)] == path for fault in self.faults)
            for fault in plain_faults(self._document, path, place, model, failure):
                if fault.path != path or not below:  # else of the whole, because of a part that is wrong
                    self.faults.append(fault)
            return None

    def _rules(self) -> Ruleset:
        allowed = {"source": self.names("sources"), "vendor": tuple(handlers.by_vendor())}
        values = self._root.get("routes", [])
        if not isinstance(values, list):
            self._fault(("routes",), '"routes" must be a list: begin each route with a dash, as in - send_to: my-sink')
            values = []
        lines: dict[str, str] = {}
        for i, (value, name) in enumerate(zip(values, self._route_names(), strict=False)):
            path = ("routes", i)
            given = isinstance(value, dict) and value.get("name")
            place = f"the route {quoted(given)}" if given else "this route"
            self.faults += in_route(self._document, path, place)
            named = {"name": name} | value if isinstance(value, dict) else value
            if (route := self._settings(RouteSettings, path, place, named)) is None:
                continue
            if first := lines.get(route.name):
                sentence = f"a route {quoted(route.name)} stands in {first} already; give this one another name"
                self._fault((*path, "name"), sentence)
            lines.setdefault(route.name, self._document.words_for(self._document.values[path].line))
            self.routes += ((path, compiled) for compiled in self._compiled(route, place, path, allowed))
        self.faults += unreachable(self._document, self.routes)
        return Ruleset([route for _, route in self.routes], self._default())

    def _compiled(
        self, route: RouteSettings, place: str, path: Path, allowed: Mapping[str, tuple[str, ...]]
    ) -> Iterator[CompiledRoute]:
        if not route.send_to and not route.stop:
            meaning = "the name of a sink, or a list of names; or stop: true, if what matches shall go nowhere"
            self._fault(path, missing_key("send_to", place, meaning), missing="send_to")
        self._known_sinks(route.send_to, (*path, "send_to"))
        try:
            compiled = compile_route(
                route.name, route.when, route.send_to, allowed, unless=route.unless, stop=route.stop
            )
        except RuleErrors as errors:
            for error in errors.errors:
                self._fault((*path, *error.path), error.sentence, at_key=error.is_field)
        else:
            yield replace(compiled, enabled=route.enabled, review=_review_of(route))

    def _default(self) -> CompiledRoute | None:
        if "default" not in self._root:
            return None
        self.faults += in_default(self._document)
        settings = self._settings(DefaultSettings, ("default",), '"default"', self._root["default"])
        if settings is None:
            return None
        self._known_sinks(settings.send_to, ("default", "send_to"))
        return CompiledRoute(DEFAULT, settings.send_to, review=_review_of(settings))

    def _stages(self) -> StageKinds:
        told = self._root.get("stages", {})
        for path in [("stages",), *(("sources", name, "stages") for name in self.names("sources"))]:
            self.faults += in_stages(self._document, path)
        settings = self._settings(StagesSettings, ("stages",), '"stages"', told)
        return StageKinds([*(settings.root.items() if settings else ()), *EVERYDAY])

    def _known_sinks(self, targets: tuple[SendTo, ...], path: Path) -> None:
        known = self.names("sinks")
        for i, to in enumerate(targets):
            if known and to.sink not in known and to.sink not in map(_better_name, known):
                self._fault((*path, i, to.sink), unknown_sink(to.sink, known), at_key=bool(to.overrides))
            elif to.overrides and (settings := self._sinks.get(to.sink)):
                self.faults += in_overrides(self._document, to, settings, (*path, i, to.sink))

    def names(self, section: str) -> tuple[str, ...]:
        entries = self._root.get(section)
        return tuple(entries) if isinstance(entries, dict) else ()

    def _value_at(self, path: Path) -> object:
        value: Any = self._root
        for step in path:
            if isinstance(value, Reference):
                break
            value = value[step]
        return value

    def _fault(self, path: Path, sentence: str, *, missing: str | None = None, at_key: bool = False) -> None:
        """A fault of what stands at ``path``, of the key there, or of the key that is ``missing`` there."""
        known = self._document.known_part(path)
        sentence = as_written(sentence, self._value_at(known), self._document.value_at(known))
        span = self._document.keys.get(known) if at_key else self._document.spot(known)
        self.faults.append(Fault(sentence, span, (*known, missing) if missing else known))


def _nothings(document: Document, value: object, path: Path) -> Iterator[Fault]:
    """Every key and list item without a value: most often something is indented wrongly or was forgotten."""
    if value is None and path:
        name = quoted(path[-1]) if isinstance(path[-1], str) else "this list item"
        sentence = f"{name} has no value; write one beside it, or indented below it, or remove the line"
        spot = document.spot(path)
        line = document.lines[spot.line] if spot and spot.line < len(document.lines) else ""
        if hidden := _TEXT_TAKEN_FOR_COMMENT.search(line):
            sentence += f"; a text that begins with # must be in quotes, as in {hidden[1]} {quoted(hidden[2])}"
        yield Fault(sentence, spot, path)
    elif isinstance(value, dict) and list(value.values()) == [None] and document.is_in_braces(path):
        name = next(iter(value))
        yield Fault(f"a $ is missing before the {{; write ${{{name}}}", document.values[path], path)
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield from _nothings(document, item, (*path, step))


def _better_name(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:63]


def _bad_name(word: str, name: str) -> str:
    better = _better_name(name)
    hint = f"; write {better}" if better else ""
    return f"the name {quoted(name)} of a {word} may have only a-z, 0-9, - and _, at most 63 of them{hint}"


def _review_of(route: RouteSettings | DefaultSettings) -> Review | None:
    return Review(route.review.reject_after) if route.review is not None else None
