"""The whole of Splice as one function: two picture files in, the spliced picture out."""

from collections.abc import Callable, Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method.settings import Settings
from splice.method.transfer import Step, Transfer
from splice.running.device import find_device
from splice.running.inputs import File, Files, choose_size


def splice_pair(
    structure: File,
    appearance: File | Sequence[File],
    settings: Settings | None = None,
    *,
    structure_mask: File | None = None,
    appearance_mask: File | Sequence[File | None] | None = None,
    vit: FrozenViT | None = None,
    watch: Callable[[Step], object] = lambda step: None,
) -> Float[Tensor, "3 height width"]:
    """The structure image in the look of the appearance image, in [0, 1], with nothing written.

    Args:
        structure: file of the structure image.
        appearance: file of the appearance image, or files of several.
        settings: of the run; the preset `default` if left out.
        structure_mask: file of a picture that is white where the structure image is painted; the rest
            stays as it is.
        appearance_mask: likewise, white where the look comes from; or one for each of several.
        vit: the settings' backbone on the settings' device, if it is loaded already.
        watch: is given the record of every step.

    Raises:
        InputError: a picture or setting that cannot be used.
        RunError: the weights could not be fetched, no size fits into memory, or the loop failed.
    """
    settings = settings or Settings()
    files = Files.of(structure, appearance, settings, structure_mask, appearance_mask)
    device = find_device(settings.device)
    if vit is None:
        weights = Path(settings.weights).expanduser() if settings.weights else None
        vit = FrozenViT.load(settings.backbone, device=device, weights=weights)
    pictures = files.read(choose_size(files.structure, settings, device))
    transfer = Transfer(*pictures.pair, settings, vit, device, **pictures.masks)
    for step in transfer.steps():
        watch(step)
    return transfer.output().cpu()
