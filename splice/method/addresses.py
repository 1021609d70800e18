"""Where each pixel belongs in the appearance image, in a language that both pictures share.

The address of a pixel is a code of the appearance image's patches that mean the same. An eye has the
address of the other picture's eyes, fur that of its fur. A network that has learnt what the appearance
image has at each address can paint another picture from its addresses.

Of several appearance images each has channels of its own, which are 0 where another one lends the
address, and a mark among them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.appearances import Appearance, Patches, in_a_row
from splice.method.correspondence import correspondence_to_all
from splice.method.semantics import Semantics, principal_axes
from splice.pictures.bilateral import bilateral_upsampling

CHANNELS = 32
"""Of an address."""

TEMPERATURE = 0.02
"""Of the softmax over likeness that says which patches mean the same."""

MARK = 2.0
"""What says who of several lends an address, in deviations of codes."""

Address = Float[Tensor, "1 channels height width"]


@torch.no_grad()
def find_addresses(
    structure: Float[Tensor, "1 3 height width"],
    appearances: Sequence[Appearance],
    semantics: Semantics,
    strength: float = 1.0,
) -> tuple[Address, list[Float[Tensor, "1 channels _ _"]]]:
    """The addresses of the structure image's pixels and of the appearance images' own.

    The codes are the appearance image's tokens on their principal axes, each with variance 1. Both
    pictures find their addresses in the same way, so that one is as smooth as the other.

    Below a strength of 1 the structure image is one of those that lend addresses. Its pixels have their
    own at strength 0 and those of the appearance images at strength 1; in between they have of both.

    Args:
        structure: the structure image, in [0, 1].
        appearances: the appearance images.
        semantics: of the pair.
        strength: how much of the lent addresses there is, in [0, 1].

    Returns:
        The structure image's; then those of each appearance image, and, below a strength of 1, those
        that the structure image has by itself.
    """
    shown = [each.picture for each in appearances]
    tokens, patches = list(semantics.tokens[1:]), list(semantics.patches)
    lenders = len(shown)
    if strength < 1:
        shown.append(structure)
        tokens.append(semantics.tokens[0])
        patches.append(Patches(semantics.structure_grid))
    codes = _in_own_channels([_codes(*each) for each in zip(tokens, patches, strict=True)])
    theirs = []
    for image, each, part, code in zip(shown, tokens, patches, codes, strict=True):
        own = correspondence_to_all(each, [each], part.grid, [part])
        theirs.append(_addresses(own, code, part.grid, image))
    lent = in_a_row(codes[:lenders])
    ours = _addresses(semantics.likeness, lent, semantics.structure_grid, structure)
    return ours if strength == 1 else torch.lerp(theirs[-1], ours, strength), theirs


def laid_together(address: Address, lenders: int) -> Float[Tensor, "1 _ height width"]:
    """Addresses in the channels of one picture, whoever lent them.

    Args:
        address: of pixels.
        lenders: how many pictures have channels of their own.
    """
    return address.unflatten(1, (lenders, -1)).sum(1) if lenders > 1 else address


def _codes(
    tokens: Float[Tensor, "all token"], patches: Patches
) -> Float[Tensor, "patches channels"]:
    """Tokens of a picture on its principal axes, of the patches that take part."""
    mine = patches.of(tokens)
    return mine @ principal_axes(mine, CHANNELS)


def _in_own_channels(codes: Sequence[Tensor]) -> list[Float[Tensor, "_ channels"]]:
    """Codes of several pictures, each of mean 0 and marked, with 0 in the channels of the others."""
    if len(codes) == 1:
        return list(codes)
    width = max(each.shape[1] for each in codes) + 1
    placed = []
    for number, each in enumerate(codes):
        full = F.pad(each - each.mean(0), (0, width - 1 - each.shape[1]))
        marked = F.pad(full, (0, 1), value=MARK)
        placed.append(F.pad(marked, (number * width, (len(codes) - 1 - number) * width)))
    return placed


def _addresses(likeness: Tensor, codes: Tensor, grid: tuple[int, int], image: Tensor) -> Address:
    coarse = torch.softmax(likeness / TEMPERATURE, 1) @ codes
    return bilateral_upsampling(coarse.T.reshape(1, -1, *grid), image)
