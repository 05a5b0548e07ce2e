"""A configuration in several files reads as one, and every mistake in it still has its file, line and column."""

from pathlib import Path

import pytest

from router.config import ConfigErrors, load
from router.config.folder import files_of

ENVIRONMENT = {"SECRET": "a secret", "URL": "https://example.com/events"}
SOURCES = """
sources:
  greenhouse:
    vendor: greenhouse
    secret: ${SECRET}
"""
SINKS = """
# where to
sinks:
  slack: {type: http, url: '${URL}'}
"""
ROUTES = """
routes:
  - {name: all, send_to: slack}
"""
GOOD = {"1-sources.yaml": SOURCES, "2-sinks.yaml": SINKS, "3-routes.yml": ROUTES}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def problems(folder: Path, **files: str) -> list[str]:
    """What is said of the good files with some more of them, or others: the first line of each report."""
    write(folder, GOOD | {f"{name}.yaml": text for name, text in files.items()})
    with pytest.raises(ConfigErrors) as raised:
        load(folder, ENVIRONMENT)
    return [str(error).splitlines()[0].replace(f"{folder}/", "") for error in raised.value.errors]


def test_the_files_of_a_folder_are_one_configuration(tmp_path: Path) -> None:
    more = """
sinks:
  hris: {type: http, url: '${URL}', concurrency: 3}
routes:
  - {name: hires, when: {event: OutcomeChanged}, send_to: [hris]}
server: {port: 9000}
"""
    write(
        tmp_path, GOOD | {"4-hris.yaml": more, "5-later.yaml": "# nothing yet\n", ".hidden.yaml": "{", "notes.txt": "{"}
    )
    config = load(tmp_path, ENVIRONMENT)
    assert [file.name for file in files_of(tmp_path)] == [*GOOD, "4-hris.yaml", "5-later.yaml"]
    assert [route.name for route in config.rules.routes] == ["all", "hires"]
    assert list(config.sinks) == ["slack", "hris"]
    assert config.sinks["hris"].concurrency == 3
    assert config.server.port == 9000


def test_settings_of_one_section_may_be_spread_over_files(tmp_path: Path) -> None:
    write(tmp_path, GOOD | {"4.yaml": "server: {port: 9000}", "5.yaml": "server: {max_body: 2MiB}"})
    server = load(tmp_path, ENVIRONMENT).server
    assert (server.port, server.max_body) == (9000, 2 * 1024**2)


def test_relative_paths_start_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("from a file")
    sources = "sources:\n  greenhouse: {vendor: greenhouse, secret: {file: secret.txt}}\n"
    write(tmp_path, GOOD | {"1-sources.yaml": sources})
    config = load(tmp_path, ENVIRONMENT)
    assert config.sources["greenhouse"].secret[0].get_secret_value() == "from a file"  # type: ignore[attr-defined]
    assert config.redis.data_dir == tmp_path / "data"


CONFLICTS = {
    "a sink in two files": (
        "sinks:\n  slack: {type: http, url: '${URL}'}\n",
        '4.yaml:2:3: "slack" of "sinks" stands in line 4 of 2-sinks.yaml already; remove one of the two,'
        " or give this one another name",
    ),
    "a source in two files": (
        "\nsources:\n  greenhouse: {vendor: greenhouse, secret: '${SECRET}'}\n",
        '4.yaml:3:3: "greenhouse" of "sources" stands in line 3 of 1-sources.yaml already; remove one of the two,'
        " or give this one another name",
    ),
    "a route's name in two files": (
        "routes:\n  - name: all\n    send_to: slack\n",
        '4.yaml:2:11: a route "all" stands in line 3 of 3-routes.yml already; give this one another name',
    ),
    "routes that are no list": (
        "routes: {send_to: slack}\n",
        '4.yaml:1:1: "routes" stands in line 2 of 3-routes.yml already; remove one of the two',
    ),
    "an unknown sink": (
        "routes:\n  - {name: x, send_to: slak}\n",
        '4.yaml:2:24: there is no sink "slak"; did you mean "slack"?',
    ),
    "a wrong setting": (
        "# one\n\nserver:\n  port: none\n",
        '4.yaml:4:9: "port" must be a whole number, not "none"',
    ),
    "an unknown key": (
        "retentions: {events: 1d}\n",
        '4.yaml:1:1: unknown key "retentions" in the top level; did you mean "retention"?',
    ),
    "a variable that is not set": (
        "sinks:\n  other: {type: http, url: '${NOWHERE}'}\n",
        "4.yaml:2:28: the environment variable NOWHERE is not set; set it before you start",
    ),
    "no YAML": ("\tserver: 1\n", "4.yaml:1:1: there is a tab here; indent with spaces only"),
    "a list at the top": ("- 1\n", "4.yaml:1:1: each file must begin with a key in the first column, such as routes:"),
    "a key twice in one file": (
        "server: {port: 1, port: 2}\n",
        '4.yaml:1:19: "port" stands here twice (first in line 1); remove one',
    ),
    "a key without a value": (
        "retention:\n",
        '4.yaml:1:1: "retention" has no value; write one beside it, or indented below it, or remove the line',
    ),
}


