"""`ats-router scaffold`: the files of a new vendor or sink, which pass every test at once and say what to fill in."""

import json
import keyword
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template

from handlers.signatures import hex_hmac

_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
_SECRETS = ("fixture key, the new one", "fixture key, the old one")
_EVENTS = {"created": "application_created", "moved": "stage_changed", "rejected": "application_rejected"}


class CannotScaffold(Exception):
    """Nothing was written. The text says why and what to do."""


def scaffold_vendor(name: str, root: Path) -> list[Path]:
    """Write the module and the fixtures of a vendor into a checkout of this project; gives the files.

    Raises:
        CannotScaffold: the name can't be a module's, the vendor is there already, or this is no checkout.
    """
    module, fixtures = root / "handlers" / f"{name}.py", root / "tests" / "fixtures" / name
    known = _checked("vendor", name, root, module, fixtures)
    files = {module: _filled("handler.py.txt", known)}
    files |= {fixtures / path: content for path, content in _fixtures(name, known["header"]).items()}
    return _written(files)


def scaffold_sink(name: str, root: Path) -> list[Path]:
    """Write the module and the tests of a type of sink into a checkout of this project; gives the files.

    Raises:
        CannotScaffold: the name can't be a module's, the sink is there already, or this is no checkout.
    """
    module, tests = root / "sinks" / f"{name}.py", root / "tests" / "sinks" / f"test_{name}.py"
    known = _checked("sink", name, root, module, tests)
    return _written({module: _filled("sink.py.txt", known), tests: _filled("test_sink.py.txt", known)})


def _checked(word: str, name: str, root: Path, *new: Path) -> dict[str, str]:
    """What the templates are filled with."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise CannotScaffold(f"{name!r} can't be a {word}'s name: write it like my_ats, with a-z, 0-9 and _")
    if not (root / "handlers" / "base.py").exists() or not (root / "tests" / "fixtures").is_dir():
        raise CannotScaffold(f"{root} is no checkout of ats-router; clone the repository and run this in it")
    if any(path.exists() for path in new):
        raise CannotScaffold(f"there is a {word} {name} already: see {new[0]}")
    words = name.split("_")
    return {
        "name": name,
        "title": " ".join(word.capitalize() for word in words),
        "cls": "".join(word.capitalize() for word in words),
        "header": "-".join(words),
        "Header": "-".join(word.capitalize() for word in words),
    }


def _filled(template: str, known: Mapping[str, str]) -> str:
    return Template((resources.files("router") / "scaffolds" / template).read_text()).substitute(known)


def _written(files: Mapping[Path, str]) -> list[Path]:
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return list(files)


def _fixtures(name: str, header: str) -> Mapping[str, str]:
    """Settings, and per case body, headers and what is expected."""
    files = {"settings.json": _json({"vendor": name, "secret": list(_SECRETS)})}
    for case, (body, expected) in _cases().items():
        text = _json(body)
        files[f"{case}.json"] = text
        files[f"{case}.headers.json"] = _json({f"x-{header}-signature": hex_hmac(_SECRETS[0].encode(), text.encode())})
        files[f"{case}.expected.json"] = _json(expected)
    return files


def _cases() -> Mapping[str, tuple[object, object]]:
    cases: dict[str, tuple[object, object]] = {}
    for case, event in _EVENTS.items():
        application = {
            "id": "a1",
            "status": "rejected" if case == "rejected" else "open",
            "stage": {"id": "s2", "name": "Phone screen"},
            "candidate": {"id": "c1", "name": "Ada Lovelace", "email": "ada@example.org"},
            "job": {"id": "j1", "title": "Analyst"},
        }
        body = {"id": f"e-{case}", "event": event, "at": "2026-06-01T12:30:00Z", "application": application}
        cases[case] = (body, _expected(event, case))
    ignored = {"disposition": "ignored", "reason": "the common event has no type for it"}
    nothing: dict[str, object] = {"facts": [], "soft_drift": []}
    cases["unknown_event"] = (
        {"id": "e9", "event": "job_created"},
        {**ignored, "vendor_event": "job_created", **nothing},
    )
    cases["ping"] = ({"event": "ping"}, {"disposition": "ping", "vendor_event": "ping", **nothing})
    return cases


def _expected(event: str, case: str) -> object:
    stage = {"id": "s2", "name": "Phone screen"}
    types = {"created": "ApplicationCreated", "moved": "StageChanged", "rejected": "OutcomeChanged"}
    fact = {
        "type": types[case],
        "occurred_at": "2026-06-01T12:30:00Z",
        "vendor_event": event,
        "application": {"id": "a1", "outcome": "DECLINED" if case == "rejected" else "PENDING", "stage": stage},
        "candidate": {"id": "c1", "name": "Ada Lovelace", "emails": ["ada@example.org"]},
        "job": {"id": "j1", "title": "Analyst"},
    }
    if case == "moved":
        fact["to_stage"] = stage
    return {"disposition": "events", "vendor_event": event, "facts": [fact], "soft_drift": []}


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
