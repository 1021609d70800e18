"""The pages in a real browser: skipped where no Chromium is installed."""

import io
import json
from pathlib import Path

import chromium
import numpy as np
import pytest
import small_outputs
from PIL import Image

from splice.commands.cli import main
from splice.pictures.pairs import Pair
from splice.studies.report import find_runs, read_answers, tally, write_gallery, write_sheet
from splice.studies.report.sheet import draw_questions

RIVAL = (200, 30, 90)

# Every picture has arrived, those further down included.
ARRIVED = """Promise.all([...document.images].map((image) => {
  image.loading = "eager";
  return image.decode().then(() => true, () => !image.alt);
})).then((all) => all.every(Boolean))"""

ORDER = '[...document.querySelectorAll(".card:not([hidden])")].map((card) => card.dataset.name)'


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def outputs(browser, tmp_path_factory) -> small_outputs.SmallOutputs:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return small_outputs.make(tmp_path_factory.mktemp("outputs"), monkeypatch)


@pytest.fixture(scope="module")
def gallery(outputs) -> Path:
    page = outputs.folder / "report.html"
    write_gallery(
        page, find_runs(outputs.folder), title="Outputs", against={"rival": outputs.rival}
    )
    return page


@pytest.fixture
def opened(browser, gallery) -> chromium.Browser:
    """The gallery, freshly opened; nothing may have been complained of when the test ends."""
    browser.problems.clear()
    browser.requests.clear()
    browser.open(gallery)
    yield browser
    assert browser.problems == []
    assert browser.requests == [gallery.resolve().as_uri()]


def _choose(browser: chromium.Browser, control: str, value: str) -> None:
    browser.run(
        f"{{ const c = document.getElementById({control!r}); c.value = {value!r};"
        " c.dispatchEvent(new Event(c.type === 'search' ? 'input' : 'change')); }"
    )


@pytest.mark.parametrize("width", [320, 390, 820, 1280, 2560])
@pytest.mark.parametrize("dark", [False, True])
def test_the_gallery_fits_every_screen_without_a_complaint(browser, gallery, width, dark):
    browser.problems.clear()
    browser.requests.clear()
    browser.open(gallery, width=width, dark=dark)
    assert browser.run(ARRIVED)
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= width
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) > 3 * 128
    assert light is not dark
    if width < 600:
        # Large enough for a finger.
        low = "Math.min(...[...document.querySelectorAll('.tools select, .tools button')]"
        assert browser.run(f"{low}.map((each) => each.getBoundingClientRect().height))") >= 40
    assert browser.problems == []
    assert browser.requests == [gallery.resolve().as_uri()]


def test_pairs_are_sorted_and_filtered(opened, outputs):
    assert opened.run(ORDER) == ["2", "10", "11", "12"]
    scores = {
        name: json.loads((outputs.folder / name / "run.json").read_text())["scores"]
        for name in ("2", "10")
    }
    for score, best in (("texture", min), ("dino_i", max)):
        _choose(opened, "sort", f"score-{score}")
        first = best(scores, key=lambda name, score=score: scores[name][score])
        second = "10" if first == "2" else "2"
        # Those without a score come last, whichever way round.
        assert opened.run(ORDER) == [first, second, "11", "12"]
        opened.run("document.getElementById('order').click()")
        assert opened.run(ORDER) == [second, first, "11", "12"]
        opened.run("document.getElementById('order').click()")
    _choose(opened, "sort", "number")
    _choose(opened, "find", "1")
    assert opened.run(ORDER) == ["10", "11", "12"]
    _choose(opened, "state", "failed")
    assert opened.run(ORDER) == ["12"]
    assert opened.run("document.getElementById('shown').textContent") == "1 of 4 pairs shown"
    _choose(opened, "find", "1 2 3")
    assert opened.run(ORDER) == []
    assert opened.run("document.querySelector('.none').checkVisibility()") is True


def _stage(browser: chromium.Browser) -> np.ndarray:
    """What is seen of the first output, in levels of 0 to 255."""
    area = browser.run(
        "(() => { const { x, y, width, height } ="
        " document.querySelector('.stage').getBoundingClientRect();"
        " return { x: x + scrollX, y: y + scrollY, width, height, scale: 1 }; })()"
    )
    with Image.open(io.BytesIO(browser.picture(area))) as picture:
        return np.asarray(picture.convert("RGB"), dtype=float)


