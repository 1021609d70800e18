"""The page in a real browser: skipped where no Chromium is installed."""

import shlex
from urllib.parse import urlsplit

import chromium
import numpy as np
import pytest
import small_studio
from PIL import Image
from studio_page import PAINT, SAID, SEEN, STOP, area_of, drag, drop, open_page, problems_of, turn
from studio_server import studio_server

from splice.commands.cli import main
from splice.method import gamut

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def studio(browser, small):
    with studio_server(small, 2**20) as found:
        yield found


@pytest.fixture
def page(browser, studio) -> chromium.Browser:
    """The page, freshly opened; nothing may have been complained of when the test ends."""
    browser.problems.clear()
    browser.requests.clear()
    open_page(browser, studio)
    yield browser
    assert problems_of(browser) == []
    netloc = urlsplit(studio.address).netloc
    assert {urlsplit(address).netloc for address in browser.requests} == {netloc}
    browser.open("about:blank")


def test_a_pair_is_painted_before_ones_eyes_compared_and_taken_home(
    page, small, tmp_path, monkeypatch
):
    drop(page, small)
    page.run(f"{PAINT}.click()")
    page.until(f"{SEEN}({STOP})")
    page.until(f"{SAID}.includes('Done')")
    page.until(f"{SEEN}({PAINT})")

    # Left of the handle the structure image, right of it the output.
    page.until("[...document.querySelectorAll('#picture img')].every((e) => e.complete)")
    command = "(document.querySelector('#command .cm-content')?.innerText ?? '')"
    page.until(f"{command} !== ''")
    command = page.run(command).replace("\n", "")
    file = page.download(tmp_path, "document.querySelector('#take-picture').click()")
    with Image.open(file) as output, Image.open(small.structure) as structure:
        seen = area_of(page, "#picture img")
        height, width = seen.shape[:2]
        pair = [
            np.asarray(each.convert("RGB").resize((width, height)), float)
            for each in (structure, output)
        ]
    rows = slice(height // 5, 2 * height // 5)
    left, right = slice(width // 10, 2 * width // 5), slice(3 * width // 5, 4 * width // 5)
    assert np.abs(pair[0] - pair[1])[rows].mean() > 10
    assert np.abs(seen - pair[0])[rows, left].mean() < 5
    assert np.abs(seen - pair[1])[rows, right].mean() < 5
    drag(page, 0.9)
    moved = area_of(page, "#picture img")
    assert np.abs(moved - pair[0])[rows, right].mean() < 5

    # The command gives the same picture, pixel for pixel.
    monkeypatch.chdir(small.structure.parent)
    # The page's process tells a gamut by as few colours.
    monkeypatch.setattr(gamut, "SAMPLES", small_studio.SAMPLES)
    words = shlex.split(command)
    assert words[:4] == ["splice", "transfer", "structure.png", "appearance.jpg"]
    assert main([*words[1:], "--output", str(tmp_path / "typed"), "--quiet"]) == 0
    with Image.open(file) as taken, Image.open(tmp_path / "typed" / "output.png") as typed:
        assert taken.tobytes() == typed.tobytes()
    assert file.name == "structure--appearance.png"


def test_stopping_keeps_the_picture_and_the_gallery_has_both(page, small):
    drop(page, small)
    turn(page, "steps", 900)
    page.run(f"{PAINT}.click()")
    # Step by step: another one, and another picture.
    step = f"({SAID}.match(/step (\\d+) of 900/)?.[1] ?? 0)"
    source = "[...document.querySelectorAll('#picture img')].map((e) => e.src).join()"
    page.until(f"{step} > 0")
    first, before = page.run(step), page.run(source)
    page.until(f"{step} > {first} && {source} !== '{before}'")
    page.run(f"{STOP}.click()")
    page.until(f"/Stopped at step \\d+ of 900/.test({SAID})")
    page.until(f"{SEEN}(document.querySelector('#take-panel'))")
    assert page.run(f"{SEEN}({STOP})") is False
    turn(page, "steps", 0)
    turn(page, "seed", 5)
    page.run(f"{PAINT}.click()")
    page.until(f"{SAID}.includes('Done')")
    thumbnails = "document.querySelectorAll('#painted .thumbnail-item')"
    page.until(f"{thumbnails}.length === 2")
    command = "(document.querySelector('#command .cm-content')?.innerText ?? '')"
    page.until(f"{command}.includes('--seed 5')")
    page.run(f"{thumbnails}[1].click()")
    page.until(f"{command}.includes('--steps 900') && !{command}.includes('--seed')")
    page.until(f"{SAID}.includes('Stopped')")


@pytest.mark.parametrize("kind", ["text", "cut", "large"])
def test_a_bad_file_gets_a_sentence(page, small, tmp_path, kind):
    bad = tmp_path / "holiday.png"
    content = small.structure.read_bytes()
    bad.write_bytes(
        {"text": b"no picture" * 9, "cut": content[:-90], "large": bytes(2**20 + 1)}[kind]
    )
    page.upload("#structure input[type=file]", bad)
    said = {
        "text": f"{SAID}.startsWith('Holiday.png is not a picture')",
        "cut": f"{SAID}.startsWith('Holiday.png is damaged')",
        "large": "document.body.innerText.includes('maximum allowed size')",
    }[kind]
    page.until(said)
    assert "Traceback" not in page.run("document.body.innerText")
    page.until("!document.querySelector('#structure img')")
    # A bad file is no dead end.
    drop(page, small)
    # The browser tells of the request that was refused.
    page.problems[:] = [each for each in page.problems if "413" not in each]


def test_what_is_missing_and_wrong_values_get_a_sentence(page, small):
    page.run(f"{PAINT}.click()")
    page.until(f"{SAID}.startsWith('Drop the picture that has the shapes first')")
    drop(page, small)
    turn(page, "seed", -1)
    page.run(f"{PAINT}.click()")
    page.until(f"{SAID}.includes('seed cannot be -1')")
    assert page.run(f"{SEEN}({PAINT})") is True


def test_a_brush_says_which_part_is_painted(page, small, tmp_path):
    drop(page, small)
    turn(page, "steps", 0)
    page.run("document.querySelector('#brushes button').click()")
    canvas = "document.querySelector('#structure-brush canvas')"
    page.until(f"{canvas}?.dataset.ready === 'true' && {canvas}.checkVisibility()")
    page.run(f"{canvas}.scrollIntoView({{ block: 'center' }})")
    x, y, width, height = page.run(
        f"(() => {{ const r = {canvas}.getBoundingClientRect();"
        " return [r.x, r.y, r.width, r.height]; })()"
    )
    # A thick stroke over the left half alone, from top to bottom.
    places = [(x + width / 4, y + height * share) for share in (0.02, 0.25, 0.5, 0.75, 0.98)]
    kinds = ["mousePressed", *["mouseMoved"] * 4, "mouseReleased"]
    for kind, (left, top) in zip(kinds, [*places, places[-1]], strict=True):
        page.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=left,
            y=top,
            button="left",
            buttons=int(kind != "mouseReleased"),
            clickCount=1,
        )
    page.run(f"{PAINT}.click()")
    page.until(f"{SAID}.includes('Done')")
    command = "(document.querySelector('#command .cm-content')?.innerText ?? '')"
    page.until(f"{command}.includes('--structure-mask structure-mask-structure.png')")
    for kind in ("picture", "mask"):
        (tmp_path / kind).mkdir()
    button = {"picture": "take-picture", "mask": "take-structure-mask"}
    files = {
        kind: page.download(tmp_path / kind, f"document.querySelector('#{name}').click()")
        for kind, name in button.items()
    }
    with Image.open(files["picture"]) as output, Image.open(small.structure) as structure:
        size = output.size
        painted = np.asarray(output.convert("RGB"), float)
        kept = np.asarray(structure.convert("RGB").resize(size, Image.Resampling.BICUBIC), float)
    with Image.open(files["mask"]) as mask:
        white = np.asarray(mask.convert("L").resize(size), float) > 127
    columns = np.flatnonzero(white.any(axis=0))
    assert columns.max() < size[0] / 2
    change = np.abs(painted - kept).mean(axis=-1)
    assert change[white].mean() > 10
    assert change[:, size[0] * 3 // 4 :].mean() < 3


def test_a_sample_pair_and_a_preset_are_a_click_each(page):
    page.run("document.querySelector('#samples .thumbnail-item').click()")
    for role in ("structure", "appearance"):
        page.until(f"document.querySelector('#{role} img')?.src.includes('preview') === true")
    page.run("document.querySelectorAll('#preset input')[1].click()")
    page.until("Number(document.querySelector('#steps input[type=number]').value) === 0")
    page.run(f"{PAINT}.click()")
    page.until(f"{SAID}.includes('Done')")
    command = "(document.querySelector('#command .cm-content')?.innerText ?? '')"
    page.until(f"{command}.includes('--preset quick')")
    assert "datasets/samples/mountains/A/aitzgorri.jpg" in page.run(command).replace("\n", "")


@pytest.mark.parametrize("width", [320, 390, 820, 1280, 2560])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_every_screen(browser, studio, width, dark):
    browser.problems.clear()
    open_page(browser, studio, width=width, dark=dark)
    browser.run("document.querySelector('#folded button').click()")
    browser.until("document.querySelectorAll('#folded button').length > 5")
    browser.run(
        "[...document.querySelectorAll('#folded button')].slice(1).forEach((e) => e.click())"
    )
    browser.until("document.querySelectorAll('#folded input').length > 20")
    assert browser.run("document.documentElement.scrollWidth") <= width
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(",")[:3])) > 3 * 128
    assert light is not dark
    if width < 600:
        assert browser.run(f"{PAINT}.getBoundingClientRect().height") >= 44
    assert problems_of(browser) == []


def test_the_second_visitor_waits_and_a_closed_tab_makes_room(page, studio, small, tmp_path):
    drop(page, small)
    turn(page, "steps", 900)
    page.run(f"{PAINT}.click()")
    page.until(f"/step \\d+ of 900/.test({SAID})")
    with chromium.browser(tmp_path) as other:
        open_page(other, studio)
        drop(other, small)
        other.run(f"{PAINT}.click()")
        other.until(f"{SAID}.includes('Place 1 in the line')")
        assert len(studio.visitors()) == 2
        # The first one closes the page, and is not stopped by hand.
        page.open("about:blank")
        other.until(f"{SAID}.includes('Done')")
        assert len(studio.visitors()) == 1
        assert problems_of(other) == []
