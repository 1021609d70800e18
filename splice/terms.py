"""The terms of the objective: how much each counts, when, and what else can be set.

What they compute is in `splice.objective`; the defaults are those of the preset `default`.
"""

from typing import Annotated, Any

from pydantic import Field, field_validator

from splice.section import CONSTANT, Fraction, Schedule, Section, factor_at


class Term(Section):
    """One term of the objective: how much it counts, and when."""

    weight: float = Field(
        default=0.0, ge=0, description="how much the term counts; 0 leaves it out"
    )
    schedule: Schedule = Field(default=CONSTANT, description="factors of the weight over the run")
    every: int = Field(
        default=1,
        ge=1,
        description="steps from one to the next with this term, which counts as many times then",
    )
    first: int = Field(default=0, ge=0, description="steps before the first with this term")

    def weight_at(self, progress: float) -> float:
        """The mean weight at a progress of the run in [0, 1]: 0 at its first step, 1 at its end."""
        return self.weight * factor_at(self.schedule, progress)

    def takes(self, step: int) -> int:
        """How many times the term counts at a step, from 0: every n-th one has it n times."""
        past = step - self.first
        return self.every if past >= 0 and past % self.every == 0 else 0


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


class LocalTerm(Term):
    """The local appearance term, on patch tokens."""

    depths: Depths = Field(default=(0.25, 0.5, 0.75), description="blocks whose tokens are matched")
    semantics: float = Field(
        default=1.0, ge=0, description="how much matches must agree in meaning"
    )


class CloseupTerm(Term):
    """Close-ups, whose patch tokens should be those of the parts that correspond."""

    depths: Depths = Field(
        default=(0.25, 0.5, 0.75), description="blocks whose tokens are compared"
    )
    smallest: float = Field(
        default=0.35,
        gt=0,
        le=1,
        description="smallest side of a close-up, of the view's short side",
    )
    largest: float = Field(
        default=0.6,
        gt=0,
        le=1,
        validate_default=True,
        description="largest side of a close-up, of the view's short side",
    )

    @field_validator("largest")
    @classmethod
    def _at_least_the_smallest(cls, largest: float, others: Any) -> float:
        smallest = others.data.get("smallest", 0.0)
        if largest < smallest:
            raise ValueError(f"it should be at least closeups.smallest, which is {smallest:g}")
        return largest


class EdgeTerm(Term):
    """The structure image's outlines, which the output must let one read."""

    scales: Scales = (1.0, 2.0)
    radius: int = Field(default=3, ge=1, le=64, description="of the windows, in pixels")
    contrast: float = Field(
        default=0.03,
        gt=0,
        le=1,
        description="deviation of brightness at which an outline counts half",
    )


class ColourTerm(Term):
    """The colour target."""

    cells: int = Field(
        default=16,
        ge=1,
        le=256,
        description="parts along each side whose mean colours are compared",
    )


class DetailTerm(Term):
    """How strong detail is, in every part and at every scale."""

    scales: Scales = (1.0, 2.0, 4.0)
    cells: int = Field(
        default=16,
        ge=1,
        le=256,
        description="parts along the short side whose strength of detail is compared",
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
    appearance: ClassTokenTerm = ClassTokenTerm(weight=3.0, every=2)
    structure: Term = Term(weight=3.0, every=2)
    identity: Term = Term(weight=0.0)
    pixel_identity: PixelIdentityTerm = PixelIdentityTerm(
        weight=0.0, recolour=1.3, contrast=0.3, tint=0.1, every=2, schedule=((0.0, 1.0), (1.0, 0.0))
    )
    local: LocalTerm = LocalTerm(weight=0.0, every=2)
    closeups: CloseupTerm = CloseupTerm(weight=2.0, every=2, first=1)
    edges: EdgeTerm = EdgeTerm(weight=2.0)
    colour: ColourTerm = ColourTerm(weight=0.0, cells=128, schedule=((0.0, 1.0), (0.5, 0.0)))
    chroma: ColourTerm = ColourTerm(weight=0.0, cells=32)
    detail: DetailTerm = DetailTerm(weight=2.0)
    patches: PatchTerm = PatchTerm(weight=0.0, schedule=((0.0, 1.0), (0.5, 1.0), (1.0, 0.4)))