def test_the_slider_uncovers_the_other_picture_up_to_where_it_is(opened):
    assert opened.run(ARRIVED)
    before = _stage(opened)
    _choose(opened, "other", "other-0")
    opened.until("[...document.querySelectorAll('.stage .over img')][0].complete")
    half = _stage(opened)
    height, width = half.shape[:2]
    # A tenth from the middle, where the handle is, and away from the words in the corners.
    rows = slice(height // 6, height // 3)
    uncovered = half[rows, width // 20 : 2 * width // 5]
    assert np.abs(uncovered - RIVAL).mean() < 4
    still = np.s_[rows, 3 * width // 5 : 4 * width // 5]
    assert np.abs(half[still] - before[still]).mean() < 1
    opened.run("document.querySelector('.reveal').focus()")
    at = "Number(document.querySelector('.reveal').value)"
    assert opened.run(at) == 50
    opened.press("ArrowRight", 39)
    assert opened.run(at) == 55
    opened.press("PageUp", 33)
    assert opened.run(at) == 80
    assert np.abs(_stage(opened)[still] - RIVAL).mean() < 4


def test_the_time_lapse_plays_to_its_end(opened):
    opened.run("document.querySelector('details').open = true")
    lapse = "document.querySelector('.lapse')"
    said = f"{lapse}.querySelector('output').textContent"
    assert opened.run(said) == f"step {small_outputs.STEPS}"
    opened.run(f"{lapse}.querySelector('.play').click()")
    opened.until(f"{said} === 'start' || {said} === 'step 1'")
    opened.until(f"{said} === 'step {small_outputs.STEPS}'")
    opened.until(f"{lapse}.querySelector('.play').textContent === '▶'")
    # The strip is moved by whole frames.
    move = opened.run(f"{lapse}.querySelector('img').getBoundingClientRect().x")
    film = opened.run(f"{lapse}.querySelector('.film').getBoundingClientRect().x")
    width = opened.run(f"{lapse}.querySelector('.film').clientWidth")
    assert (film - move) / width == pytest.approx(round((film - move) / width), abs=0.02)


def test_pictures_are_enlarged_and_turned_over(opened):
    box = "document.getElementById('box')"
    caption = f"{box}.querySelector('figcaption').textContent"
    opened.run("document.querySelector('figure[data-role=structure] .enlarge').click()")
    assert opened.run(f"{box}.open") is True
    assert opened.run(caption) == "2 · structure"
    for expected in ("appearance", "output", "rival", "structure"):
        opened.press("ArrowRight", 39)
        assert opened.run(caption) == f"2 · {expected}"
    opened.press("ArrowLeft", 37)
    assert opened.run(caption) == "2 · rival"
    opened.press("Escape", 27)
    assert opened.run(f"{box}.open") is False


def test_a_link_to_a_pair_opens_it(opened):
    opened.run("location.hash = '#pair-2'")
    opened.until("document.querySelector('#pair-2 details').open")
    opened.press("/", 191)
    assert opened.run("document.activeElement.id") == "find"


def test_without_scripts_all_pictures_are_there(browser, gallery):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(gallery)
        assert browser.run("document.querySelectorAll('.card img').length") >= 11
        assert browser.run("getComputedStyle(document.querySelector('.tools')).display") == "none"
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


# The side whose picture is the rival's single colour.
PLAIN_SIDE = """Promise.all(["left", "right"].map((side) => {
  const image = document.querySelector(`#${side} img`);
  return image.decode().then(() => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const red = [...data].filter((_, index) => index % 4 === 0);
    return [Math.max(...red) - Math.min(...red), side];
  });
})).then((found) => found.sort((a, b) => a[0] - b[0])[0][1])"""


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_a_sheet_is_answered_saved_and_counted(browser, outputs, tmp_path, width, height):
    """Always the rival's picture, told by its pixels alone: the tally must find all for the rival."""
    pairs = [Pair(name, outputs.structure, outputs.appearance) for name in ("2", "10")]
    systems = {"mine": outputs.folder, "rival": outputs.rival}
    page = tmp_path / "sheet.html"
    write_sheet(page, draw_questions(pairs, systems, seed=4))
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    browser.problems.clear()
    browser.requests.clear()
    browser.open(page, width=width, height=height)
    browser.run("document.getElementById('begin').click()")
    # All four pictures are on the screen at once.
    areas = "[...document.querySelectorAll('.board img')].map((e) => e.getBoundingClientRect())"
    assert browser.run(f"{areas}.every((r) => r.top >= 0 && r.bottom <= innerHeight)") is True
    assert browser.run("document.documentElement.scrollWidth") <= width
    side = browser.run(PLAIN_SIDE)
    browser.press({"left": "1", "right": "2"}[side], {"left": 49, "right": 50}[side])
    assert browser.run("document.getElementById('count').textContent") == "Question 2 of 2"
    # Going back shows the choice, and another is possible.
    browser.press("Backspace", 8)
    assert browser.run("document.querySelector('.chosen').id") == side
    browser.run(f"document.getElementById({side!r}).click()")
    browser.run(f"document.getElementById({browser.run(PLAIN_SIDE)!r}).click()")
    assert "all 2 questions" in browser.run("document.getElementById('sum').textContent")
    browser.run("document.getElementById('rater').value = 'Ada'")
    file = browser.download(downloads, "document.querySelector('#form button.main').click()")
    assert file.name.startswith("answers-")
    assert json.loads(file.read_text())["rater"] == "Ada"
    (result,) = tally(read_answers(file))
    assert (result.first, result.share, result.answers) == ("mine", 0.0, 2)
    assert main(["report", "--tally", str(file)]) == 0
    # What was answered is still there when the page is opened again.
    browser.open(page, width=width, height=height)
    begin = "document.getElementById('begin')"
    assert browser.run(f"{begin}.textContent") == "Go on"
    browser.run(f"{begin}.click()")
    # Until somebody else sits down.
    browser.run("document.getElementById('anew').click()")
    browser.until(f"document.readyState === 'complete' && {begin}?.textContent === 'Begin'")
    assert browser.problems == []
    assert {address.split("#")[0] for address in browser.requests} == {page.resolve().as_uri()}
