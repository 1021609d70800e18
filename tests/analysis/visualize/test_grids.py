"""Labelled grids of pictures, and panels."""

import numpy as np
import pytest
from PIL import Image
from small_features import flat

from splice.analysis.visualize import labelled_grid, panel


def box_of(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of all pixels of a colour, which must fill that box."""
    rows, columns = np.nonzero((np.array(sheet) == colour).all(2))
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert len(rows) == (box[2] - box[0]) * (box[3] - box[1])
    return tuple(map(int, box))


# Grids


def test_grid_places_pictures_in_rows_and_columns():
    red, green, blue = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    sheet = labelled_grid([[flat(red), flat(green)], [None, flat(blue)]], gap=5)
    assert sheet.size == (2 * 40 + 3 * 5, 2 * 30 + 3 * 5)
    assert box_of(sheet, red) == (5, 5, 45, 35)
    assert box_of(sheet, green) == (50, 5, 90, 35)
    assert box_of(sheet, blue) == (50, 40, 90, 70)
    assert sheet.getpixel((20, 50)) == (255, 255, 255)


def test_labels_take_space_of_their_own_and_are_drawn():
    colour = (0, 0, 250)
    plain = labelled_grid([[flat(colour), flat(colour)]])
    pair = [flat(colour), flat((0, 0, 240))]
    labelled = labelled_grid([pair], ["left", "right"], ["one row"])
    left, top, _, _ = box_of(labelled, colour)
    assert labelled.width > plain.width + 20 and labelled.height > plain.height + 8
    ink = (np.array(labelled).astype(int).sum(2) < 300) & (np.array(labelled)[..., 2] < 200)
    assert ink[:top].any() and ink[:, :left].any()
    assert not ink[top:, left:].any()
    edge = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    assert not edge.any()  # nothing is cut off


def test_a_long_label_widens_its_column():
    red = (250, 0, 0)
    narrow = labelled_grid([[flat(red, 10, 30)]], ["a"], text=12)
    wide = labelled_grid([[flat(red, 10, 30)]], ["a very much longer label"], text=12)
    assert wide.width > narrow.width + 80
    left, _, right, _ = box_of(wide, red)
    assert abs((left + right) / 2 - wide.width / 2) <= 1


def test_grids_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="at least one"):
        labelled_grid([[None]])
    with pytest.raises(ValueError, match="3 column labels for 1"):
        labelled_grid([[flat((0, 0, 0))]], ["a", "b", "c"])
    with pytest.raises(ValueError, match="2 row labels for 1"):
        labelled_grid([[flat((0, 0, 0))]], row_labels=["a", "b"])


def test_panel_has_one_height():
    red, green = (250, 0, 0), (0, 250, 0)
    sheet = panel([flat(red, 40, 60), flat(green, 50, 30)])
    left, top, right, bottom = box_of(sheet, red)
    assert (right - left, bottom - top) == (20, 30)
    assert box_of(sheet, green)[1::2] == (top, bottom)
