"""docs/vendors.md says what the handlers say."""

import json
import re
from pathlib import Path

from typer.testing import CliRunner

from handlers import by_vendor
from router.cli import app
from router.vendor_matrix import markdown, rows

DOCS = Path(__file__).parents[2] / "docs" / "vendors.md"


def test_the_document_was_made_from_these_handlers() -> None:
    assert DOCS.read_text() == markdown(), "run: ats-router vendors --markdown > docs/vendors.md"
    assert CliRunner().invoke(app, ["vendors", "--markdown"]).stdout == markdown()


def test_every_vendor_has_a_row_and_a_section_that_its_link_leads_to() -> None:
    assert {row[1] for row in rows()} == set(by_vendor())
    text = markdown()
    for vendor, handler in by_vendor().items():
        assert f"](#{vendor}) | `{vendor}` |" in text
        section = text.partition(f'<a id="{vendor}"></a>\n\n## {handler.title}\n')[2].partition("<a id=")[0]
        assert "Verified: " in section
        for event in handler.guide.events:
            assert f"`{event}`" in section


def test_a_table_has_as_many_cells_in_every_line() -> None:
    lines = [line for line in markdown().splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_the_list_of_vendors_is_for_people_and_for_programs() -> None:
    listed = CliRunner().invoke(app, ["vendors"])
    assert listed.exit_code == 0
    assert "Greenhouse Recruiting" in listed.stdout
    told = json.loads(CliRunner().invoke(app, ["vendors", "--json"]).stdout)
    assert {vendor["vendor"] for vendor in told} == set(by_vendor())
