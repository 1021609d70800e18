"""Presets that make a run on the page take moments."""

from small_run import SmallRun

from splice.method import gamut
from splice.method.settings import Settings
from splice.running.presets import load_preset

STEPS = 16

SAMPLES = 24
"""Of pictures of 64 pixels; as many as the default takes would be seconds for each run."""

gamut.SAMPLES = SAMPLES


def presets(small: SmallRun) -> dict[str, Settings]:
    """`default` and `quick` on a tiny transformer, as a command line of such options has them."""
    changes = dict(option.removeprefix("--").split("=", 1) for option in small.options)
    named = {name.replace("-", "_"): value for name, value in changes.items()}
    return {
        "default": load_preset("default", {**named, "steps": STEPS}),
        "quick": load_preset("quick", named),
    }
