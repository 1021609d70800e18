"""The whole of Splice as one function: two picture files in, the spliced picture out."""

from collections.abc import Callable
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method.settings import Settings
from splice.method.transfer import Step, Transfer
from splice.running.device import find_device
from splice.running.inputs import choose_size, read_at_most


def splice_pair(
    structure: str | Path,
    appearance: str | Path,
    settings: Settings | None = None,
    *,
    vit: FrozenViT | None = None,
    watch: Callable[[Step], object] = lambda step: None,
) -> Float[Tensor, "3 height width"]:
    """The structure image in the look of the appearance image, in [0, 1], with nothing written.

    Args:
        structure: file of the structure image.
        appearance: file of the appearance image.
        settings: of the run; the preset `default` if left out.
        vit: the settings' backbone on the settings' device, if it is loaded already.
        watch: is given the record of every step.

    Raises:
        InputError: a picture or setting that cannot be used.
        RunError: the weights could not be fetched, no size fits into memory, or the loop failed.
    """
    settings = settings or Settings()
    device = find_device(settings.device)
    if vit is None:
        weights = Path(settings.weights).expanduser() if settings.weights else None
        vit = FrozenViT.load(settings.backbone, device=device, weights=weights)
    size = choose_size(Path(structure), settings, device)
    pictures = [read_at_most(Path(file), size) for file in (structure, appearance)]
    transfer = Transfer(pictures[0], pictures[1], settings, vit, device)
    for step in transfer.steps():
        watch(step)
    return transfer.output().cpu()
