"""`rules log`, `rules show`, `rules diff`, and what `status` says of a configuration that is not in use."""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.config import load
from router.records import ConfigState
from tests.router.operating import CONFIG, Router

NEW_ROUTE = "  - {name: hires, when: {outcome: HIRED}, send_to: my-service}\n"


def note(router: Router) -> str:
    """As a worker does that begins to go by the file as it is; the hash."""
    edition = load(router.config).edition
    router.on_ledger(lambda ledger: ledger.note_rules(edition))
    return edition.hash


@pytest.fixture
def two(router: Router) -> tuple[str, str]:
    """The hashes of rules that changed."""
    first = note(router)
    router.config.write_text(router.config.read_text() + NEW_ROUTE)
    return first, note(router)


def test_without_a_worker_so_far_there_is_no_log(router: Router) -> None:
    assert router.told("rules log").startswith("no rules yet")
    assert router.json("rules log") == []


def test_the_log_says_what_changed_and_when(router: Router, two: tuple[str, str]) -> None:
    heading, latest, earliest = router.told("rules log").splitlines()
    assert heading.split() == ["since", "(UTC)", "rules", "what", "changed"]
    assert re.fullmatch(rf"20\d\d-\S+ \S+ +{two[1]} +routes added: hires *", latest)
    assert two[0] in earliest
    rows = router.json("rules log")
    assert (rows[0]["hash"], rows[0]["changes"]) == (two[1], ["routes added: hires"])
    assert len(router.json("rules log --limit 1")) == 1


def test_rules_are_shown_as_they_were_by_the_beginning_of_their_hash(router: Router, two: tuple[str, str]) -> None:
    assert "hires" not in router.told(f"rules show {two[0]}")
    told = router.told(f"rules show {two[1][:6]}")
    assert "- name: hires\n  when:\n    outcome: HIRED\n  send_to:\n  - my-service\n" in told
    shown = router.json(f"rules show {two[1]}")
    assert (shown["hash"], shown["sinks"]) == (two[1], ["my-service"])
    assert "s3cr3t" not in told


def test_rules_are_compared_with_the_file_or_with_each_other(router: Router, two: tuple[str, str]) -> None:
    told = router.told(f"rules diff {two[0]}")
    assert told.startswith(f"routes added: hires\n--- {two[0]}\n+++ {two[1]}\n")
    assert "\n+- name: hires\n" in told
    back = router.json(f"rules diff {two[1]} {two[0]}")
    assert (back["before"], back["now"], back["changes"]) == (two[1], two[0], ["routes removed: hires"])
    assert "-- name: hires" in back["diff"]
    assert router.told(f"rules diff {two[1]}") == "nothing is different\n"


def test_rules_that_are_not_in_use_yet_can_be_compared(router: Router, two: tuple[str, str]) -> None:
    router.config.write_text(router.config.read_text().replace("HIRED", "DECLINED"))
    today = load(router.config).edition.hash
    assert "+    outcome: DECLINED" in router.told(f"rules diff {two[1]} {today}")


@pytest.mark.parametrize("line", ["rules show nothing", "rules diff nothing"])
def test_an_unknown_hash_is_told(router: Router, two: tuple[str, str], line: str) -> None:
    result = router.run(line)
    assert result.exit_code == 2
    assert result.stderr == (
        "ats-router: no rules begin with 'nothing'; `ats-router rules log` lists the rules with their hashes\n"
    )


def test_a_beginning_that_several_hashes_have_is_told(router: Router) -> None:
    text = router.config.read_text()
    hashes = []
    for number in range(17):  # of 17 two begin with the same of 16 digits
        router.config.write_text(text + NEW_ROUTE.replace("hires", f"hires {number}"))
        hashes.append(note(router))
    [(digit, count), *_] = Counter(hash_[0] for hash_ in hashes).most_common()
    assert count > 1
    result = router.run(f"rules show {digit}")
    assert result.exit_code == 2
    assert f"several rules begin with '{digit}': " in result.stderr
    assert all(hash_ in result.stderr for hash_ in hashes if hash_.startswith(digit))


def say(router: Router, **state: object) -> None:
    told = ConfigState.model_validate({"path": str(router.config), "since": datetime(2026, 1, 2, tzinfo=UTC), **state})
    router.on_ledger(lambda ledger: ledger.show_config("worker", told))


def test_status_says_what_is_not_in_use(router: Router) -> None:
    assert router.json("status")["config"] == []
    say(router, errors=3)
    told = router.told("status")
    sentence = "the changed configuration is not in use since 2026-01-02 00:00:00 UTC: 3 errors; run `ats-router check"
    assert f"{sentence} {router.config}`\n" in told
    assert router.json("status")["config"][0]["errors"] == 3
    say(router, restart=["server.port", "redis.url"])
    assert "server.port, redis.url changed, and is used after a restart only\n" in router.told("status")


def test_status_answers_also_with_a_broken_file(router: Router) -> None:
    say(router, errors=1)
    router.config.write_text(router.config.read_text() + "routess: 1\n")
    result = router.run("status")
    assert result.exit_code == 0
    assert "1 error; run" in result.stdout
    assert 'unknown key "routess"' in result.stderr
    assert json.loads(router.run("status --json").stdout)["sources"] == []


def test_a_broken_file_with_nothing_running_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENHOUSE_SECRET", "s3cr3t")
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(place="redis: {data_dir: ./data}") + "routess: 1\n")
    result = Router(config, "").run("status")
    assert (result.exit_code, result.stdout) == (1, "")
    assert 'unknown key "routess"' in result.stderr
    assert result.stderr.endswith("start `ats-router up` first\n")
