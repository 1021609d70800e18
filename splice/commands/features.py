"""`splice features`: show what a backbone sees in pictures."""

from __future__ import annotations

import io
import json
import re
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splice.backbones.registry import find_backbone
from splice.commands.backbone import load_backbone
from splice.commands.parser import Options, add_count, add_settings, chosen_settings, number, path
from splice.commands.progress import Silent, progress
from splice.commands.run_options import add_blocks, blocks_of
from splice.errors import InputError
from splice.method.settings import Settings
from splice.running.setting_list import nearest

if TYPE_CHECKING:
    from PIL import Image

    from splice.analysis.visualize.overview import Look
    from splice.running.outputs import RunFolder

OUTPUTS = Path("outputs")
KINDS = ("keys", "queries", "values", "tokens", "self-similarity")

_DESCRIPTION = (
    "Show what a frozen vision transformer sees in pictures: principal components as colours, "
    "attention, similarity to a point, correspondences."
)
_USAGE = (
    "IMAGE… [--kind NAME…] [--block N… | --block all] [--point X,Y] [--correspondences] [options]"
)


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0 when everything is written.

    Raises:
        SpliceError: whatever else ends it.
    """
    values = _options(program).parse(arguments)
    settings = chosen_settings(values)
    _check(values, settings)
    told = progress(values.quiet)
    try:
        with _folder(values) as folder:
            for file in _run(values, settings, folder, told):
                print(file)
    finally:
        told.close()
    return 0


def _options(program: str) -> Options:
    parser = Options(program, _DESCRIPTION, usage=_USAGE)
    parser.add_argument("pictures", nargs="+", type=path, metavar="IMAGE", help="to look at")
    parser.add_argument(
        "--kind",
        nargs="+",
        action="extend",
        metavar="NAME",
        help=f"of feature: {', '.join(KINDS)}; by default keys and self-similarity",
    )
    add_blocks(parser)
    parser.add_argument(
        "--point",
        type=_point,
        metavar="X,Y",
        help="show how similar all places are to this one, in pixels of the first picture",
    )
    parser.add_argument(
        "--correspondences",
        action="store_true",
        help="draw what in one of two pictures answers to what in the other, and warp the second",
    )
    add_count(parser, "--matches", "lines of correspondence, at most (40)", default=40)
    parser.add_argument(
        "--size",
        type=number(32, whole=True),
        default=448,
        metavar="PX",
        help="short side that the backbone sees; more is finer (448)",
    )
    parser.add_argument("--save-features", type=path, metavar="FILE", help="as safetensors")
    parser.add_argument(
        "--output",
        type=path,
        metavar="DIR",
        help="folder to write to; by default a new one, outputs/<image>--features",
    )
    add_settings(parser, "backbone", "weights", "device")
    return parser


def _point(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2 or not all(re.fullmatch(r"\d+(\.\d+)?", part.strip()) for part in parts):
        raise ArgumentTypeError(f"cannot be {text}: it should be X,Y in pixels, such as 120,80")
    return float(parts[0]), float(parts[1])


def _check(values: Namespace, settings: Settings) -> None:
    """Refuse what cannot work before anything slow."""
    for kind in values.kind or ():
        if kind not in KINDS:
            raise InputError(
                f"--kind: there is no feature {kind}{nearest(kind, KINDS)}; "
                f"the choices are {', '.join(KINDS)}."
            )
    if values.correspondences and len(values.pictures) != 2:
        raise InputError(
            f"--correspondences are between two pictures, not {len(values.pictures)}; give two."
        )
    if values.size > 2048:
        raise InputError(f"--size cannot be {values.size}: it should be at most 2048.")
    values.block = _blocks(values, settings)
    from splice.pictures.images import check_picture

    for picture in values.pictures:
        check_picture(picture)


def _blocks(values: Namespace, settings: Settings) -> Any:
    words = blocks_of(values.block or ["deepest"])
    if isinstance(words, str):
        return words
    last = find_backbone(settings.backbone).blocks
    for word in words:
        if not (word.isdecimal() and 1 <= int(word) <= last):
            raise InputError(
                f"--block cannot be {word}: {settings.backbone} has blocks 1 to {last}; "
                "all stands for every one of them."
            )
    return [int(word) for word in words]


def _folder(values: Namespace) -> RunFolder:
    from splice.running.outputs import RunFolder

    if values.output is not None:
        return RunFolder(values.output)
    name = "-and-".join(picture.stem for picture in values.pictures[:2])
    return RunFolder.numbered(OUTPUTS, f"{name}--features")


def _run(values: Namespace, settings: Settings, folder: RunFolder, told: Silent) -> list[Path]:
    from splice.analysis.visualize.maps import patch_at
    from splice.analysis.visualize.overview import look
    from splice.pictures.images import read_image

    images = [read_image(picture) for picture in values.pictures]
    if values.point is not None:
        (x, y), (_, height, width) = values.point, images[0].shape
        patch_at(x, y, width, height, (1, 1))
    vit = load_backbone(settings, told)
    told.close()
    names = [picture.stem for picture in values.pictures]
    seen = look(images, vit, values.block, size=values.size, names=names)
    written = []
    for name, picture in _pictures(seen, values):
        folder.write(name, _png(picture))
        written.append(folder.path / name)
    if values.save_features is not None:
        _save(seen, values, settings)
        written.append(values.save_features)
    return written


def _pictures(seen: Look, values: Namespace) -> list[tuple[str, Image.Image]]:
    """Every picture that was asked for, by the name of its file."""
    kinds = list(dict.fromkeys(values.kind or ("keys", "self-similarity")))
    vectors: list[Any] = [kind for kind in kinds if kind != "self-similarity"] or ["keys"]
    pictures = [(f"pca-{kind}.png", seen.pca(kind)) for kind in kinds]
    pictures += [(f"attention-block{b:02}.png", seen.attention(b)) for b in seen.blocks]
    if values.point is not None:
        x, y = values.point
        pictures += [(f"similarity-{kind}.png", seen.similarity(x, y, kind)) for kind in vectors]
    if values.correspondences:
        for kind in vectors:
            for block in seen.blocks:
                end = f"{kind}-block{block:02}.png"
                lines = seen.correspondences(kind, block, values.matches)
                pictures.append((f"correspondences-{end}", lines))
                pictures.append((f"warped-{end}", seen.warped(kind, block)))
    return pictures


def _save(seen: Look, values: Namespace, settings: Settings) -> None:
    """Features as safetensors, with what they are of in the metadata."""
    import safetensors.torch

    from splice.pictures.images import write_atomically

    about = {
        "backbone": settings.backbone,
        "pictures": [str(picture) for picture in values.pictures],
        "grids": [list(features.grid) for features in seen.features],
    }
    data = safetensors.torch.save(seen.tensors(), {"splice": json.dumps(about)})
    write_atomically(values.save_features, lambda file: file.write(data))


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
