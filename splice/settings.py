"""What can be set: every setting with its meaning, range and default, validated.

The defaults here are the preset `default`; the other presets are the files in `configs/`, which
`splice.presets` reads. A new setting is one line: a field with its default, range and
description is at once a key of presets, an option of the command and a row of the list of settings.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from splice.backbones import DEFAULT_BACKBONE, find_backbone
from splice.section import Fraction, Schedule, Section
from splice.terms import Depths, Objective

MIN_SIZE, MAX_SIZE = 32, 2160


class Meaning(Section):
    """How the meaning of pixels and patches is found, once for each pair."""

    short_side: int = Field(default=448, ge=32, le=2048, description="at which keys are taken")
    long_side: int = Field(default=1344, ge=32, le=4096, description="longest long side for keys")
    channels: int = Field(default=32, ge=1, le=384, description="channels of the codes")
    radius: int = Field(
        default=8, ge=0, le=256, description="of the window that brings codes to edges, in pixels"
    )
    tolerance: float = Field(
        default=1e-3, gt=0, description="variance of colour below which a window is flat"
    )
    temperature: float = Field(
        default=0.02, gt=0, description="of the softmax over corresponding patches"
    )
    breadth: float = Field(
        default=0.02, gt=0, description="of the softmax over parts whose mean colours count"
    )
    depths: Depths = Field(
        default=(0.75, 0.92, 1.0),
        description="blocks whose keys say what corresponds, in fractions of the backbone's depth",
    )
    around: int = Field(
        default=1,
        ge=0,
        le=8,
        description="patches in each direction whose matches must agree with a patch's own",
    )
    reach: float = Field(
        default=0.05,
        ge=0,
        le=2,
        description="similarity that a match may give up so that all of the appearance image is used",
    )
    stretch: float = Field(
        default=0.1,
        ge=0,
        le=4,
        description="similarity that it costs to stretch a piece of the appearance image by a patch",
    )
    tear: float = Field(
        default=0.2,
        ge=0,
        le=4,
        description="similarity that it costs, at the most, to tear it between two patches",
    )


class Views(Section):
    """The random views of both images that a step works on."""

    crop: float = Field(
        default=0.9, gt=0, le=1, description="smallest side of a crop, of the height"
    )
    flip: Fraction = Field(default=0.5, description="probability of a mirrored view")
    jitter: Fraction = Field(
        default=0.0, description="probability of other colours, structure image only"
    )
    brightness: Fraction = Field(default=0.4, description="range of the colour jitter's brightness")
    contrast: Fraction = Field(default=0.4, description="range of the colour jitter's contrast")
    saturation: Fraction = Field(default=0.2, description="range of the colour jitter's saturation")
    hue: float = Field(
        default=0.1, ge=0, le=0.5, description="range of the colour jitter's hue, in turns"
    )
    blur: Fraction = Field(
        default=0.0, description="probability of a blurred view, structure image only"
    )
    largest: int = Field(
        default=MAX_SIZE,
        ge=32,
        le=MAX_SIZE,
        description="most pixels along a view; small parts of a large picture take less memory, and "
        "match worse",
    )
    pool: int = Field(
        default=16,
        ge=0,
        description="views of each picture that are drawn once and used again; 0 for fresh ones",
    )
    entire_every: int = Field(
        default=0, ge=0, description="steps between two with the entire pair as well; 0 for never"
    )


class GeneratorSettings(Section):
    """The network that paints the output."""

    input: Literal["image", "semantic"] = Field(
        default="semantic",
        description="what it sees: the image alone, or the keys of its patches as well",
    )
    noise: int = Field(
        default=6,
        ge=0,
        le=8,
        description="octaves of fixed noise beside the semantic input, to make texture from",
    )
    noise_level: float = Field(
        default=0.3, ge=0, le=10, description="deviation of that noise; codes have 1"
    )
    collage: float = Field(
        default=4.0,
        ge=0,
        le=100,
        description="factor of the collage's colours beside the semantic input, whose codes have "
        "deviation 1; 0 leaves it out",
    )
    underpainting: int = Field(
        default=20,
        ge=0,
        le=64,
        description="radius, in pixels of a picture with a short side of 256, of what counts as "
        "detail in the layer that the semantic generator paints over; 0 for no such layer",
    )
    skip: int = Field(default=8, ge=1, le=128, description="channels of each skip connection")
    start: Literal["paper", "rectifier"] = Field(
        default="rectifier", description="how the first weights are drawn"
    )
    average: float = Field(
        default=0.98,
        ge=0,
        lt=1,
        description="share of the past in the averaged weights; 0 for none",
    )

    @property
    def underpainted(self) -> bool:
        """Whether the generator paints over an underpainting."""
        return self.input == "semantic" and self.underpainting > 0


class Optimiser(Section):
    """Adam, by which the generator learns."""

    learning_rate: float = Field(default=2e-3, gt=0, le=1, description="step size")
    schedule: Schedule = Field(
        default=((0.0, 0.1), (0.03, 1.0), (0.6, 1.0), (1.0, 0.05)),
        description="factors of the step size over the run",
    )
    beta1: float = Field(default=0.5, ge=0, lt=1, description="decay of the gradient's mean")
    beta2: float = Field(default=0.99, ge=0, lt=1, description="decay of the gradient's square")


class Seen(Section):
    """The size at which the backbone sees a picture."""

    short_side: int = Field(default=224, ge=32, le=1024, description="short side, in pixels")
    long_side: int = Field(default=480, ge=32, le=4096, description="longest long side, in pixels")


def _size(value: Any) -> Any:
    if value == "auto":
        return value
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f"it should be pixels, {MIN_SIZE} to {MAX_SIZE}, or auto")
    if not MIN_SIZE <= int(text) <= MAX_SIZE:
        raise ValueError(f"it should be from {MIN_SIZE} to {MAX_SIZE}, or auto")
    return int(text)


Size = Annotated[int | Literal["auto"], BeforeValidator(_size)]


class Settings(Section):
    """Everything that decides what a run paints, besides the two pictures."""

    backbone: str = Field(default=DEFAULT_BACKBONE, description="the frozen vision transformer")
    weights: str | None = Field(
        default=None, description="file of its weights, instead of the usual ones"
    )
    size: Size = Field(
        default=256, description="short side of the output, at most the structure image's"
    )
    steps: int = Field(default=150, ge=1, le=1_000_000, description="steps of the optimisation")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of everything random")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="of the matrix products"
    )
    compiled: bool = Field(
        default=False,
        description="compile transformer and generator first, for a GPU; slower than plain on a CPU",
    )
    seen: Seen = Seen()
    meaning: Meaning = Meaning()
    views: Views = Views()
    generator: GeneratorSettings = GeneratorSettings()
    objective: Objective = Objective()
    optimiser: Optimiser = Optimiser()

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        # Names of timm's are looked up when the model is made: asking timm takes seconds.
        if not re.fullmatch(r"timm:[\w.\-]+", name):
            find_backbone(name)
        return name

    @field_validator("device")
    @classmethod
    def _device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", device):
            raise ValueError("it should be auto, cpu, cuda, cuda:1 (or another number) or mps")
        return device
