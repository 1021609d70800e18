"""How large the parts of the GPU benchmark are: as users run Splice, or tiny, to rehearse them."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
GIB = 2**30


@dataclass(frozen=True)
class Scale:
    """Sizes and numbers.

    Attributes:
        device: to measure.
        changes: of the settings of every run, by the name of a setting.
        steps: of a timed run of the published method.
        fine: backbone whose speed is measured, with random weights.
        pairs: worked on at once.
        rounds: of measurements of single steps.
        sizes: tried for the largest that fits, falling.
        limit: bytes that it is to fit into.
    """

    device: str
    changes: dict[str, Any]
    steps: int
    fine: str
    pairs: int
    rounds: int
    sizes: tuple[int, ...]
    limit: int = 8 * GIB

    def settings(self, preset: str, **changes: Any) -> Any:
        """The settings of a run in this process; of `paper` with the backbone for speed."""
        from splice.running.presets import load_preset

        values = {**self.changes, "device": self.device, **changes}
        if preset == "paper" or self.tiny:
            values["backbone"] = self.fine
        return load_preset(preset, {name: str(value) for name, value in values.items()})

    @property
    def tiny(self) -> bool:
        """Whether this is a rehearsal."""
        return bool(self.changes)


def scale_of(device: str, rehearse: bool) -> Scale:
    """The scale of a measurement, or of its rehearsal."""
    sys.path.insert(0, str(ROOT))
    if not rehearse:
        sizes = (4320, 3072, 2160, 1536, 1080, 768, 512)
        return Scale(device, {}, 400, "dino_vitb8", 16, 5, sizes)
    small = {"size": 64, "steps": 4, "seen.short_side": 64, "meaning.short_side": 64}
    return Scale(device, small, 4, "timm:test_vit", 2, 1, (96, 64))
