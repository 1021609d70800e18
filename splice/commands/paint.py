"""`splice paint`: pictures painted by the network of a domain, in one pass each."""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from splice.commands.parser import Options, add_count, number, path
from splice.commands.progress import Silent, progress, show
from splice.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from splice.domain.condition import Condition
    from splice.domain.painting import Painter

OUTPUTS = Path("outputs") / "painted"

_DESCRIPTION = (
    "Paint pictures with a model that 'splice train' has made: in the look of pictures, of a mixture "
    "of them, of the modes of a folder, or as captions say."
)
_USAGE = (
    "MODEL STRUCTURE [APPEARANCE… | --mix FILE:SHARE… | FOLDER --modes N | --text CAPTION] "
    "[options]"
)


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0 when all pictures are painted.

    Raises:
        SpliceError: a model, picture or option that cannot be used; a full disk.
    """
    values = _options(program).parse(arguments)
    _check(values)
    told = progress(values.quiet)
    try:
        for file in _paint(values, told):
            show(str(file))
    finally:
        told.close()
    return 0


def _options(program: str) -> Options:
    parser = Options(program, _DESCRIPTION, usage=_USAGE)
    parser.add_argument(
        "model", type=path, metavar="MODEL", help="folder of a training, or its model.safetensors"
    )
    parser.add_argument(
        "structure",
        type=path,
        metavar="STRUCTURE",
        help="picture to paint, or a folder of them, such as a video's frames",
    )
    parser.add_argument(
        "appearances",
        nargs="*",
        type=path,
        metavar="APPEARANCE",
        help="pictures whose look is wanted, one after the other, or folders of them",
    )
    parser.add_argument(
        "--mix",
        nargs="+",
        metavar="FILE:SHARE",
        help="one look between those of pictures, as in --mix a.png:0.3 b.png:0.7",
    )
    add_count(parser, "--modes", "the N looks that the folder APPEARANCE has")
    parser.add_argument(
        "--text", action="append", metavar="CAPTION", help="a look in words; may be given again"
    )
    parser.add_argument(
        "--masks", action="store_true", help="show where the condition counts (layer spatial)"
    )
    parser.add_argument(
        "--size",
        type=number(32, whole=True),
        metavar="PX",
        help="short side that is painted, at most; by default twice what the model has learnt",
    )
    parser.add_argument(
        "--output",
        type=path,
        default=OUTPUTS,
        metavar="DIR",
        help=f"folder to write to ({OUTPUTS})",
    )
    parser.add_argument(
        "--weights", type=path, metavar="FILE", help="of the backbone that the model learnt with"
    )
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps"
    )
    return parser


def _check(values: Namespace) -> None:
    """Refuse what cannot work before anything slow."""
    if not (values.appearances or values.mix or values.text):
        raise InputError(
            "there is no look to paint in: give an APPEARANCE picture, --mix or --text."
        )
    if values.modes is not None and (
        len(values.appearances) != 1 or not values.appearances[0].is_dir()
    ):
        raise InputError(
            f"--modes {values.modes} needs one folder of pictures as APPEARANCE; give it."
        )
    if values.output.exists() and not values.output.is_dir():
        raise InputError(f"{values.output} is a file; give a folder as --output.")


def _paint(values: Namespace, told: Silent) -> list[Path]:
    from splice.pictures.images import read_image, write_image

    structures = _pictures(values.structure, "STRUCTURE")
    mixture = [_share(text) for text in values.mix or ()]
    painter = _painter(values, told)
    looks = _looks(values, mixture, painter, told)
    try:
        values.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {values.output} cannot be made: {error.strerror}.") from error
    written: list[Path] = []
    names = _distinct([file.stem for file in structures])
    endings = ("", "--masks") if values.masks else ("",)
    stems = [f"{name}--{label}{end}" for name in names for label, _ in looks for end in endings]
    # Names and labels may themselves hold dashes.
    targets = (values.output / f"{stem}.png" for stem in _distinct(stems))
    told.count(0, len(structures) * len(looks), "pictures")
    for file in structures:
        picture = read_image(file)
        for _, condition in looks:
            target = next(targets)
            write_image(target, painter.paint(picture, condition, values.size))
            written.append(target)
            if values.masks:
                shown = next(targets)
                masks = painter.masks(picture, condition, values.size)
                write_image(shown, _side_by_side(masks))
                written.append(shown)
            told.count(len(written) // (1 + values.masks), len(structures) * len(looks), "pictures")
    return written


def _painter(values: Namespace, told: Silent) -> Painter:
    from splice.backbones.frozen_vit import FrozenViT
    from splice.domain.model_file import load_model
    from splice.domain.painting import Painter
    from splice.running.device import find_device

    device: torch.device = find_device(values.device)
    model = load_model(values.model, device)
    if values.masks and model.settings.layer != "spatial":
        raise InputError(
            f"--masks needs a model of the layer spatial, and this one has {model.settings.layer}."
        )
    if model.settings.condition == "text":
        return Painter(model, None)
    vit = FrozenViT.load(
        model.settings.backbone,
        device=device,
        weights=values.weights or model.settings.weights,
        progress=told.fetching,
    )
    return Painter(model, vit)


def _looks(
    values: Namespace, mixture: Sequence[tuple[Path, float]], painter: Painter, told: Silent
) -> list[tuple[str, Condition]]:
    """What is to be painted, with a name for each."""
    from splice.domain.painting import mixed

    looks: list[tuple[str, Condition]] = []
    files = [file for each in values.appearances for file in _pictures(each, "APPEARANCE")]
    if values.modes is not None:
        told.count(0, len(files), "pictures seen")
        modes = painter.modes(
            files, values.modes, seen=lambda done, total: told.count(done, total, "pictures seen")
        )
        looks += [(f"mode-{index}", mode) for index, mode in enumerate(modes, 1)]
    else:
        looks += [(file.stem, painter.look(file)) for file in files]
    if mixture:
        conditions = [painter.look(file) for file, _ in mixture]
        looks.append(("mix", mixed(conditions, [share for _, share in mixture])))
    captions = values.text or []
    for index, caption in enumerate(captions, 1):
        label = "text" if len(captions) == 1 else f"text-{index}"
        looks.append((label, painter.model.read([caption])))
    reader = painter.model.reader
    if reader is not None:
        unknown = reader.vocabulary.unknown(" ".join(captions))
        if unknown:
            told.say(f"words that the model does not know: {', '.join(unknown)}")
    labels = _distinct([label for label, _ in looks])
    return [(label, condition) for label, (_, condition) in zip(labels, looks, strict=True)]


def _share(text: str) -> tuple[Path, float]:
    """A picture and its share of a mixture."""
    file, colon, share = text.rpartition(":")
    try:
        value = float(share)
    except ValueError:
        colon = ""
        value = 0.0
    if not colon or not file or not abs(value) < float("inf"):
        raise InputError(f"--mix {text}: give a picture and its share, as in a.png:0.3.")
    return path(file), value


def _pictures(place: Path, what: str) -> list[Path]:
    """The picture itself, or those of a folder."""
    from splice.pictures.images import check_picture
    from splice.pictures.pairs.folders import list_pictures

    if not place.is_dir():
        check_picture(place)
        return [place]
    files = list_pictures(place)
    if not files:
        raise InputError(f"the folder {place} holds no pictures; give a folder of some as {what}.")
    return files


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where one comes twice; no two are the same, in whatever letters."""
    # Some systems take Cat.png and cat.png for one file.
    often = Counter(name.casefold() for name in names)
    taken = {name for name, count in often.items() if count == 1}
    distinct = []
    for name in names:
        if often[name.casefold()] > 1:
            name = next(
                numbered
                for numbered in (f"{name}-{number}" for number in itertools.count(1))
                if numbered.casefold() not in taken
            )
            taken.add(name.casefold())
        distinct.append(name)
    return distinct


def _side_by_side(masks: Tensor) -> Tensor:
    """Masks of all levels in a row, as a grey picture."""
    import torch

    row = torch.cat(list(masks), 1)
    return row[None].expand(3, -1, -1)
