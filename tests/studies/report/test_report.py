"""The gallery: what it shows of each pair, read from the page itself."""

import json
import math
import random
import shutil
import sys
from pathlib import Path

import html_pages
import numpy as np
import pytest
import small_outputs
from PIL import Image

from splice.analysis.scores.metrics import BETTER
from splice.commands.cli import main
from splice.errors import InputError, RunError
from splice.studies.report import find_runs, write_gallery
from splice.studies.report.curves import HEIGHT, WIDTH, chart, thinned
from splice.studies.report.page import write_page
from splice.studies.report.runs import natural
from splice.studies.report.scored import Scored


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> small_outputs.SmallOutputs:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return small_outputs.make(tmp_path_factory.mktemp("outputs"), monkeypatch)


@pytest.fixture(scope="module")
def page(outputs) -> html_pages.Element:
    path = outputs.folder / "report.html"
    entries = find_runs(outputs.folder)
    write_gallery(path, entries, title="A <title> & more", against={"ri<val": outputs.rival})
    return html_pages.read(path)


def _card(page: html_pages.Element, name: str) -> html_pages.Element:
    (card,) = page.all("article", data_name=name)
    return card


def _record(outputs, name: str) -> dict:
    return json.loads((outputs.folder / name / "run.json").read_text())


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
        assert _apart(shown, output) < 3


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
        figures = [f for f in _card(page, name).all("figure") if "data-role" in f.attributes]
        assert {figure.attributes["data-label"] for figure in figures} == labels
        for figure in figures:
            (image,) = figure.all("img")
            assert name in image.attributes["alt"]
    shown = {
        figure.attributes["data-label"]: figure.all("img")[0].attributes
        for figure in _card(page, "10").all("figure")
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
                apart = _apart(picture, of_file)
            assert apart < 3 if other == label else apart > 12, (label, other)


def _apart(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures, in levels of 0 to 255.

    At a quarter of their size: WebP keeps colours at half the resolution only, so single pixels of a
    noisy picture move by tens of levels, while the means of blocks stay.
    """
    size = (one.width // 4, one.height // 4)
    small = [
        np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BOX), dtype=float)
        for picture in (one, other)
    ]
    return float(np.abs(small[0] - small[1]).mean())


def test_everything_in_it_is_escaped_and_nothing_is_asked_of_a_network(outputs, page):
    assert page.all("h1")[0].text == "A <title> & more"
    assert page.all("title")[0].text == "A <title> & more"
    assert "night<b>.jpg is damaged & <i>cut</i> short." in _card(page, "12").text
    assert not page.all("b")
    for tag, name in (("img", "src"), ("script", "src"), ("link", "href"), ("a", "href")):
        for element in page.all(tag):
            address = element.attributes.get(name, "data:")
            assert address.startswith(("data:", "#")) or (outputs.folder / address).is_file()
    assert "http" not in "".join(element.text for element in page.all("style"))


def test_it_tells_scores_settings_and_where_the_files_are(outputs, page):
    record = _record(outputs, "10")
    card = _card(page, "10")
    scores = {row.all("dt")[0].text: row.all("dd")[0].text for row in _rows(card, "scores")}
    assert scores["texture ↓ (lower is better)"] == f"{record['scores']['texture']:.3f}"
    assert scores["self-sim ↓ (lower is better)"] == f"{record['scores']['self_sim']:.4f}"
    assert scores["layout ↑ (higher is better)"] == f"{record['scores']['layout']:.3f}"
    for name, value in record["scores"].items():
        assert float(card.attributes[f"data-score-{name}"]) == value
    settings = {row.all("dt")[0].text: row for row in _rows(card, "settings")}
    assert settings["seed"].all("dd")[0].text == "5"
    # What differs from most pairs stands out, here and on the card itself.
    marked = [name for name, row in settings.items() if row.attributes.get("class") == "own"]
    assert marked == ["seed"]
    assert card.all("p", of="own")[0].text == "seed 5"
    assert not _card(page, "2").all("p", of="own")
    assert "4 of 12 steps" in _card(page, "11").text
    links = {a.text: a.attributes["href"] for a in card.all("a")}
    assert links["run.json"] == "10/run.json"
    usual = page.all("section", of="common")[0]
    rows = {row.all("dt")[0].text: row for row in usual.all("div")}
    assert rows["steps"].attributes.get("class") == "own"  # unlike the default
    assert rows["precision"].attributes.get("class") is None


def _rows(card: html_pages.Element, kind: str) -> list[html_pages.Element]:
    (table,) = card.all("dl", of=kind)
    return [child for child in table.children if isinstance(child, html_pages.Element)]


def test_the_time_lapse_has_its_frames_and_their_steps(outputs, page):
    (lapse,) = _card(page, "2").all("section", of="lapse")
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
            assert _apart(strip.crop((x, y, x + width, y + height)), animation) < 3
    steps = _card(page, "11").all("section", of="lapse")[0].attributes["data-steps"].split()
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
        assert _apart(picture, wanted) < 3, role


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


def test_scores_of_an_evaluation_are_shown_for_all_systems(outputs, tmp_path):
    def system(value: float) -> dict:
        interval = {"mean": value, "low": value - 0.01, "high": value + 0.01, "count": 2}
        scores = dict.fromkeys(BETTER, interval)
        pairs = {name: {"texture": value, "layout": None} for name in ("2", "10")}
        return {"scores": scores, "missing": [], "pairs": pairs}

    data = {
        "judge": "the judge",
        "ours": "mine",
        "systems": {"rival": system(0.4), "mine": system(0.25), "copy of structure": system(1.0)},
    }
    (tmp_path / "scores.json").write_text(json.dumps(data))
    scored = Scored.read(tmp_path / "scores.json")
    path = tmp_path / "report.html"
    entries = find_runs(outputs.folder)
    write_gallery(path, entries, title="t", against={"rival": outputs.rival}, scored=scored)
    page = html_pages.read(path)
    (table,) = page.all("section", of="summary")
    rows = [[cell.text for cell in row.all("td")] for row in table.all("tr")[1:]]
    heads = [row.all("th")[0].text for row in table.all("tr")[1:]]
    assert heads == ["ours", "rival", "copy of structure"]
    assert [row[2] for row in rows] == [
        "0.250 0.240–0.260",
        "0.400 0.390–0.410",
        "1.000 0.990–1.010",
    ]
    assert "judged by the judge" in table.text
    (rivals,) = _card(page, "2").all("section", of="rivals")
    cells = [[cell.text for cell in row.all("td")] for row in rivals.all("tr")[1:]]
    # One column a score; of these, the third alone is known, and one is not defined.
    assert cells == [
        [{"texture": known, "layout": "not defined"}.get(name, "–") for name in BETTER]
        for known in ("0.250", "0.400")
    ]


def test_scores_that_are_not_defined_are_told_as_that(outputs, tmp_path):
    """And neither sorted by nor counted in means."""
    for name in ("2", "10"):
        shutil.copytree(outputs.folder / name, tmp_path / name)
    record = json.loads((tmp_path / "2" / "run.json").read_text())
    record["scores"]["texture"] = record["scores"]["layout"] = None
    (tmp_path / "2" / "run.json").write_text(json.dumps(record))
    other = json.loads((tmp_path / "10" / "run.json").read_text())
    other["scores"]["layout"] = None
    del other["scores"]["artefacts"]  # as an earlier version wrote it
    (tmp_path / "10" / "run.json").write_text(json.dumps(other))
    write_gallery(tmp_path / "report.html", find_runs(tmp_path), title="t")
    page = html_pages.read(tmp_path / "report.html")
    card = _card(page, "2")
    scores = {row.all("dt")[0].text: row.all("dd")[0].text for row in _rows(card, "scores")}
    assert scores["texture ↓ (lower is better)"] == "not defined"
    assert "data-score-texture" not in card.attributes
    assert "data-score-colour" in card.attributes
    assert "artefacts" not in " ".join(row.text for row in _rows(_card(page, "10"), "scores"))
    (table,) = page.all("section", of="summary")
    cells = dict(zip(BETTER, (cell.text for cell in table.all("tr")[1].all("td")), strict=True))
    assert cells["texture"] == f"{other['scores']['texture']:.3f}"
    assert cells["layout"] == "not defined"


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"systems": {"a": 1}, "ours": "a"}'])
def test_files_that_hold_no_scores(tmp_path, text):
    (tmp_path / "scores.json").write_text(text)
    with pytest.raises(InputError, match="holds no scores"):
        Scored.read(tmp_path / "scores.json")


# Curves.


def test_a_curve_is_thinned_to_geometric_means():
    generator = random.Random(0)
    points = [(float(step), math.exp(generator.gauss(0, 1))) for step in range(1, 1001)]
    points[10] = (11.0, 0.0)  # has no logarithm
    points[20] = (21.0, math.inf)
    thin = thinned(points, 100)
    good = [point for point in points if 0 < point[1] < math.inf]
    assert len(thin) == 100
    assert thin[0][0] == pytest.approx(np.mean([x for x, _ in good[:10]]))
    assert thin[0][1] == pytest.approx(math.prod(y for _, y in good[:10]) ** (1 / 10))
    # No point is lost and none counts twice.
    sizes = [round(i * 998 / 100) for i in range(101)]
    total = sum(math.log(y) * (b - a) for (_, y), a, b in zip(thin, sizes, sizes[1:], strict=False))
    assert total == pytest.approx(sum(math.log(y) for _, y in good))
    assert thinned(points[:5], 100) == points[:5]


def test_a_chart_is_logarithmic():
    drawn = chart({"a": [(1.0, 100.0), (50.0, 1.0), (100.0, 0.01)], "b": [(1.0, 1.0)], "c": []})
    assert drawn is not None
    (curve,) = drawn.curves
    points = [tuple(map(float, point.split(","))) for point in curve.points.split()]
    assert points == [(WIDTH / 100, 0.0), (WIDTH / 2, HEIGHT / 2), (WIDTH, HEIGHT)]
    assert dict(drawn.rows) == {"0.01": 400, "0.1": 300, "1": 200, "10": 100, "100": 0}
    assert (drawn.steps, curve.last) == (100, 0.01)
    flat = chart({"a": [(1.0, 3.0), (2.0, 3.0)]})
    assert flat is not None
    assert {point.split(",")[1] for point in flat.curves[0].points.split()} == {"200.0"}
    assert chart({"a": [(1.0, -1.0), (2.0, 0.0)]}) is None


# Colours that can be read.


def _tokens(css: str) -> dict[str, str]:
    pairs = (line.split(":") for line in css.replace("\n", "").split(";") if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs if value.strip().startswith("#")}


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_their_ground_as_wcag_asks(theme):
    import splice.studies.report

    css = (Path(splice.studies.report.__file__).parent / "templates" / "common.css").read_text()
    start = css.index(":root {") if theme == "light" else css.index(':root[data-theme="dark"] {')
    colours = _tokens(css[start : css.index("}", start)].split("{", 1)[1])
    grounds = {"--paper": ["--ink", "--soft", "--accent", "--warm"], "--accent": ["--on-accent"]}
    grounds["--card"] = [*grounds["--paper"], *(f"--c{index}" for index in range(8))]
    for ground, words in grounds.items():
        for word in words:
            low, high = sorted([_luminance(colours[ground]), _luminance(colours[word])])
            # 4.5 for text, 3 for the lines of a chart.
            least = 3 if word.startswith("--c") else 4.5
            assert (high + 0.05) / (low + 0.05) >= least, (ground, word)


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


def test_without_jinja2_the_extra_is_named(tmp_path, monkeypatch):
    from splice.studies.report import page

    monkeypatch.setitem(sys.modules, "jinja2", None)
    page._environment.cache_clear()
    with pytest.raises(RunError, match=r"pip install 'splice-vit\[report\]'"):
        write_page(tmp_path / "page.html", "gallery")
    page._environment.cache_clear()
