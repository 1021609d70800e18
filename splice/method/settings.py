"""What can be set: every setting with its meaning, range and default, validated.

The defaults here are the preset `default`; the other presets are the files in `configs/`, which
`splice.running.presets` reads. A new setting is one line: a field with its default, range and
description is at once a key of presets, an option of the command and a row of the list of settings.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from splice.backbones.registry import DEFAULT_BACKBONE, find_backbone
from splice.method.setting_values import (
    MAX_SIZE,
    STEPS,
    STEPS_SIDE,
    Bits,
    Depths,
    Fraction,
    Schedule,
    Size,
    Steps,
    Weight,
)


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


PAPER_TERMS = ("appearance", "structure", "identity")
PAINTING_TERMS = (
    "appearance",
    "structure",
    "nearest",
    "colour",
    "edges",
    "gamut",
    "palette",
    "identity",
)


class Meaning(Section):
    """How the meaning of pixels and patches is found, once for each pair."""

    short_side: int = Field(
        default=448, ge=32, le=2048, description="at which both pictures are seen, in pixels"
    )
    depths: Depths = Field(
        default=(0.75, 0.83, 0.92, 1.0),
        description="blocks whose tokens say what corresponds, in fractions of the backbone's depth",
    )
    channels: int = Field(default=32, ge=1, le=384, description="channels of the codes")


class Tones(Section):
    """The tone map, which is the first picture."""

    parts: int = Field(default=48, ge=1, le=256, description="parts, each with a map of its own")
    softness: float = Field(
        default=0.5, gt=0, le=10, description="how far parts reach into each other"
    )
    temperature: float = Field(
        default=0.043,
        gt=0,
        le=10,
        description="of the softmax over likeness that says where a part's colours come from",
    )
    strongest: float = Field(
        default=3.0, ge=1, le=100, description="most that a part's contrast is strengthened"
    )


class Seen(Section):
    """When the backbone sees the output, and how large."""

    short_side: int = Field(default=336, ge=32, le=1024, description="short side, in pixels")
    since: Fraction = Field(
        default=0.4,
        description="share of the steps in which the output is not seen yet: the generator learns to "
        "paint the appearance image",
    )


class GeneratorSettings(Section):
    """The network that paints the output."""

    skip: int = Field(default=8, ge=1, le=128, description="channels of each skip connection")
    average: float = Field(
        default=0.98,
        ge=0,
        lt=1,
        description="share of the past in the averaged weights; 0 for none",
    )


class Objective(Section):
    """The weights of the terms that are summed, and what they look at."""

    appearance: Weight = Field(default=1.0, description="[CLS] tokens of the appearance image")
    structure: Weight = Field(default=1.5, description="self-similarity of the structure image")
    identity: Weight = Field(
        default=5.0,
        description="the appearance image, painted from its own meaning (paper: its keys)",
    )
    nearest: Weight = Field(
        default=5.0, description="patch tokens, each like the nearest of the appearance image's"
    )
    colour: Weight = Field(default=2.0, description="mean colours of the patches matched so")
    edges: Weight = Field(default=1.5, description="outlines of the structure image")
    gamut: Weight = Field(default=40.0, description="colours that the appearance image has")
    palette: Weight = Field(default=2.5, description="colours of each part, as often as they occur")
    cls_depths: Depths = Field(
        default=(0.25, 0.5, 0.75, 1.0), description="blocks whose [CLS] is compared"
    )
    token_depths: Depths = Field(
        default=(0.25, 0.5, 0.75), description="blocks whose patch tokens are matched"
    )
    evenness: Fraction = Field(
        default=0.7, description="how far small parts count as much as large ones"
    )


class Optimiser(Section):
    """Muon, or in the published method Adam, by which the generator learns."""

    learning_rate: float = Field(default=4e-3, gt=0, le=1, description="step size")
    schedule: Schedule = Field(
        default=((0.0, 0.1), (0.02, 1.0), (0.4, 1.0), (1.0, 0.03)),
        description="factors of the step size over the run",
    )
    beta1: float = Field(
        default=0.5, ge=0, lt=1, description="decay of the gradient's mean, in Adam"
    )


class Settings(Section):
    """Everything that decides what a run paints, besides the two pictures."""

    backbone: str = Field(default=DEFAULT_BACKBONE, description="the frozen vision transformer")
    weights: str | None = Field(
        default=None, description="file of its weights, instead of the usual ones"
    )
    method: Literal["painting", "paper"] = Field(
        default="painting",
        description="paint from meaning and detail, seen as a whole, or the published method",
    )
    size: Size = Field(
        default=MAX_SIZE, description="short side of the output, at most the structure image's"
    )
    painted: int = Field(
        default=512,
        ge=32,
        le=1024,
        description="short side of what the generator paints, at most the output's, which is made "
        "of it with the photograph's own grain",
    )
    strength: Fraction = Field(
        default=1.0,
        description="how far the output is from the structure image (0) to the full transfer (1)",
    )
    keep_background: bool = Field(
        default=False,
        description="paint only what stands out, unless there is a mask",
    )
    look_weights: tuple[Weight, ...] = Field(
        default=(),
        description="how readily each appearance image is taken; 0 leaves it out",
    )
    steps: Steps = Field(
        default="auto",
        description=f"steps of the optimisation; 0 for tones alone; auto for {STEPS} where at most "
        f"{STEPS_SIDE} × {STEPS_SIDE} pixels are painted, and fewer where more are",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="of everything random")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="of the matrix products"
    )
    depth: Bits = Field(
        default=8, description="bits of each value in the output's file; 16 for a PNG alone"
    )
    compiled: bool = Field(
        default=False,
        description="compile transformer and generator first, for a GPU; slower than plain on a CPU",
    )
    seen: Seen = Seen()
    meaning: Meaning = Meaning()
    tones: Tones = Tones()
    generator: GeneratorSettings = GeneratorSettings()
    objective: Objective = Objective()
    optimiser: Optimiser = Optimiser()

    @property
    def step_count(self) -> int:
        """The steps; where they are `auto`, the most that this can mean."""
        return STEPS if self.steps == "auto" else self.steps

    def settled(self, height: int, width: int) -> "Settings":
        """The same settings with a number of steps.

        Args:
            height: of the structure image, in pixels.
            width: likewise.
        """
        if self.steps != "auto":
            return self
        short, long = sorted((height, width))
        painted = short if self.method == "paper" else self.painted
        side = min(painted, short, short if self.size == "auto" else self.size)
        share = min(1.0, STEPS_SIDE**2 / (side * side * long / short))
        return self.model_copy(update={"steps": max(1, round(STEPS * share))})

    @model_validator(mode="after")
    def _has_its_terms(self) -> "Settings":
        for name in PAINTING_TERMS:
            absent = self.method == "paper" and name not in PAPER_TERMS
            if absent and getattr(self.objective, name):
                raise ValueError(
                    f"objective.{name} should be 0 with method paper, which has no such term"
                )
        if self.method == "paper" and self.strength < 1:
            raise ValueError("strength should be 1 with method paper, which has no other")
        if self.method == "paper" and self.keep_background:
            raise ValueError(
                "keep_background should be false with method paper, which has no masks"
            )
        if self.look_weights and not any(self.look_weights):
            raise ValueError("look_weights should have a number above 0")
        return self

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
