"""What the generator paints over: the collage, and the drawing where shape counts for more.

A network that starts from grey has to find every leaf and whisker again, and a few hundred steps leave
brush strokes where they were. Painters lay down a first layer. Here it is the collage, whose parts
look as they should. Where parts have no counterparts of their own, as the folds of a slope, the
picture's own light and dark draw the outlines and, where the collage is smoother, the relief. To this
the generator adds, in the logits of colours, and begins with nothing.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.guided_filter import GUIDED_SIDE, guided_upsampling
from splice.objective import brightness, means_around, outlines_of
from splice.scales import SHORT_SIDE, shrunk, times_larger
from splice.views import View

TOLERANCE = 0.2
"""Variance of colour below which a window counts as flat, and what is in it as detail."""

AROUND, OUTLINE_AROUND = 4, 3
"""Radius of the windows in which detail is compared, and outlines are sought, at `SHORT_SIDE`."""

OWN = 0.3, 0.03
"""Variance of a collage's detail, in units of that of the picture's own, for half of each: of parts
like many others, and of distinct ones, see `splice.distinctness`."""

KEPT = 0.8, 0.1
"""Share of an outline's own light and dark that is kept, whatever the collage shows; likewise."""

FAINT = 1e-4
"""Variance of brightness that is hardly seen: a collage's detail that is no stronger is left out."""

WEAKEST, STRONGEST = (0.5, 0.25), 2.0
"""Least, likewise, and most by which the picture's own detail is multiplied, away from outlines."""

DARKEST = 0.02
"""Least colour of an underpainting, and how far its lightest is from 1: logits stay small."""


@dataclass(frozen=True)
class Underpainting:
    """The layers of a picture's underpainting.

    `ground` is the colours with what is taken of the collage; `share` is how much of
    the brightness of the picture's own `detail` lies over it, in [0, `STRONGEST`].
    """

    ground: Float[Tensor, "1 3 height width"]
    share: Float[Tensor, "1 1 height width"]
    detail: Float[Tensor, "1 1 height width"]

    def logits(
        self, view: View, detail: Float[Tensor, "1 3 rows columns"] | None = None
    ) -> Float[Tensor, "1 3 rows columns"]:
        """Logits of the colours of a view.

        Args:
            view: of the picture.
            detail: in colour, of the view, if it is not that of the picture itself.
        """
        if detail is None:
            return view.cut(self._own)
        return _logits(view.cut(self.ground), view.cut(self.share), brightness(detail))

    @cached_property
    def _own(self) -> Float[Tensor, "1 3 height width"]:
        """The logits of the entire picture, which views of every step are cut from."""
        return _logits(self.ground, self.share, self.detail)


def underpainting(
    picture: Float[Tensor, "1 3 height width"],
    colours: Float[Tensor, "1 3 height width"],
    collage: Float[Tensor, "1 3 height width"],
    distinct: Float[Tensor, "1 1 patch_rows patch_columns"],
    codes: Float[Tensor, "1 channels height width"],
    radius: int,
) -> Underpainting:
    """The layers for a picture whose parts get other colours, and detail of a collage.

    Of the picture's own detail only light and dark count: its colours are those that are to go. Away
    from outlines it becomes about as strong as the collage's: grass behind a dog is no pattern of the
    wall that takes its place, and a wood in the dusk gets the contrast of one at noon.

    Args:
        picture: in [0, 1].
        colours: that its parts are to have on the mean, in [0, 1].
        collage: what lies in its places, in [0, 1].
        distinct: which parts have a counterpart of their own, in [0, 1]: the collage shows it, and a
            second nose beside it would be one too many.
        codes: what the picture's pixels mean, with variance 1 in each channel.
        radius: of the windows that tell detail from what is smooth, see `smooth_part`.
    """
    smooth = smooth_part(torch.cat([collage, picture], 1), picture, radius)
    theirs, own = collage - smooth[:, :3], brightness(picture - smooth[:, 3:])
    scale = times_larger(picture)
    strength = [
        means_around(shrunk(detail.square(), scale), AROUND) for detail in (brightness(theirs), own)
    ]
    outlines = outlines_of(shrunk(codes, scale), OUTLINE_AROUND)
    of_its_own = F.interpolate(
        distinct, size=outlines.shape[-2:], mode="bilinear", align_corners=False
    )
    own_share, kept, weakest = (
        common + of_its_own * (rare - common) for common, rare in (OWN, KEPT, WEAKEST)
    )
    laid = 1 - kept * outlines
    taken = laid * strength[0] / (strength[0] + own_share * strength[1] + FAINT)
    stronger = ((strength[0] + FAINT) / (strength[1] + FAINT)).sqrt().clamp_max(STRONGEST)
    share = (1 - taken) * (outlines + (1 - outlines) * torch.maximum(stronger, weakest))
    laid, taken, share = (
        F.interpolate(each, size=picture.shape[-2:], mode="bilinear", align_corners=False)
        for each in (laid, taken, share)
    )
    ground = colours + laid * (smooth[:, :3] - colours) + taken * theirs
    return Underpainting(ground, share, own)


def _logits(ground: Tensor, share: Tensor, detail: Tensor) -> Tensor:
    return torch.logit((ground + share * detail).clamp(DARKEST, 1 - DARKEST))


def smooth_part(
    maps: Float[Tensor, "1 channels height width"],
    guide: Float[Tensor, "1 3 height width"],
    radius: int,
) -> Float[Tensor, "1 channels height width"]:
    """What is left of maps without detail: a guided filter, which keeps the picture's outlines.

    Args:
        maps: of any values; the result is linear in them.
        guide: the picture, in [0, 1].
        radius: of the windows, in pixels of a picture with a short side of `SHORT_SIDE`.
    """
    side = min(*guide.shape[-2:], GUIDED_SIDE)
    return guided_upsampling(maps, guide, max(1, round(radius * side / SHORT_SIDE)), TOLERANCE)
