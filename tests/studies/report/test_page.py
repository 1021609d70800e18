"""Templates of the pages: what they need, and that their words can be read."""

import sys
from pathlib import Path

import pytest

from splice.errors import RunError
from splice.studies.report.page import write_page


def test_without_jinja2_the_extra_is_named(tmp_path, monkeypatch):
    from splice.studies.report import page

    monkeypatch.setitem(sys.modules, "jinja2", None)
    page._environment.cache_clear()
    with pytest.raises(RunError, match=r"pip install 'splice-vit\[report\]'"):
        write_page(tmp_path / "page.html", "gallery")
    page._environment.cache_clear()


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
