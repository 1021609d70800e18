"""What an inversion gave: pictures, how near their features came, and how to look at both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from splice.analysis.visualize.curves import Curves, loss_curves
from splice.analysis.visualize.grids import labelled_grid
from splice.backbones.frozen_vit import FrozenViT
from splice.pictures.given import AnyPicture, as_image
from splice.pictures.images import to_pil
from splice.studies.inversion.loop import InversionStep, inversion_steps
from splice.studies.inversion.settings import InversionSettings, load_inversion_preset
from splice.studies.inversion.subjects import Picture, Subject, seen, subjects
from splice.studies.inversion.targets import represent, targets


@dataclass(frozen=True)
class Inverted:
    """Finished inversions; in a notebook it displays as its grid.

    Attributes:
        originals: the pictures inverted, at the size that was compared.
        subjects: the inversions, each a picture, a block and a seed.
        pictures: of each inversion, in [0, 1].
        losses: squared feature distance of each inversion at each step, as a share of noise's.
        distances: the same of the final pictures, drawn without fresh noise.
        psnr: of each final picture against the original, in decibels.
    """

    originals: Sequence[Picture]
    subjects: Sequence[Subject]
    pictures: Sequence[Picture]
    losses: Float[Tensor, "steps inversions"]
    distances: Sequence[float]
    psnr: Sequence[float]

    def grid(self, names: Sequence[str] = (), height: int | None = None) -> Image.Image:
        """The originals beside their inversions, as `inversion_grid` lays them out."""
        return inversion_grid(self.originals, self.subjects, self.pictures, names, height)

    def curves(self) -> Curves:
        """The losses over the steps."""
        columns = self.losses.T.tolist()
        return loss_curves(dict(zip(labels(self.subjects), columns, strict=True)))

    def _repr_png_(self) -> bytes | None:
        return self.grid()._repr_png_()


def invert(
    images: AnyPicture | Sequence[AnyPicture],
    vit: FrozenViT,
    settings: InversionSettings | None = None,
    *,
    watch: Callable[[InversionStep], Any] = lambda step: None,
    together: int | None = None,
    **changes: Any,
) -> Inverted:
    """Inverts features of one picture or of several, start to end.

    Args:
        images: files, pictures of Pillow's, arrays or tensors; see `AnyPicture`.
        vit: the backbone, on the device where everything is to run.
        settings: of the inversions; by default the preset `inversion-quick`.
        watch: is given the record of every step.
        together: inversions that run as one batch; see `inversion_steps`.
        changes: single settings, such as `feature="cls"`, `blocks=(3, 12)` or `steps=500`.

    Raises:
        InputError: a setting that cannot be, or what is no picture.
        RunError: a loss that is not finite, or a device without enough memory.
    """
    if settings is None:
        settings = load_inversion_preset(changes=changes)
    elif changes:
        settings = InversionSettings.model_validate({**settings.model_dump(), **changes})
    several = [images] if isinstance(images, AnyPicture) else list(images)
    pictures = [as_image(each, f"picture {n}") for n, each in enumerate(several, 1)]
    losses, last = [], None
    for step in inversion_steps(pictures, vit, settings, together=together):
        losses.append(step.losses)
        watch(step)
        last = step
    assert last is not None
    drawn = [picture.cpu() for picture in last.pictures()]
    originals = [seen(image, vit, settings.size).cpu() for image in pictures]
    inversions = subjects(settings, vit, len(pictures))
    return Inverted(
        originals,
        inversions,
        drawn,
        torch.stack(losses).float().cpu(),
        relative_distances(vit, settings, originals, inversions, drawn),
        [psnr(p, originals[each.image]) for p, each in zip(drawn, inversions, strict=True)],
    )


@torch.no_grad()
def relative_distances(
    vit: FrozenViT,
    settings: InversionSettings,
    originals: Sequence[Picture],
    inversions: Sequence[Subject],
    pictures: Sequence[Picture],
) -> list[float]:
    """Squared feature distance of each picture to its original, as a share of noise's."""
    device, feature = vit.embed.weight.device, settings.feature
    blocks = sorted({each.block for each in inversions})
    wanted = [targets(vit, original.to(device), feature, blocks) for original in originals]
    result = []
    for each, picture in zip(inversions, pictures, strict=True):
        found = represent(vit, picture[None].to(device), feature, [each.block])[each.block][0]
        result.append(wanted[each.image][each.block].distance(found).item())
    return result


def psnr(picture: Picture, original: Picture) -> float:
    """Peak signal-to-noise ratio in decibels: -10 log10 of the mean squared difference."""
    return -10 * (picture.float() - original.float()).square().mean().log10().item()


def labels(inversions: Sequence[Subject], names: Sequence[str] = ()) -> list[str]:
    """A short name for each inversion, of what tells it from the others."""
    several_images = len({each.image for each in inversions}) > 1
    several_seeds = len({each.seed for each in inversions}) > 1
    result = []
    for each in inversions:
        parts = [_name(names, each.image)] if several_images else []
        parts.append(f"block {each.block}")
        parts += [f"seed {each.seed}"] if several_seeds else []
        result.append(", ".join(parts))
    return result


def inversion_grid(
    originals: Sequence[Picture],
    inversions: Sequence[Subject],
    pictures: Sequence[Picture],
    names: Sequence[str] = (),
    height: int | None = None,
) -> Image.Image:
    """Rows of pictures and seeds; columns of the original and the blocks.

    Args:
        originals: the pictures inverted.
        inversions: what each of `pictures` is.
        pictures: in [0, 1].
        names: of the originals, for the rows.
        height: of each picture in pixels; by default as they are.
    """
    blocks = sorted({each.block for each in inversions})
    rows_of = list(dict.fromkeys((each.image, each.seed) for each in inversions))
    by_subject = zip(inversions, pictures, strict=True)
    drawn = {(each.image, each.seed, each.block): picture for each, picture in by_subject}
    several_images = len({image for image, _ in rows_of}) > 1
    several_seeds = len({seed for _, seed in rows_of}) > 1
    rows, row_labels = [], []
    for image, seed in rows_of:
        row: list[Picture | None] = [originals[image]]
        row += [drawn.get((image, seed, block)) for block in blocks]
        rows.append([None if x is None else _shown(x, height) for x in row])
        words = [_name(names, image)] if several_images else []
        words += [f"seed {seed}"] if several_seeds else []
        row_labels.append(", ".join(words))
    columns = ["original", *(f"block {block}" for block in blocks)]
    return labelled_grid(rows, columns, row_labels if any(row_labels) else ())


def _shown(picture: Picture, height: int | None) -> Image.Image:
    shown = to_pil(picture)
    if height is None or height == shown.height:
        return shown
    width = max(1, round(shown.width * height / shown.height))
    return shown.resize((width, height), Image.Resampling.LANCZOS)


def _name(names: Sequence[str], image: int) -> str:
    return names[image] if names else f"image {image + 1}"
