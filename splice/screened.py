"""A picture from its gradients: what lies side by side in it no longer shows where it was joined."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def gradients(maps: Float[Tensor, "n maps rows columns"]) -> Float[Tensor, "n 2*maps rows columns"]:
    """Differences to the next pixel on the right, and then to the one below; 0 at the border."""
    right = F.pad(maps[..., 1:] - maps[..., :-1], (0, 1))
    below = F.pad(maps[..., 1:, :] - maps[..., :-1, :], (0, 0, 0, 1))
    return torch.cat([right, below], 1)


def joined(
    colours: Float[Tensor, "1 maps rows columns"],
    wanted: Float[Tensor, "1 2*maps rows columns"],
    reach: float,
) -> Float[Tensor, "1 maps rows columns"]:
    """The x with the least Σ (x - colours)² / reach² + (gradients of x - wanted)².

    Steps that are in the colours and not in the gradients are spread over about `reach` pixels. The
    equation is solved by cosines, as reflected pictures have no border (Bhat, Curless, Cohen,
    Zitnick, "Fourier Analysis of the 2D Screened Poisson Equation for Gradient Domain Problems", 2008).

    Args:
        colours: of which x stays near.
        wanted: gradients as of `gradients`.
        reach: in pixels.
    """
    rows, columns = colours.shape[-2:]
    right, below = wanted.chunk(2, 1)
    right, below = F.pad(right[..., :-1], (1, 1)), F.pad(below[..., :-1, :], (0, 0, 1, 1))
    divergence = right.diff(dim=-1) + below.diff(dim=-2)
    given = colours / reach**2 - divergence
    given = torch.cat([given, given.flip(-1)], -1)
    given = torch.cat([given, given.flip(-2)], -2)
    down, across = (
        2 - 2 * torch.cos(torch.pi * torch.arange(n, device=colours.device) / side)
        for n, side in ((2 * rows, rows), (columns + 1, columns))
    )
    stiffness = 1 / reach**2 + down[:, None] + across
    found = torch.fft.irfft2(torch.fft.rfft2(given) / stiffness, s=given.shape[-2:])
    return found[..., :rows, :columns]
