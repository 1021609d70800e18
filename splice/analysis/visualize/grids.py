"""Pictures side by side, with words beside them."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

BACKGROUND = (255, 255, 255)
INK = (32, 32, 32)


def labelled_grid(
    rows: Sequence[Sequence[Image.Image | None]],
    column_labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    *,
    gap: int = 6,
    text: int | None = None,
) -> Image.Image:
    """Lays pictures out as a table on white, labels above the columns and left of the rows.

    A column is as wide as its widest picture or label, a row as high as its highest; smaller
    pictures stand in the middle of their cell.

    Args:
        rows: the pictures, top row first; None leaves a cell empty, and rows may be short.
        column_labels: one for each column, or none at all.
        row_labels: one for each row, or none at all.
        gap: pixels between cells and around the table.
        text: height of the letters in pixels; by default in proportion to the pictures.

    Raises:
        ValueError: no picture at all, or labels that do not fit the number of columns or rows.
    """
    pictures = [picture for row in rows for picture in row if picture is not None]
    if not pictures:
        raise ValueError("a grid needs at least one picture")
    columns = max(len(row) for row in rows)
    if column_labels and len(column_labels) != columns:
        raise ValueError(f"{len(column_labels)} column labels for {columns} columns")
    if row_labels and len(row_labels) != len(rows):
        raise ValueError(f"{len(row_labels)} row labels for {len(rows)} rows")

    cell = sorted(picture.height for picture in pictures)[len(pictures) // 2]
    font = ImageFont.load_default(text or max(11, min(40, cell // 13)))
    heading = _height(font) + 2 * gap if any(column_labels) else 0
    margin = max(map(font.getlength, row_labels), default=0.0)
    margin = int(margin) + 1 + gap if any(row_labels) else 0
    cells = [[*row, *[None] * (columns - len(row))] for row in rows]
    widths = [
        max((row[column].width for row in cells if row[column] is not None), default=0)
        for column in range(columns)
    ]
    if column_labels:
        named = zip(widths, column_labels, strict=True)
        widths = [max(width, int(font.getlength(label)) + 1) for width, label in named]
    heights = [
        max((picture.height for picture in row if picture is not None), default=_height(font))
        for row in cells
    ]

    size = (
        margin + sum(widths) + gap * (columns + 1),
        heading + sum(heights) + gap * (len(rows) + 1),
    )
    sheet = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    y = heading + gap
    for index, (row, height) in enumerate(zip(cells, heights, strict=True)):
        x = margin + gap
        if row_labels:
            draw.text((margin, y + height // 2), row_labels[index], INK, font, anchor="rm")
        for column, (picture, width) in enumerate(zip(row, widths, strict=True)):
            if index == 0 and column_labels:
                draw.text((x + width // 2, heading), column_labels[column], INK, font, anchor="md")
            if picture is not None:
                middle = (x + (width - picture.width) // 2, y + (height - picture.height) // 2)
                sheet.paste(picture.convert("RGB"), middle)
            x += width + gap
        y += height + gap
    return sheet


def panel(
    images: Sequence[Image.Image], labels: Sequence[str] = (), *, height: int | None = None
) -> Image.Image:
    """Puts pictures side by side at one height: structure | appearance | output.

    Args:
        images: from left to right.
        labels: a word above each, or none.
        height: of all pictures in pixels; by default that of the last one, which a panel is about.

    Raises:
        ValueError: no picture, or labels that do not fit their number.
    """
    if not images:
        raise ValueError("a panel needs at least one picture")
    height = height or images[-1].height
    return labelled_grid([[_at_height(image, height) for image in images]], labels)


def _at_height(image: Image.Image, height: int) -> Image.Image:
    if image.height == height:
        return image
    width = max(1, round(image.width * height / image.height))
    return image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def _height(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    _, top, _, bottom = font.getbbox("Ágjy")
    return int(bottom - top)