@pytest.mark.parametrize("fault", CONFLICTS)
def test_a_mistake_in_one_of_the_files_is_told_where_it_is(tmp_path: Path, fault: str) -> None:
    text, said = CONFLICTS[fault]
    assert said in [line.replace(f"{tmp_path}/", "") for line in problems(tmp_path, **{"4": text})]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (
            "server: {port: 1}",
            "server: {port: 2}",
            '5.yaml:1:10: "port" of "server" stands in line 1 of 4.yaml already',
        ),
        ("default: {send_to: slack}", "\ndefault: {send_to: slack}", '5.yaml:2:11: "send_to" of "default" stands in'),
        ("stages: {OFFER: [a]}", "stages: {OFFER: [b]}", '5.yaml:1:10: "OFFER" of "stages" stands in line 1 of 4.yaml'),
        ("server: 1", "server: 2", '5.yaml:1:1: "server" stands in line 1 of 4.yaml already; remove one of the two'),
        ("server: {}", "server: []", '5.yaml:1:1: "server" stands in line 1 of 4.yaml already; remove one of the two'),
    ],
)
def test_a_setting_that_stands_in_two_files_is_told_with_both_places(
    tmp_path: Path, one: str, other: str, said: str
) -> None:
    assert any(line.startswith(said) for line in problems(tmp_path, **{"4": one, "5": other}))


def test_mistakes_of_several_files_are_told_at_once_and_in_order(tmp_path: Path) -> None:
    told = problems(tmp_path, **{"4": "server: {port: none}\nretention: {events: x}", "5": "redis: {max_memory: x}"})
    assert [line.partition(": ")[0] for line in told] == ["4.yaml:1:16", "4.yaml:2:21", "5.yaml:1:21"]


def test_every_file_that_is_no_yaml_is_told(tmp_path: Path) -> None:
    told = problems(tmp_path, **{"4": "routes: [", "5": "sinks: {"})
    assert [line.partition(":")[0] for line in told] == ["4.yaml", "5.yaml"]


def test_the_line_at_fault_is_shown_without_what_may_be_secret(tmp_path: Path) -> None:
    write(
        tmp_path, GOOD | {"4.yaml": "x: |\n  text\nsinks:\n  other: {type: http, url: 'https://literal', timeout: x}"}
    )
    with pytest.raises(ConfigErrors) as raised:
        load(tmp_path, ENVIRONMENT)
    shown = str(raised.value)
    assert "4.yaml:4:" in shown
    assert "literal'" not in shown


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "there is no file in this folder whose name ends in .yaml"),
        ({"a.yaml": "# later"}, "the file is empty"),
        ({"a.yaml": "# later", "b.yaml": ""}, "all files in this folder are empty"),
    ],
)
def test_a_folder_with_nothing_in_it_is_told(tmp_path: Path, files: dict[str, str], said: str) -> None:
    write(tmp_path, files)
    with pytest.raises(ConfigErrors, match=said):
        load(tmp_path, ENVIRONMENT)
