"""Orientation marks: how a camera says which side of a stored picture is up."""

from PIL import Image

_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turn_upright(picture: Image.Image) -> Image.Image:
    """The picture as its orientation mark says that it should be seen; itself without one."""
    if picture.format == "TIFF" or picture.format == "HEIF":
        return picture  # turned by the decoder
    try:
        mark = picture.getexif().get(_TAG)
    except Exception:  # damaged marks are as good as none
        return picture
    turn = _TURNS.get(mark) if isinstance(mark, int) else None
    if turn is None:
        return picture
    turned = picture.transpose(turn)
    turned.format = picture.format
    return turned
