"""What can be set: every setting with its meaning, range and default, validated.

The defaults here are the preset `default`; the other presets are the files in `configs/`, which
`splice.presets` reads. A new setting is one line: a field with its default, range and
description is at once a key of presets, an option of the command and a row of the list of settings.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from splice.backbones import DEFAULT_BACKBONE, find_backbone

MIN_SIZE, MAX_SIZE = 32, 2160


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the changes laid over it, sections within sections as well."""
    result = {**base, **changes}
    for name in base.keys() & changes.keys():
        if isinstance(base[name], Mapping) and isinstance(changes[name], Mapping):
            result[name] = merged(base[name], changes[name])
    return result


class Section(BaseModel):
    """A group of settings: frozen, and deaf to names that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """A section given in part keeps the rest of its default here, not of its class."""
        if not isinstance(values, dict):
            return values
        defaults = {
            name: field.default.model_dump()
            for name, field in cls.model_fields.items()
            if isinstance(field.default, Section)
        }
        return merged({name: defaults[name] for name in values if name in defaults}, values)


def _rising(knots: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    progress = [knot[0] for knot in knots]
    if progress != sorted(set(progress)):
        raise ValueError("it should be pairs [progress, factor] in the order of rising progress")
    return knots


Fraction = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0)]
Schedule = Annotated[
    tuple[tuple[Fraction, Factor], ...], Field(min_length=1), AfterValidator(_rising)
]
"""Knots (progress of the run in [0, 1], factor), joined by straight lines, constant outside."""

CONSTANT: Schedule = ((0.0, 1.0),)


def factor_at(schedule: Schedule, progress: float) -> float:
    """The schedule's factor at a progress of the run in [0, 1]."""
    (start, factor), *later = schedule
    for end, next_factor in later:
        if progress < end:
            share = max(0.0, progress - start) / (end - start)
            return factor + share * (next_factor - factor)
        start, factor = end, next_factor
    return factor


class Term(Section):
    """One term of the objective: how much it counts, and when."""

    weight: float = Field(
        default=0.0, ge=0, description="how much the term counts; 0 leaves it out"
    )
    schedule: Schedule = Field(default=CONSTANT, description="factors of the weight over the run")

    def weight_at(self, progress: float) -> float:
        """The weight at a progress of the run in [0, 1]: 0 at its first step, 1 at its end."""
        return self.weight * factor_at(self.schedule, progress)


Depths = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
"""Blocks as fractions of a backbone's depth, 1 being the deepest."""


Scales = Annotated[
    tuple[Annotated[float, Field(ge=1, le=64)], ...],
    Field(
        min_length=1,
        description="how many times smaller the pictures are made, of a short side of 256 pixels",
    ),
]
"""Sizes at which a term on pixels looks, see `splice.scales`."""


class ClassTokenTerm(Term):
    """The appearance term, on [CLS] tokens."""

    depths: Depths = Field(
        default=(0.25, 0.5, 0.75, 1.0), description="blocks whose [CLS] is compared"
    )


class PixelIdentityTerm(Term):
    """The pixel identity, or the restoration of the appearance image from other colours."""

    recolour: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="how far the generator's input goes, at most, from the appearance image "
        "towards the structure image's colours; 0 gives it the appearance image itself",
    )
    contrast: Fraction = Field(default=0.0, description="range of random contrast of that input")
    tint: Fraction = Field(default=0.0, description="range of a random tint of that input")
    every: int = Field(default=1, ge=1, description="steps from one to the next with this term")


class LocalTerm(Term):
    """The local appearance term, on patch tokens."""

    depths: Depths = Field(default=(0.25, 0.5, 0.75), description="blocks whose tokens are matched")
    semantics: float = Field(
        default=1.0, ge=0, description="how much matches must agree in meaning"
    )


class EdgeTerm(Term):
    """The structure image's detail, which the output must let one read."""

    scales: Scales = (1.0, 2.0)
    radius: int = Field(default=3, ge=1, le=64, description="of the windows, in pixels")
    contrast: float = Field(
        default=0.03,
        gt=0,
        le=1,
        description="deviation at which detail counts half where no texture is to come",
    )


class ColourTerm(Term):
    """The colour target."""

    cells: int = Field(
        default=16,
        ge=1,
        le=256,
        description="parts along each side whose mean colours are compared",
    )


class PatchTerm(Term):
    """The distribution of small patches of pixels, within parts of the same meaning."""

    scales: Scales = (1.0, 2.0, 4.0)
    side: int = Field(default=7, ge=1, le=31, description="pixels along a patch; odd")
    samples: int = Field(
        default=2048, ge=16, le=65536, description="patches compared at each scale"
    )
    projections: int = Field(
        default=32, ge=1, le=4096, description="random directions at each scale"
    )
    semantics: float = Field(
        default=1.0, ge=0, description="how much meaning separates patches of the same look"
    )
    alike: float = Field(
        default=0.5,
        ge=-1,
        le=1,
        description="likeness in meaning (a cosine) of patches that make a part, which is compared by "
        "itself; 1 for no parts",
    )
    window: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="smallest side of the part of the view that is compared at a time",
    )


class Objective(Section):
    """The terms that are summed."""

    calibrated: bool = Field(
        default=True,
        description="divide terms on features by their value between the two input images",
    )
    appearance: ClassTokenTerm = ClassTokenTerm(weight=2.0)
    structure: Term = Term(weight=1.0)
    identity: Term = Term(weight=0.0)
    pixel_identity: PixelIdentityTerm = PixelIdentityTerm(
        weight=2.0, recolour=1.3, contrast=0.3, tint=0.1, every=2, schedule=((0.0, 1.0), (1.0, 0.0))
    )
    local: LocalTerm = LocalTerm(weight=1.0)
    edges: EdgeTerm = EdgeTerm(weight=3.0)
    colour: ColourTerm = ColourTerm(weight=3.0, schedule=((0.0, 1.0), (0.5, 0.0)))
    chroma: ColourTerm = ColourTerm(weight=4.0, cells=32)
    patches: PatchTerm = PatchTerm(weight=15.0, schedule=((0.0, 1.0), (0.5, 1.0), (1.0, 0.4)))


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
    light: float = Field(
        default=0.2,
        ge=0,
        le=2,
        description="similarity that patches lose, at most, for another place in the order of light, "
        "so that light is matched with light",
    )
    reach: float = Field(
        default=0.05,
        ge=0,
        le=2,
        description="similarity that a match may give up so that all of the appearance image is used",
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
    steps: int = Field(default=600, ge=1, le=1_000_000, description="steps of the optimisation")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of everything random")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="of the matrix products"
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
