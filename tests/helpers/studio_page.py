"""What a visitor does on the page of the studio, done in a real browser."""

import io

import chromium
import numpy as np
import small_run
from PIL import Image

SAID = "document.querySelector('#say').innerText"
PAINT, STOP = "document.querySelector('#paint')", "document.querySelector('#stop')"
NOTED = ("Method not implemented.", "AbortError", "upload_progress", "Connection errored out.")
SEEN = "(e => !!e && e.checkVisibility())"


def open_page(browser: chromium.Browser, studio, **options) -> None:
    browser.open(studio.address, **options)
    # Events that nothing listens to yet would be lost.
    needed = ("#appearance input[type=file]", "#samples .thumbnail-item", "#brushes button")
    there = (f"!!document.querySelector('{each}')" for each in (*needed, "#steps input"))
    browser.until(" && ".join([f"{SEEN}({PAINT})", *there]))


def problems_of(browser: chromium.Browser) -> list[str]:
    """What was complained of, without what the web library notes at uploads and closed pages."""
    return [each for each in browser.problems if not any(word in each for word in NOTED)]


def drop(page: chromium.Browser, small: small_run.SmallRun) -> None:
    for role, file in (("structure", small.structure), ("appearance", small.appearance)):
        page.upload(f"#{role} input[type=file]", file)
        # What is shown is not what was sent, but its preview.
        page.until(f"document.querySelector('#{role} img')?.src.includes('preview') === true")
        page.until(f"document.querySelector('#{role} img').complete")


def turn(page: chromium.Browser, knob: str, value: object) -> None:
    page.run(
        f"(() => {{ const e = document.querySelector('#{knob} input[type=number]');"
        f" e.value = {value}; for (const kind of ['input', 'change', 'blur'])"
        " e.dispatchEvent(new Event(kind, {bubbles: true})); })()"
    )


def area_of(page: chromium.Browser, selector: str) -> np.ndarray:
    """What is seen of a part, in levels of 0 to 255."""
    area = page.run(
        f"(() => {{ const {{ x, y, width, height }} = document.querySelector('{selector}')"
        ".getBoundingClientRect();"
        " return { x: x + scrollX, y: y + scrollY, width, height, scale: 1 }; })()"
    )
    with Image.open(io.BytesIO(page.picture(area))) as picture:
        return np.asarray(picture.convert("RGB"), dtype=float)


def drag(page: chromium.Browser, share: float) -> None:
    """The handle, to a share of the width."""
    x, y, width, height = page.run(
        "(() => { const r = document.querySelector('#picture img').getBoundingClientRect();"
        " return [r.x, r.y, r.width, r.height]; })()"
    )
    places = [(x + width / 2, "mousePressed"), (x + width * share, "mouseMoved")]
    for place, kind in [*places, (x + width * share, "mouseReleased")]:
        page.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=place,
            y=y + height / 2,
            button="left",
            buttons=1,
            clickCount=1,
        )
    page.until("new Promise((done) => requestAnimationFrame(() => done(true)))")
