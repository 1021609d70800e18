r"""How strong detail is in pictures, in units of the appearance image's, octave by octave.

    python benchmarks/detail.py --pairs-root pairs \
        --pictures outputs/default/seed-0/{set}/{id}.png published/{set}/splice/{id}.jpg

All pictures are seen at a short side of 256 px. An octave is what the mean of 2 × 2 pixels leaves over
of brightness, then of that mean, and so on; its strength is a standard deviation. Prints the geometric
mean over the pairs of each set that have a picture in every place.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from command import run_command
from jaxtyping import Float
from quality import find_pairs
from torch import Tensor

from splice.errors import InputError
from splice.images import read_image
from splice.objective import brightness


@dataclass(frozen=True)
class Options:
    """How strong detail is in pictures, in units of the appearance image's, octave by octave."""

    pairs_root: Path
    """Folder of sets of pairs: SET/ID/A and SET/ID/B with one picture each."""
    pictures: tuple[str, ...]
    """Where pictures lie, with {set} and {id} for a pair's."""
    sets: tuple[str, ...] = ()
    """Sets to use; all without."""
    each: bool = False
    """Print every pair's, too."""


def main(options: Options) -> None:
    """Measure and print."""
    found: dict[str, list[Tensor]] = {}
    for pair in find_pairs(options.pairs_root, options.sets, ()):
        name, number = pair.name.split("/")
        files = [Path(place.format(set=name, id=number)) for place in options.pictures]
        if not all(file.is_file() for file in files):
            continue
        unit = strengths(pair.appearance)
        logs = torch.stack([(strengths(file) / unit).log() for file in files])
        found.setdefault(name, []).append(logs)
        if options.each:
            show(pair.name, options.pictures, logs.exp())
    if not found:
        raise InputError("--pictures: no pair has all of them; write FOLDER/{set}/{id}.png.")
    for name, logs in found.items():
        show(f"{name}, {len(logs)} pairs", options.pictures, torch.stack(logs).mean(0).exp())


def strengths(file: Path) -> Float[Tensor, " octaves"]:
    """Standard deviations of four octaves of brightness, the finest first."""
    image = brightness(read_image(file, short_side=256)[None].double())
    found = []
    for _ in range(4):
        image = image[..., : image.shape[-2] // 2 * 2, : image.shape[-1] // 2 * 2]
        coarse = F.avg_pool2d(image, 2)
        smooth = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        found.append((image - smooth).std())
        image = coarse
    return torch.stack(found)


def show(name: str, places: tuple[str, ...], ratios: Float[Tensor, "places octaves"]) -> None:
    """One line for each place."""
    for place, row in zip(places, ratios.tolist(), strict=True):
        print(f"{name:24} {'  '.join(f'{ratio:.2f}' for ratio in row)}  {place}")


if __name__ == "__main__":
    run_command(main, Options)
