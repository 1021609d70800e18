"""What all layers do with maps: normalise them, and bring numbers of a picture to all places."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def everywhere(numbers: Float[Tensor, "batch channels"]) -> Float[Tensor, "batch channels 1 1"]:
    """Numbers of each picture, as maps that are the same in all places."""
    return numbers[:, :, None, None]


def placewise(
    maps: Float[Tensor, "batch channels rows columns"],
    matrices: Float[Tensor, "batch outputs channels"],
) -> Float[Tensor, "batch outputs rows columns"]:
    """The matrix of each picture times its maps, at every place: a 1×1 convolution of its own."""
    # In the channels-last layout, which the convolutions leave, places are rows of one matrix.
    places = maps.permute(0, 2, 3, 1).flatten(1, 2)
    products = places @ matrices.transpose(1, 2)
    return products.unflatten(1, maps.shape[-2:]).permute(0, 3, 1, 2)


def normalised(
    maps: Float[Tensor, "batch channels rows columns"],
) -> Float[Tensor, "batch channels rows columns"]:
    """Each map of each picture less its mean, over its deviation (instance norm without an affine).

    For a batch of one picture it is the batch norm of the papers. Unlike batch norm it gives a picture
    the same result in every batch, on every number of machines, and when only one is painted. A map of
    a single pixel becomes 0.
    """
    if maps.shape[-2:].numel() == 1:
        return maps - maps
    if maps.device.type == "cpu":
        # Torch's instance norm leaves the channels-last layout there, and its batch norm does not.
        return torch.cat([F.batch_norm(x, None, None, training=True) for x in maps.split(1)])
    return F.instance_norm(maps)
