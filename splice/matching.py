"""Which parts of the appearance image the parts of the structure image take their look from."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

BALANCING_ROUNDS = 60
"""Enough for the shares to settle within a thousandth, on the mean."""

LARGEST_POWER = 20
"""Up to this power of e, columns are balanced by products, which take a tenth of the time of sums of
exponentials."""


def matching(
    similarity: Float[Tensor, "patches others"], temperature: float, reach: float = 0.0
) -> Float[Tensor, "patches others"]:
    """How likely each patch's look comes from each patch of the other picture: rows sum to 1.

    Without reach this is a softmax. With it, patches of the other picture that many would take become
    less alike to all, and those that few would take more alike, by `reach` at the most, until all are
    taken equally or the reach is exhausted. An eye is still matched with an eye, however large: only
    what is about as much alike is shared out. This is unbalanced optimal transport whose column sums
    cost `reach` per unit of difference from equal shares (Chizat et al., "Scaling algorithms for
    unbalanced optimal transport problems", 2018, table 1, total variation).

    Args:
        similarity: of patches in meaning, such as the cosine of keys.
        temperature: of the softmax.
        reach: how much similarity is given up, at the most, for equal shares; 0 for none.
    """
    return ((similarity + shared_out(similarity, temperature, reach)) / temperature).softmax(-1)


def shared_out(
    similarity: Float[Tensor, "patches others"], temperature: float, reach: float
) -> Float[Tensor, " others"]:
    """What `matching` adds to each column of similarities: `balance`, from zeros until it settles."""
    return balance(
        similarity, temperature, reach, torch.zeros_like(similarity[0]), BALANCING_ROUNDS
    )


def balance(
    similarity: Float[Tensor, "patches others"],
    temperature: float,
    reach: float,
    given_up: Float[Tensor, " others"],
    rounds: int,
) -> Float[Tensor, " others"]:
    """What to add to each column of similarities so that all are taken equally, see `matching`.

    Args:
        similarity: of patches in meaning.
        temperature: of the softmax over each row.
        reach: most that is added or taken away.
        given_up: where to start, such as zeros.
        rounds: of the iteration; each sets every column right for what the others are.
    """
    if reach == 0:
        return torch.zeros_like(given_up)
    logits, column, most = similarity / temperature, given_up / temperature, reach / temperature
    share = math.log(logits.shape[0] / logits.shape[1])
    bounded = most <= LARGEST_POWER
    kernel = (logits - logits.amax(1, keepdim=True)).exp() if bounded else None
    for _ in range(rounds):
        if kernel is not None:
            # What is too small for the kernel is too small for any column to come to count.
            taken = (kernel.T @ (kernel @ column.exp()).reciprocal()).log()
        else:
            row = torch.logsumexp(logits + column, 1, keepdim=True)
            taken = torch.logsumexp(logits - row, 0)
        column = (share - taken).clamp(-most, most)
    return column * temperature
