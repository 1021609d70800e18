"""Pictures laid out in a labelled table, to be judged by eye."""

from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw, ImageFont

Row = tuple[str, Sequence[Image.Image | None]]
"""A row's label and its pictures, one a column; None leaves a place empty."""

CELL_HEIGHT = 180
LABEL_HEIGHT = 20
LEAST_LABEL_WIDTH = 90
LEAST_WIDTH = 90
GAP = 4


def contact_sheet(
    rows: Iterable[Row],
    column_labels: Sequence[str],
    *,
    cell_height: int = CELL_HEIGHT,
) -> Image.Image:
    """Lay pictures out in a labelled table.

    Args:
        rows: each row's label and its pictures; any iterable, so that only small copies are kept.
        column_labels: what stands above the columns.
        cell_height: px that each picture is scaled to; the aspect is kept.
    """
    small: list[Row] = []
    for label, cells in rows:
        small.append((label, [_scaled(cell, cell_height) if cell else None for cell in cells]))
    widths = [
        max([LEAST_WIDTH, *(cell.width for _, cells in small if (cell := cells[number]))])
        for number in range(len(column_labels))
    ]
    font = ImageFont.load_default(13)
    label_width = max(
        [LEAST_LABEL_WIDTH, *(8 + round(font.getlength(label)) for label, _ in small)]
    )
    width = label_width + sum(widths) + GAP * len(widths)
    height = LABEL_HEIGHT + len(small) * (cell_height + GAP)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    lefts = [label_width + sum(widths[:i]) + GAP * i for i in range(len(widths))]
    for left, label in zip(lefts, column_labels, strict=True):
        draw.text((left, 2), label, fill="black", font=font)
    for number, (label, cells) in enumerate(small):
        top = LABEL_HEIGHT + number * (cell_height + GAP)
        draw.text((4, top + 4), label, fill="black", font=font)
        for left, cell in zip(lefts, cells, strict=True):
            if cell is not None:
                sheet.paste(cell, (left, top))
    return sheet


def _scaled(picture: Image.Image, height: int) -> Image.Image:
    width = max(1, round(picture.width * height / picture.height))
    return picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
