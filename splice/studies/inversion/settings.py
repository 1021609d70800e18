"""What an inversion of features can be told, and the presets that tell it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator

from splice.backbones.registry import DEFAULT_BACKBONE
from splice.errors import InputError
from splice.method.settings import Section
from splice.running.presets import preset_folder, read_preset
from splice.running.setting_list import nearest

Feature = Literal["cls", "keys", "tokens", "self-similarity"]
FEATURES: tuple[Feature, ...] = get_args(Feature)
INVERSION_PRESETS = ("inversion-quick", "inversion")
"""Names of the presets in `configs/` that are about inversion, the command's default first."""


class NoiseStage(Section):
    """A stretch of the run through which fresh noise of one deviation is added to the input.

    Attributes:
        until: share of the steps after which the stage ends.
        deviation: of the noise; that of the fixed input is 1.
    """

    until: float = Field(gt=0, le=1)
    deviation: float = Field(ge=0)


PAPER_NOISE = (
    NoiseStage(until=0.5, deviation=10.0),
    NoiseStage(until=0.75, deviation=2.0),
    NoiseStage(until=1.0, deviation=0.5),
)


class InversionSettings(Section):
    """Everything that decides what an inversion draws; the defaults are the paper's.

    Attributes:
        backbone: whose features are inverted. How the command loads it is said by this and the
            next three; the functions take one that is loaded.
        weights: file of its weights, instead of the usual ones.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: of the matrix products; the networks' weights stay in fp32.
        feature: `cls`, `keys` (with the [CLS] key), `tokens` (of the patches) or `self-similarity`
            (of the keys, [CLS] included).
        blocks: from 1; "all", or "deepest".
        seeds: inversions of each target, from different networks and noise.
        seed: of the first of them; the others count on.
        steps: updates of the networks.
        learning_rate: of Adam.
        decay: share of the steps, at the end, over which the learning rate falls to nothing along a
            half cosine.
        size: short side in pixels of what the ViT sees and the network draws, rounded to patches.
        noise: stages of fresh input noise, used for [CLS] targets alone.
        frames: pictures kept for the time lapse.
    """

    backbone: str = DEFAULT_BACKBONE
    weights: str | None = None
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    feature: Feature = "keys"
    blocks: tuple[Annotated[int, Field(ge=1)], ...] | Literal["all", "deepest"] = "deepest"
    seeds: int = Field(default=1, ge=1, le=1000)
    seed: int = Field(default=0, ge=0, lt=2**32)
    steps: int = Field(default=20_000, ge=1, le=1_000_000)
    learning_rate: float = Field(default=1e-2, gt=0, le=1)
    decay: float = Field(default=0.0, ge=0, le=1)
    size: int = Field(default=224, ge=80, le=1024)
    noise: tuple[NoiseStage, ...] = PAPER_NOISE
    frames: int = Field(default=40, ge=0, le=1000)

    @field_validator("noise")
    @classmethod
    def _stages_follow(cls, stages: tuple[NoiseStage, ...]) -> tuple[NoiseStage, ...]:
        ends = [stage.until for stage in stages]
        if ends != sorted(set(ends)):
            raise ValueError("it should be stages in the order of rising 'until'")
        return stages

    def noise_deviation(self, step: int) -> float:
        """Deviation of the fresh noise of a step, counted from 0; 0 but for [CLS] targets.

        Source: Tumanyan et al. (CVPR 2022), section 3.2: 10 until half of the steps, 2 until three
        quarters, then 0.5.
        """
        if self.feature != "cls":
            return 0.0
        for stage in self.noise:
            if step < stage.until * self.steps:
                return stage.deviation
        return 0.0

    def depends_on_length(self) -> bool:
        """Whether another number of steps changes what the steps in common do."""
        return self.decay > 0 or (self.feature == "cls" and bool(self.noise))


def load_inversion_preset(
    preset: str | Path = INVERSION_PRESETS[0], changes: Mapping[str, Any] | None = None
) -> InversionSettings:
    """The settings of a preset, with single ones changed.

    Args:
        preset: `inversion-quick` (minutes on a CPU), `inversion` (the paper's schedule), or a YAML
            file; what a file leaves out is as in the paper.
        changes: values by the name of the setting, as text or as they are.

    Raises:
        InputError: no such preset, setting or value, with what would be right.
    """
    file = _file(preset)
    values = read_preset(file)
    changes = dict(changes or {})
    try:
        return InversionSettings.model_validate({**values, **changes})
    except ValidationError as error:
        raise InputError(_explained(error, changes, file)) from None


def _file(preset: str | Path) -> Path:
    if preset in INVERSION_PRESETS:
        return preset_folder() / f"{preset}.yaml"
    path = Path(preset).expanduser()
    if path.suffix.lower() in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    raise InputError(
        f"there is no preset {preset} for inversion{nearest(str(preset), INVERSION_PRESETS)}; "
        f"there are {' and '.join(INVERSION_PRESETS)}, or give a YAML file."
    )


def _explained(error: ValidationError, changes: Mapping[str, Any], file: Path) -> str:
    """The first of pydantic's findings, as one sentence."""
    first = error.errors()[0]
    name, value = str(first["loc"][0]), first["input"]
    known = list(InversionSettings.model_fields)
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        near = nearest(name, known)
        return f"{file}: there is no setting {name}{near}; there are {', '.join(known)}."
    option = {"blocks": "block"}.get(name, name).replace("_", "-")
    where = f"--{option}" if name in changes else f"{file}: {name}"
    if name == "feature":
        close = nearest(str(value), FEATURES)
        return (
            f"{where}: there is no feature {value}{close}; the choices are {', '.join(FEATURES)}."
        )
    if name == "blocks":
        return f"{where}: a block is a number from 1, or all, or deepest."
    reason = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    return f"{where} cannot be {value}: {reason[0].lower()}{reason[1:].rstrip('.')}."
