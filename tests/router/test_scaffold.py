"""The guide in CONTRIBUTING, run as it stands: what is scaffolded passes every test from the start."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.cli import app
from router.scaffold import CannotScaffold, scaffold_vendor

ROOT = Path(__file__).parents[2]
NEW = {"scaffold": "handlers/my_ats.py", "scaffold_sink": "sinks/my_target.py"}
FOLDERS = ("router", "handlers", "sinks", "tests")


def commands_of_the_guide(marker: str) -> list[list[str]]:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    [block] = re.findall(rf"<!-- {marker} -->\n```sh\n(.*?)```", guide, re.DOTALL)
    return [shlex.split(line) for line in block.splitlines()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this project."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("marker", NEW)
def test_a_vendor_or_sink_is_added_as_the_guide_says(checkout: Path, marker: str) -> None:
    new = NEW[marker]
    modules = {"ats-router": "router.cli", "pytest": "pytest", "ruff": "ruff", "mypy": "mypy"}
    lint = [["ruff", "check", new], ["ruff", "format", "--check", new], ["mypy", new]]
    commands = commands_of_the_guide(marker)
    assert [command[0] for command in commands] == ["ats-router", "pytest"]
    for command in [*commands, *lint]:
        done = subprocess.run(
            [sys.executable, "-m", modules[command[0]], *command[1:]],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if command[0] == "pytest":
            assert re.search(r"\d\d passed", done.stdout)
            assert "failed" not in done.stdout


@pytest.mark.parametrize("name", ["My-ATS", "1ats", "", "class", "a" * 40, "../x", "ätz"])
def test_a_name_that_can_not_be_a_module_is_refused(name: str, checkout: Path) -> None:
    with pytest.raises(CannotScaffold, match="write it like my_ats"):
        scaffold_vendor(name, checkout)


def test_a_vendor_that_is_there_is_not_overwritten(checkout: Path) -> None:
    before = (checkout / "handlers" / "greenhouse.py").read_bytes()
    with pytest.raises(CannotScaffold, match="already"):
        scaffold_vendor("greenhouse", checkout)
    assert (checkout / "handlers" / "greenhouse.py").read_bytes() == before


def test_outside_of_a_checkout_it_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["scaffold", "vendor", "my_ats", "--into", str(tmp_path)])
    assert result.exit_code != 0
    assert "clone the repository" in result.stderr
    assert list(tmp_path.iterdir()) == []
