"""The runs in a folder of outputs, whatever state they are in."""

import shutil

import html_pages
import pytest
import small_outputs
from gallery_page import mean_difference
from PIL import Image

from splice.errors import InputError
from splice.studies.report import find_runs, write_gallery
from splice.studies.report.runs import natural

# Which runs there are.


def test_runs_are_found_in_the_order_in_which_people_count(outputs):
    entries = find_runs(outputs.folder)
    assert [(entry.name, entry.state) for entry in entries] == [
        ("2", "finished"),
        ("10", "finished"),
        ("11", "unfinished"),
        ("12", "failed"),
    ]
    assert (entries[2].done, entries[2].steps) == (4, small_outputs.STEPS)
    assert sorted(["b10", "B9", "a", "b09x"], key=natural) == ["a", "B9", "b09x", "b10"]
    assert [entry.name for entry in find_runs(outputs.folder / "10")] == ["10"]


def test_a_killed_run_is_shown_with_its_picture_so_far(outputs, tmp_path):
    """After a SIGKILL, there is a checkpoint and what was written with it, but no record."""
    shutil.copytree(outputs.folder / "11", tmp_path / "11")
    assert (tmp_path / "11" / "checkpoint.safetensors").is_file()
    (tmp_path / "11" / "run.json").unlink()
    (entry,) = find_runs(tmp_path)
    assert (entry.name, entry.state, entry.done) == ("11", "unfinished", 4)
    write_gallery(tmp_path / "report.html", [entry], title="killed")
    (card,) = html_pages.read(tmp_path / "report.html").all("article")
    assert "unfinished 4 steps" in card.text
    (figure,) = card.all("figure", data_role="output")
    with Image.open(tmp_path / "11" / "output.png") as output:
        shown = html_pages.picture(figure.all("img")[0].attributes["src"], tmp_path)
        assert mean_difference(shown, output) < 3


def test_folders_without_runs(tmp_path):
    with pytest.raises(InputError, match="holds no runs"):
        find_runs(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        find_runs(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "record",
    [
        "{}",
        "[1, 2]",
        "not JSON",
        '{"finished": true, "seconds": "long", "steps": [], "settings": 3, "scores": [1]}',
        '{"structure": {"file": 7, "size": "big"}, "output": {"size": [0, 0]}, "backbone": 1}',
    ],
)
def test_a_record_that_somebody_has_spoilt_does_not_spoil_the_page(tmp_path, record):
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "run.json").write_text(record)
    (tmp_path / "pair" / "losses.csv").write_text("step,total\n1,x\n")
    (tmp_path / "pair" / "panel.png").write_text("no picture")
    write_gallery(tmp_path / "report.html", find_runs(tmp_path), title="t")
    (card,) = html_pages.read(tmp_path / "report.html").all("article")
    assert card.attributes["data-name"] == "pair"
