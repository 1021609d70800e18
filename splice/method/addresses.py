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
from splice.method.fine_tokens import Tokens, finely_lent
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
    fine: Sequence[Float[Tensor, "_ token"]],
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
        fine: tokens at half the spacing, as `find_fine_tokens` has them.
        strength: how much of the lent addresses there is, in [0, 1].

    Returns:
        The structure image's; then those of each appearance image, and, below a strength of 1, those
        that the structure image has by itself.
    """
    shown = [each.picture for each in appearances]
    coarse, patches = semantics.tokens, semantics.patches
    whole = Patches(semantics.structure_grid)
    everywhere = Tokens((whole,), coarse[0], fine[0])
    lenders = list(zip(patches, coarse[1:], fine[1:], strict=True))
    lent = Tokens.of(*zip(*lenders, strict=True))
    if strength < 1:
        shown.append(structure)
        lenders.append((whole, coarse[0], fine[0]))
    codes = _in_own_channels([_codes(near, part.halved()) for part, _, near in lenders])
    theirs = []
    for image, (part, tokens, near), code in zip(shown, lenders, codes, strict=True):
        likeness = correspondence_to_all(tokens, [tokens], part.grid, [part])
        asking = Tokens((Patches(part.grid),), tokens, near)
        lending = Tokens.of([part], [tokens], [near])
        theirs.append(_addresses(likeness, asking, lending, code, image))
    code = in_a_row(codes[: len(patches)])
    ours = _addresses(semantics.likeness, everywhere, lent, code, structure)
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
    mine = mine - mine.mean(0)
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


def _addresses(
    likeness: Tensor, asking: Tokens, lending: Tokens, codes: Tensor, image: Tensor
) -> Address:
    lent = finely_lent(likeness, asking, lending, codes, TEMPERATURE)
    grid = asking.patches[0].halved().grid
    return bilateral_upsampling(lent.T.reshape(1, -1, *grid), image)
