"""What can be set when a network is trained for a domain: each with its meaning, range and default."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from splice.backbones.registry import DEFAULT_BACKBONE
from splice.errors import InputError
from splice.method.setting_values import Depths, Weight
from splice.method.settings import Section
from splice.running.setting_list import nearest

ConditionName = Literal["cls", "parts", "text"]
CONDITIONS: tuple[ConditionName, ...] = get_args(ConditionName)

LayerName = Literal["concatenation", "attention", "affine", "scbn", "film", "bilinear", "spatial"]
LAYERS: tuple[LayerName, ...] = get_args(LayerName)


TEXT_TERMS = ("words", "sentences", "pictures")
"""Terms that are of the condition text alone."""


class Terms(Section):
    """The weights of the terms that are summed."""

    appearance: Weight = Field(default=1.0, description="[CLS] tokens of the appearance image")
    structure: Weight = Field(default=1.5, description="self-similarity of the structure image")
    identity: Weight = Field(
        default=1.0, description="keys of the appearance image, painted from a disguise"
    )
    pixels: Weight = Field(default=10.0, description="its pixels, painted likewise")
    words: Weight = Field(default=0.1, description="words against regions; of text alone")
    sentences: Weight = Field(default=0.1, description="captions against regions; of text alone")
    pictures: Weight = Field(default=0.1, description="captions against pictures; of text alone")
    contrast: Weight = Field(
        default=0.0, description="paintings under two conditions of one picture, or of two"
    )
    cls_depths: Depths = Field(
        default=(0.25, 0.5, 0.75, 1.0), description="blocks whose [CLS] is compared"
    )


class TextSettings(Section):
    """How captions are understood."""

    width: int = Field(
        default=128, ge=8, le=1024, multiple_of=2, description="of sentences and words"
    )
    steps: int = Field(
        default=600, ge=0, le=1_000_000, description="of learning to read, before painting begins"
    )
    batch: int = Field(default=32, ge=2, le=1024, description="captions in one of these steps")
    learning_rate: float = Field(default=2e-3, gt=0, le=1, description="step size while reading")
    joint: bool = Field(
        default=False, description="go on learning to read while the network learns to paint"
    )


class DomainSettings(Section):
    """Everything that decides what a network learns, besides the pictures."""

    backbone: str = Field(default=DEFAULT_BACKBONE, description="the frozen vision transformer")
    weights: str | None = Field(
        default=None, description="file of its weights, instead of the usual ones"
    )
    condition: ConditionName = Field(default="cls", description="what says the appearance")
    layer: LayerName = Field(default="film", description="how it enters the network")
    size: int = Field(default=128, ge=32, le=1024, description="side of what is painted, in pixels")
    seen: int = Field(
        default=112, ge=32, le=1024, description="side at which the backbone sees it, in pixels"
    )
    steps: int = Field(default=4000, ge=1, le=10_000_000, description="of painting")
    batch: int = Field(
        default=8, ge=2, le=4096, description="pairs in one step, over all processes"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="of everything random")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="of the matrix products while learning"
    )
    held_out: int = Field(
        default=0, ge=0, description="pictures that are not learnt from; previews show them"
    )
    neighbours: int = Field(
        default=50, ge=1, le=10_000, description="near pictures that one is paired with"
    )
    outliers: float = Field(
        default=3.0,
        ge=0,
        le=1000,
        description="deviations beyond which a lonely picture is left out; 0 to keep all",
    )
    parts: int = Field(default=6, ge=1, le=64, description="words of the condition parts")
    parameters: int = Field(
        default=2_000_000, ge=10_000, le=1_000_000_000, description="that the network has, about"
    )
    rank: int = Field(
        default=256,
        ge=0,
        le=4096,
        description="numbers that layers keep of the condition; 0 for all, in bilinear",
    )
    learning_rate: float = Field(default=4e-3, gt=0, le=1, description="step size of Muon")
    warm_up: int = Field(default=100, ge=0, description="steps until the full step size")
    average: float = Field(
        default=0.995, ge=0, lt=1, description="share of the past in the averaged weights"
    )
    previews_every: int = Field(
        default=250, ge=0, description="steps between two previews; 0 for none until the end"
    )
    previews: int = Field(default=4, ge=1, le=16, description="pairs that previews show")
    terms: Terms = Terms()
    text: TextSettings = TextSettings()

    @model_validator(mode="after")
    def _agree(self) -> "DomainSettings":
        if self.seen > self.size * 4:
            raise ValueError(f"seen should be at most four times the size, {4 * self.size}")
        terms = self.terms.model_dump(exclude={"cls_depths"})
        if self.condition != "text":
            terms = {name: value for name, value in terms.items() if name not in TEXT_TERMS}
        if not any(terms.values()):
            raise ValueError(
                "terms.appearance should be above 0, or the weight of another term that counts with "
                f"the condition {self.condition}, else nothing is learnt"
            )
        return self


def domain_settings(changes: Mapping[str, Any]) -> DomainSettings:
    """The default settings with single ones changed.

    Args:
        changes: by the dotted path of a setting (`terms.contrast`), as text or as they are.

    Raises:
        InputError: no such setting or value.
    """
    values: dict[str, Any] = {}
    known = setting_paths()
    for path, value in changes.items():
        if path not in known:
            raise InputError(f"there is no setting {path}{nearest(path, known)}.")
        *sections, name = path.split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = _parts(value) if name == "cls_depths" else value
    try:
        return DomainSettings.model_validate(values)
    except ValidationError as error:
        raise InputError(_explained(error, changes)) from None


def setting_paths() -> dict[str, tuple[Any, str]]:
    """Every setting by its dotted path, with its default and what it means."""
    return _paths(DomainSettings(), "")


def _paths(section: Section, prefix: str) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            found |= _paths(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value, field.description or ""
    return found


def _parts(value: Any) -> Any:
    return value.strip("[]").split(",") if isinstance(value, str) else value


def _explained(error: ValidationError, changes: Mapping[str, Any]) -> str:
    """The first of pydantic's findings, as one sentence."""
    first = error.errors()[0]
    reason = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    path = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    if not path:
        return f"--{reason[0].lower()}{reason[1:].rstrip('.')}."
    option = path.replace("_", "-")
    value = changes.get(path, first["input"])
    return f"--{option} cannot be {value}: {reason[0].lower()}{reason[1:].rstrip('.')}."
