"""The whole of Splice as one function: two pictures in, the spliced picture out."""

from collections.abc import Callable, Sequence
from typing import Literal, TypedDict, overload

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from typing_extensions import Unpack

from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.method.settings import Settings
from splice.method.step import Step
from splice.method.transfer import Transfer
from splice.pictures.encoding import to_transparent_pil, with_opacity
from splice.pictures.given import AnyPicture, kept_from
from splice.running.device import find_device
from splice.running.inputs import STRUCTURE, Given, choose_size

Kind = Literal["tensor", "pil", "numpy"]
"""What a picture can be returned as."""


class More(TypedDict, total=False):
    """What may be said besides, as `splice_pair` explains it."""

    structure_mask: AnyPicture | None
    appearance_mask: AnyPicture | Sequence[AnyPicture | None] | None
    vit: FrozenViT | None
    callback: Callable[[Step], object]


@overload
def splice_pair(
    structure: AnyPicture,
    appearance: AnyPicture | Sequence[AnyPicture],
    settings: Settings | None = None,
    *,
    kind: Literal["tensor"] = "tensor",
    **more: Unpack[More],
) -> Float[Tensor, "3 height width"]: ...


@overload
def splice_pair(
    structure: AnyPicture,
    appearance: AnyPicture | Sequence[AnyPicture],
    settings: Settings | None = None,
    *,
    kind: Literal["pil"],
    **more: Unpack[More],
) -> Image.Image: ...


@overload
def splice_pair(
    structure: AnyPicture,
    appearance: AnyPicture | Sequence[AnyPicture],
    settings: Settings | None = None,
    *,
    kind: Literal["numpy"],
    **more: Unpack[More],
) -> Float[np.ndarray, "height width channels"]: ...


def splice_pair(
    structure: AnyPicture,
    appearance: AnyPicture | Sequence[AnyPicture],
    settings: Settings | None = None,
    *,
    structure_mask: AnyPicture | None = None,
    appearance_mask: AnyPicture | Sequence[AnyPicture | None] | None = None,
    kind: Kind = "tensor",
    vit: FrozenViT | None = None,
    callback: Callable[[Step], object] = lambda step: None,
) -> Tensor | Image.Image | np.ndarray:
    """The structure image in the look of the appearance image, with nothing written.

    Args:
        structure: the structure image: a file, a picture of Pillow's, an array or a tensor; see
            `AnyPicture`.
        appearance: the appearance image, or several, likewise.
        settings: of the run; the preset `default` if left out.
        structure_mask: a picture that is white where the structure image is painted; the rest stays
            as it is.
        appearance_mask: likewise, white where the look comes from; or one for each of several.
        kind: what is returned, whatever was given.
        vit: the settings' backbone on the settings' device, if it is loaded already.
        callback: is given the record of every step, whose `output()` is the picture so far.

    Returns:
        sRGB. "tensor": float32 of 3 × height × width in [0, 1], transparency laid over white.
        "pil": a picture of 8 bits. "numpy": float32 of height × width × 3 in [0, 1]. These two keep
        the structure image's transparency, if it has any, as a fourth channel.

    Raises:
        InputError: a picture, setting or kind that cannot be used.
        RunError: the weights could not be fetched, no size fits into memory, or the loop failed.
    """
    if kind not in ("tensor", "pil", "numpy"):
        raise InputError(f"the kind {kind!r} cannot be returned; name tensor, pil or numpy.")
    settings = settings or Settings()
    given = Given.of(structure, appearance, settings, structure_mask, appearance_mask)
    settings, device = given.settled(settings), find_device(settings.device)
    pictures = given.read(choose_size(structure, settings, device))
    if vit is None:
        vit = FrozenViT.load(settings.backbone, device=device, weights=settings.weights)
    transfer = Transfer(*pictures.pair, settings, vit, device, **pictures.masks)
    for step in transfer.steps():
        callback(step)
    output = transfer.output().cpu()
    if kind == "tensor":
        return output
    kept = kept_from(structure, STRUCTURE)
    if kind == "pil":
        return to_transparent_pil(output, kept)
    return torch.movedim(with_opacity(output, kept), 0, -1).contiguous().numpy()
