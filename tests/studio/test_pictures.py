"""Pictures that are dropped: kept as they came, shown upright, refused in the visitor's words."""

import numpy as np
import pytest
from PIL import Image

from splice.errors import InputError
from splice.studio import pictures
from splice.studio.pictures import SHOWN_SIDE, keep


def _halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    values = np.zeros((height, width, 3), np.uint8)
    values[:, : width // 2, 0] = 255
    values[:, width // 2 :, 2] = 255
    return Image.fromarray(values)


def test_the_file_is_kept_byte_for_byte_and_shown_upright(tmp_path):
    upload = tmp_path / "upload.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: to be turned by 90 degrees clockwise
    _halves(64, 32).save(upload, exif=exif, quality=95)
    dropped = keep(upload, tmp_path / "kept", "my cat.jpg")
    assert dropped.file.read_bytes() == upload.read_bytes()
    assert (dropped.name, dropped.file.name) == ("my cat.jpg", "my cat.jpg")
    with Image.open(dropped.preview) as preview:
        assert preview.size == dropped.size == (32, 64)
        top, bottom = preview.getpixel((16, 8)), preview.getpixel((16, 56))
    # Clockwise, what was on the left comes to the top.
    assert top[0] > 200 > top[2] and bottom[2] > 200 > bottom[0]


def test_a_large_picture_is_shown_small(tmp_path):
    upload = tmp_path / "upload.png"
    _halves(2 * SHOWN_SIDE, 640).save(upload)
    dropped = keep(upload, tmp_path / "kept", "wide.png")
    assert dropped.size == (SHOWN_SIDE, 320)
    with Image.open(dropped.file) as kept:
        assert kept.size == (2 * SHOWN_SIDE, 640)


@pytest.mark.parametrize(
    "name", ["../../etc/x.png", "a/b\\c.png", "x" * 300 + ".png", "..", "…?*.png"]
)
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    upload = tmp_path / "upload.png"
    _halves(32, 32).save(upload)
    folder = tmp_path / "kept"
    dropped = keep(upload, folder, name)
    assert dropped.file.resolve().parent == folder.resolve()
    assert dropped.file.is_file()


@pytest.mark.parametrize("kind", ["text", "cut", "tiny"])
def test_a_bad_file_is_named_as_the_visitor_knows_it_and_leaves_nothing(tmp_path, kind):
    upload = tmp_path / "upload.png"
    if kind == "text":
        upload.write_text("no picture at all\n" * 50)
    else:
        _halves(*((8, 8) if kind == "tiny" else (400, 400))).save(upload)
        if kind == "cut":
            upload.write_bytes(upload.read_bytes()[:-200])
    folder = tmp_path / "kept"
    with pytest.raises(InputError) as caught:
        keep(upload, folder, "holiday.png")
    assert str(caught.value).startswith("holiday.png ")
    assert str(tmp_path) not in str(caught.value)
    assert not folder.exists()


def test_too_many_bytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_BYTES", 2**20)
    upload = tmp_path / "upload.png"
    _halves(32, 32).save(upload)
    with upload.open("ab") as file:
        file.write(bytes(2**20))
    with pytest.raises(InputError, match=r"holiday\.png has more than 1 MB"):
        keep(upload, tmp_path / "kept", "holiday.png")
