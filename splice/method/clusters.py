"""k-means: points in groups around their means."""

import torch
from jaxtyping import Float
from torch import Tensor

ROUNDS = 25
"""Of assigning points to centres and centres to points; few pairs change after fifteen."""


def k_means(
    points: Float[Tensor, "points channels"], count: int, random: torch.Generator
) -> Float[Tensor, "count channels"]:
    """Centres of groups of points, by Lloyd's algorithm.

    The first centres are points drawn far from each other (Arthur, Vassilvitskii, "k-means++", 2007).
    A centre that loses all its points stays.

    Args:
        points: to group.
        count: of groups.
        random: on the CPU, as the drawing is, so that every device finds the same.
    """
    first = torch.randint(len(points), (1,), generator=random).to(points.device)
    centres = points[first]
    for _ in range(count - 1):
        far = torch.cdist(points, centres).amin(1).square().double().cpu() + 1e-12
        centres = torch.cat([centres, points[torch.multinomial(far, 1, generator=random)]])
    for _ in range(ROUNDS):
        of = torch.nn.functional.one_hot(nearest_centre(points, centres), count).to(points)
        sizes = of.sum(0)[:, None]
        centres = torch.where(sizes > 0, of.T @ points / sizes.clamp_min(1), centres)
    return centres


def nearest_centre(
    points: Float[Tensor, "points channels"], centres: Float[Tensor, "count channels"]
) -> Tensor:
    """The index of the centre that each point is nearest to."""
    return torch.cdist(points, centres).argmin(1)
