"""The figure of docs/method.md: one pair on its way through the method.

    python benchmarks/method_figure.py --pair datasets/samples/mountains --steps 300

Paints the pair with the preset `default`. Side by side stand the structure image, the appearance image,
the toned picture, the painting at its own size, and the output.
"""

from dataclasses import dataclass
from pathlib import Path

from command import run_command
from PIL import Image

from splice.analysis.visualize import labelled_grid
from splice.backbones.frozen_vit import FrozenViT
from splice.method.painting import Painting
from splice.method.transfer import Transfer
from splice.pictures.images import to_pil
from splice.pictures.pairs import plan_pairs
from splice.running.device import find_device
from splice.running.inputs import read_at_most
from splice.running.presets import load_preset

HEIGHT = 300
"""Of the pictures, in pixels."""


@dataclass(frozen=True)
class Options:
    """What is drawn, and where to."""

    pair: Path
    """A pair folder, with A/ and B/."""

    output: Path = Path("docs/images/method.png")
    """The figure."""

    steps: int = 300
    """Of the painting."""


def main(options: Options) -> None:
    """Paints the pair and writes the figure."""
    (pair,) = plan_pairs(options.pair).pairs
    settings = load_preset("default", {"steps": options.steps})
    device = find_device(settings.device)
    structure, appearance = (read_at_most(file, 1024) for file in (pair.structure, pair.appearance))
    transfer = Transfer(structure, appearance, settings, FrozenViT.load(device=device), device)
    for step in transfer.steps():
        print(f"\rstep {step.step} of {step.steps}", end="", flush=True)
    print()
    assert isinstance(transfer.method, Painting)
    toned = transfer.method.first(0, transfer.structure)
    assert toned is not None
    shown = [structure, appearance, toned[0], transfer.picture(), transfer.output()]
    cells = [_scaled(to_pil(each.detach().cpu())) for each in shown]
    labels = ("structure", "appearance", "tones", "painting", "output")
    labelled_grid([cells], labels).save(options.output)


def _scaled(picture: Image.Image) -> Image.Image:
    width = round(picture.width * HEIGHT / picture.height)
    return picture.resize((width, HEIGHT), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    run_command(main, Options)
