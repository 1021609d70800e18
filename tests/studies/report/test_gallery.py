"""What the gallery shows of each pair, read from the page itself."""

import json
import shutil

import html_pages
import pytest
import small_outputs
from gallery_page import card_of, mean_difference, rows_of
from PIL import Image

from splice.studies.report import find_runs, write_gallery


@pytest.fixture(scope="module")
def page(outputs) -> html_pages.Element:
    path = outputs.folder / "report.html"
    entries = find_runs(outputs.folder)
    write_gallery(path, entries, title="A <title> & more", against={"ri<val": outputs.rival})
    return html_pages.read(path)


def _record(outputs, name: str) -> dict:
    return json.loads((outputs.folder / name / "run.json").read_text())


# What the page shows.


def test_every_pair_has_its_pictures(outputs, page):
    assert len(page.all("article")) == 4
    expected = {
        "2": {"structure", "appearance", "output", "ri<val"},
        "10": {"structure", "appearance", "output", "ri<val"},
        "11": {"structure", "appearance", "output so far"},
        "12": set(),
    }
    for name, labels in expected.items():
        figures = [f for f in card_of(page, name).all("figure") if "data-role" in f.attributes]
        assert {figure.attributes["data-label"] for figure in figures} == labels
        for figure in figures:
            (image,) = figure.all("img")
            assert name in image.attributes["alt"]
    shown = {
        figure.attributes["data-label"]: figure.all("img")[0].attributes
        for figure in card_of(page, "10").all("figure")
    }
    originals = {
        "structure": outputs.structure,
        "appearance": outputs.appearance,
        "output": outputs.folder / "10" / "output.png",
        "ri<val": outputs.rival / "10.png",
    }
    for label in originals:
        picture = html_pages.picture(shown[label]["src"], outputs.folder)
        assert picture.size == (int(shown[label]["width"]), int(shown[label]["height"]))
        for other, file in originals.items():
            with Image.open(file) as of_file:
                apart = mean_difference(picture, of_file)
            assert apart < 3 if other == label else apart > 12, (label, other)


def test_everything_in_it_is_escaped_and_nothing_is_asked_of_a_network(outputs, page):
    assert page.all("h1")[0].text == "A <title> & more"
    assert page.all("title")[0].text == "A <title> & more"
    assert "night<b>.jpg is damaged & <i>cut</i> short." in card_of(page, "12").text
    assert not page.all("b")
    for tag, name in (("img", "src"), ("script", "src"), ("link", "href"), ("a", "href")):
        for element in page.all(tag):
            address = element.attributes.get(name, "data:")
            assert address.startswith(("data:", "#")) or (outputs.folder / address).is_file()
    assert "http" not in "".join(element.text for element in page.all("style"))


def test_it_tells_scores_settings_and_where_the_files_are(outputs, page):
    record = _record(outputs, "10")
    card = card_of(page, "10")
    scores = {row.all("dt")[0].text: row.all("dd")[0].text for row in rows_of(card, "scores")}
    assert scores["texture ↓ (lower is better)"] == f"{record['scores']['texture']:.3f}"
    assert scores["self-sim ↓ (lower is better)"] == f"{record['scores']['self_sim']:.4f}"
    assert scores["layout ↑ (higher is better)"] == f"{record['scores']['layout']:.3f}"
    for name, value in record["scores"].items():
        assert float(card.attributes[f"data-score-{name}"]) == value
    settings = {row.all("dt")[0].text: row for row in rows_of(card, "settings")}
    assert settings["seed"].all("dd")[0].text == "5"
    # What differs from most pairs stands out, here and on the card itself.
    marked = [name for name, row in settings.items() if row.attributes.get("class") == "own"]
    assert marked == ["seed"]
    assert card.all("p", of="own")[0].text == "seed 5"
    assert not card_of(page, "2").all("p", of="own")
    assert "4 of 12 steps" in card_of(page, "11").text
    links = {a.text: a.attributes["href"] for a in card.all("a")}
    assert links["run.json"] == "10/run.json"
    usual = page.all("section", of="common")[0]
    rows = {row.all("dt")[0].text: row for row in usual.all("div")}
    assert rows["steps"].attributes.get("class") == "own"  # unlike the default
    assert rows["precision"].attributes.get("class") is None


def test_the_time_lapse_has_its_frames_and_their_steps(outputs, page):
    (lapse,) = card_of(page, "2").all("section", of="lapse")
    steps = lapse.attributes["data-steps"].split()
    frames, columns = int(lapse.attributes["data-frames"]), int(lapse.attributes["data-columns"])
    assert (steps[0], steps[-1], len(steps)) == ("0", str(small_outputs.STEPS), frames)
    strip = html_pages.picture(lapse.all("img")[0].attributes["src"], outputs.folder)
    width, height = 85, 64
    assert strip.size == (columns * width, -(-frames // columns) * height)
    with Image.open(outputs.folder / "2" / "progress.gif") as animation:
        for frame in (0, frames // 2, frames - 1):
            animation.seek(frame)
            x, y = frame % columns * width, frame // columns * height
            assert mean_difference(strip.crop((x, y, x + width, y + height)), animation) < 3
    steps = card_of(page, "11").all("section", of="lapse")[0].attributes["data-steps"].split()
    assert max(map(int, steps)) == 4


def test_inputs_that_have_moved_are_taken_from_the_panel(outputs, tmp_path):
    shutil.copytree(outputs.folder / "2", tmp_path / "2")
    record = _record(outputs, "2")
    for role in ("structure", "appearance"):
        record[role]["file"] = f"/nowhere/{role}.png"
    (tmp_path / "2" / "run.json").write_text(json.dumps(record))
    write_gallery(tmp_path / "report.html", find_runs(tmp_path), title="moved")
    page = html_pages.read(tmp_path / "report.html")
    for role, original in (("structure", outputs.structure), ("appearance", outputs.appearance)):
        (figure,) = page.all("figure", data_role=role)
        picture = html_pages.picture(figure.all("img")[0].attributes["src"], tmp_path)
        assert picture.height == 64
        with Image.open(original) as whole:
            wanted = whole.convert("RGB").resize(picture.size, Image.Resampling.BICUBIC)
        assert mean_difference(picture, wanted) < 3, role


def test_pictures_can_lie_beside_the_page(outputs, tmp_path):
    path = tmp_path / "a page.html"
    write_gallery(path, find_runs(outputs.folder), title="t", embed=False)
    images = [image for image in html_pages.read(path).all("img") if image.attributes.get("alt")]
    addresses = {image.attributes["src"] for image in images}
    assert len(addresses) == 3 * 3 + 3  # three pictures and a time lapse of each
    for address in addresses:
        assert address.startswith("a%20page_files/")
        assert (tmp_path / address.replace("%20", " ")).is_file()
    assert path.stat().st_size < 300_000
