"""Cards and rows of the gallery's page, and how far apart two pictures are."""

import html_pages
import numpy as np
from PIL import Image


def card_of(page: html_pages.Element, name: str) -> html_pages.Element:
    (card,) = page.all("article", data_name=name)
    return card


def rows_of(card: html_pages.Element, kind: str) -> list[html_pages.Element]:
    (table,) = card.all("dl", of=kind)
    return [child for child in table.children if isinstance(child, html_pages.Element)]


def mean_difference(one: Image.Image, other: Image.Image) -> float:
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
