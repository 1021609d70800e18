"""The command that writes the gallery."""

import html_pages
import pytest

from splice.commands.cli import main

# The command.


def test_the_command_writes_the_page_beside_the_runs(outputs, capsys):
    page = outputs.folder / "report.html"
    page.unlink(missing_ok=True)
    assert main(["report", str(outputs.folder), f"--against=rival={outputs.rival}"]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert html_pages.read(page).all("h1")[0].text == "outputs"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "give a folder of outputs to show"),
        (["{}", "--tally", "x.json"], "OUTPUTS and --tally do not go together"),
        (["{}", "--count=3"], "--count goes with --two-alternative, not with OUTPUTS"),
        (["{}", "--against=rival"], "write NAME=DIR"),
        (["{}", "--against=a=x", "--against=a=y"], "another system is named a already"),
        (["{}", "--against=a=/nowhere"], "/nowhere is not a folder"),
        (["{}", "--scores=/nowhere.json"], "/nowhere.json cannot be read"),
        (["{}", "--output=/nowhere/page.html"], "there is no folder /nowhere"),
        (["{}", "--output=/tmp"], "is a folder"),
    ],
)
def test_wrong_usage_is_explained(outputs, capsys, options, complaint):
    arguments = [option.format(outputs.folder) for option in options]
    assert main(["report", *arguments]) == 2
    assert complaint in capsys.readouterr().err
