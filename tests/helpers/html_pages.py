"""What a page says, read as a browser would read it."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

VOID = {"meta", "link", "img", "input", "br", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return " ".join(" ".join(parts).split())

    def all(self, tag: str = "", **wanted: str) -> list["Element"]:
        """All elements within, by tag, class (`of`), and any attribute (`data_name` for data-name)."""
        return [element for element in self._within() if element._is(tag, wanted)]

    def _is(self, tag: str, wanted: dict[str, str]) -> bool:
        wanted = dict(wanted)
        classes = self.attributes.get("class", "").split()
        if (tag and self.tag != tag) or ("of" in wanted and wanted.pop("of") not in classes):
            return False
        return all(self.attributes.get(k.replace("_", "-")) == v for k, v in wanted.items())

    def _within(self) -> Iterator["Element"]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child._within()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            # Strict: what is closed must be what was opened last.
            assert self.open[-1].tag == tag or tag in ("path", "line", "polyline"), (
                f"</{tag}> closes <{self.open[-1].tag}>"
            )
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {n: v or "" for n, v in attrs}))

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(path: Path) -> Element:
    """The tree of a page; wrong nesting is an error."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is never closed"
    return reader.open[0]


def picture(address: str, folder: Path) -> Image.Image:
    """The picture at an address of a page: data, or a file beside it."""
    start = "data:image/webp;base64,"
    if address.startswith(start):
        return Image.open(io.BytesIO(base64.b64decode(address[len(start) :]))).convert("RGB")
    return Image.open(folder / address).convert("RGB")
