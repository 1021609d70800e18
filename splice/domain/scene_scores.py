"""Counting in a painted scene: has each thing the colour and pattern that was asked for, at its place?

No network is asked. The thresholds tell the patterns of rendered scenes apart (see the tests).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splice.domain.scenes import COLOURS, PATTERNS, WHITE, Scene, Thing, mask_of

INNER, OUTER = 0.8, 1.3
"""Shares of a thing's radius: within, all is surely the thing; beyond, all is surely the ground."""

GREY = 0.15
"""Least saturation (largest less smallest of red, green, blue) of a colour."""

FAR = 0.4
"""Distance in RGB beyond which a colour is none of those that have a name."""

PATTERNED = 0.16
"""Deviation of the share of white above which a thing is not plain."""

STRIPED = 0.5
"""Coherence of the gradients of that share above which a pattern is stripes."""

APART = 0.1
"""Distance in RGB from the ground below which nothing stands out."""


@dataclass(frozen=True)
class SceneScores:
    """Shares over the things of painted scenes.

    Attributes:
        colour: of things that have the colour that was asked for.
        pattern: of things that have the pattern that was asked for.
        overlap: mean intersection over union of things where they are and where they should be.
        things: that were counted.
    """

    colour: float
    pattern: float
    overlap: float
    things: int


CHANCE = SceneScores(1 / len(COLOURS), 1 / len(PATTERNS), 1.0, 0)
"""What painting any colour and any pattern on the right places gives."""


def count_scenes(
    pictures: Sequence[Float[Tensor, "3 size size"]],
    structures: Sequence[Scene],
    asked: Sequence[Scene],
) -> SceneScores:
    """How many things of painted scenes are as they should be.

    Args:
        pictures: the painted ones, in [0, 1].
        structures: the scenes whose things they have.
        asked: the scenes whose look was asked for.
    """
    colours, patterns, overlaps, things = 0, 0, 0.0, 0
    for picture, structure, wanted in zip(pictures, structures, asked, strict=True):
        for thing in structure.things:
            found = colour_of(picture, thing)
            colours += found == wanted.colour
            patterns += pattern_of(picture, thing) == wanted.pattern
            things += 1
        overlaps += overlap(picture, structure)
    if not things:
        raise ValueError("there are no scenes to count in")
    return SceneScores(colours / things, patterns / things, overlaps / len(pictures), things)


def colour_of(picture: Float[Tensor, "3 size size"], thing: Thing) -> str | None:
    """The name of the colour that a thing has: that of its more saturated half; None for grey."""
    mean = _dominant(_pixels(picture, thing))
    if float(mean.max() - mean.min()) < GREY:
        return None
    away = {name: float((mean - torch.tensor(value)).norm()) for name, value in COLOURS.items()}
    name = min(away, key=lambda each: away[each])
    return name if away[name] < FAR else None


def pattern_of(picture: Float[Tensor, "3 size size"], thing: Thing) -> str:
    """The name of the pattern that a thing has.

    Each pixel is told as a share of white over the thing's colour. If that varies little, the thing is
    plain. If its gradients have one direction, which the coherence of their structure tensor says
    (Bigün and Granlund, 1987), it is striped, else spotted.
    """
    inner = mask_of(thing, picture.shape[-1], INNER)
    colour = _dominant(_pixels(picture, thing))
    towards = torch.tensor(WHITE) - colour
    share = ((picture - colour[:, None, None]) * towards[:, None, None]).sum(0)
    share = (share / towards.square().sum().clamp_min(1e-6)).clamp(0, 1)
    if float(share[inner].std()) < PATTERNED:
        return "plain"
    down, across = torch.gradient(share)
    squares = [(a * b)[inner].mean() for a, b in ((down, down), (across, across), (down, across))]
    trace = squares[0] + squares[1]
    apart = ((squares[0] - squares[1]) ** 2 + 4 * squares[2] ** 2).sqrt()
    return "striped" if float(apart / trace.clamp_min(1e-12)) > STRIPED else "spotted"


def overlap(picture: Float[Tensor, "3 size size"], structure: Scene) -> float:
    """Intersection over union of what stands out from the ground and of where things should be.

    A pixel stands out if its distance from the ground's usual colour is at least half of what is usual
    where the things should be. The ground's usual colour is the median far from all things.
    """
    size = picture.shape[-1]
    wanted = _union([mask_of(thing, size) for thing in structure.things])
    ground = ~_union([mask_of(thing, size, OUTER) for thing in structure.things])
    inner = _union([mask_of(thing, size, INNER) for thing in structure.things])
    usual = picture[:, ground].median(1).values
    away = (picture - usual[:, None, None]).norm(dim=0)
    there = away > (away[inner].median() / 2).clamp_min(APART)
    return float((there & wanted).sum() / (there | wanted).sum())


def _pixels(picture: Float[Tensor, "3 size size"], thing: Thing) -> Float[Tensor, "3 pixels"]:
    return picture[:, mask_of(thing, picture.shape[-1], INNER)]


def _dominant(pixels: Float[Tensor, "3 pixels"]) -> Float[Tensor, "3"]:
    saturation = pixels.amax(0) - pixels.amin(0)
    half = saturation.argsort(descending=True)[: max(1, len(saturation) // 2)]
    return pixels[:, half].mean(1)


def _union(masks: Sequence[Bool[Tensor, "size size"]]) -> Bool[Tensor, "size size"]:
    return torch.stack(list(masks)).any(0)
