"""The terms on patches: each looks like a patch of the appearance image that means the same."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.features import Features
from splice.method import objective
from splice.method.looks import Look
from splice.method.strength import colour_between, nearest_between
from splice.method.wanted import Shown, mean_colours

MEANING = 0.28
"""How much likeness in meaning counts beside looks when tokens are matched."""


@dataclass(frozen=True)
class Answers:
    """Which patches may answer to which, and how much.

    Attributes:
        likeness: in meaning, of the patches that a look sees and those of the appearance image.
        counts: how much each that is seen counts.
        mass: how much each of the appearance image counts.
    """

    likeness: Float[Tensor, "patches others"]
    counts: Float[Tensor, " patches"]
    mass: Float[Tensor, " others"]

    @staticmethod
    def of(
        look: Look,
        likeness: Float[Tensor, "structure_patches others"],
        counts: Float[Tensor, " structure_patches"],
        matches: Float[Tensor, "structure_patches others"],
        masked: bool,
    ) -> "Answers":
        """The answers for the patches that a look sees.

        Args:
            look: how the output is looked at.
            likeness: of the structure image's patches and those of the appearance image.
            counts: how much each of the first counts.
            matches: how much each of the first wants each of the second.
            masked: whether some count nothing, which then answer to nothing.
        """
        likeness, counts = likeness[look.patches], counts[look.patches]
        if masked:
            likeness = likeness.masked_fill(counts[:, None] == 0, -torch.inf)
        return Answers(likeness, counts, (counts[:, None] * matches[look.patches]).sum(0))


def patch_terms(
    seen: Features,
    output: Float[Tensor, "1 3 rows columns"],
    look: Look,
    shown: Shown,
    answers: Answers,
    strength: float,
) -> dict[str, Float[Tensor, ""]]:
    """The terms "nearest" on tokens and "colour" on the mean colours of the patches matched so.

    Args:
        seen: what the transformer sees of the output in a look.
        output: what it looks at, in [0, 1].
        look: what the structure image has there.
        shown: what the appearance image's patches show at the look's size.
        answers: which may answer to which.
        strength: how far what is wanted lies from the structure image, in [0, 1].
    """
    colours, counts, mass = mean_colours(output, seen.grid), answers.counts, answers.mass
    looks, hues = [], []
    for block, tokens in shown.tokens.items():
        ours = seen.tokens[block][0].float()
        costs = objective.token_costs(ours, tokens)
        nearest = objective.nearest_tokens(costs, answers.likeness, MEANING)
        if strength == 1:
            looks.append(objective.nearest_term(costs, nearest, counts, mass))
            hues.append(objective.colour_term(colours, shown.colours, nearest, counts, mass))
            continue
        rest = nearest, counts, mass, strength
        looks.append(nearest_between(ours, look.tokens[block], tokens, *rest))
        hues.append(colour_between(colours, look.colours, shown.colours, *rest))
    return {"nearest": torch.stack(looks).mean(), "colour": torch.stack(hues).mean()}
