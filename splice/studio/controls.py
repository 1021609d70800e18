"""The knobs as parts of a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from splice.method.settings import Settings
from splice.running.setting_list import Setting
from splice.studio.knobs import HOST, TITLES, folded, kind_of, name_of, shown, value_at

SIZES = {
    "2160": "As large as the photograph",
    "1080": "1080 px",
    "720": "720 px",
    "512": "512 px",
    "auto": "What fits into memory",
}
"""Sizes to choose from; any other can be typed."""

_MOST_STEPS = 1000

PRESET_HINT = "Quick is the tones alone, within seconds. Paper is the published method, for a GPU."


def preset_choice(presets: Mapping[str, Settings]) -> gr.Radio:
    """The choice of a preset, the first one chosen."""
    names = list(presets)
    choices = [(Path(name).stem.capitalize(), name) for name in names]
    return gr.Radio(choices, value=names[0], label="Preset", info=PRESET_HINT, elem_id="preset")


def front_knobs(settings: Settings) -> dict[str, Any]:
    """The knobs of `knobs.FRONT`, by path."""
    sizes = [(label, value) for value, label in SIZES.items()]
    size = shown(settings, "size")
    if size not in SIZES:
        sizes.insert(0, (f"{size} px", size))
    nearest, structure = settings.objective.nearest, settings.objective.structure
    return {
        "size": gr.Dropdown(
            sizes,
            value=size,
            label="Size",
            info="Of the short side, at most the structure image's.",
            allow_custom_value=True,
            elem_id="size",
        ),
        "steps": _slider(
            "Steps",
            "More are better, fewer are faster. Left alone, a wide picture takes fewer.",
            settings.step_count,
            max(_MOST_STEPS, settings.step_count),
            1,
        ),
        "keep_background": gr.Checkbox(
            settings.keep_background,
            label="Keep the background",
            info="Only what stands out is painted, unless you brush.",
            elem_id="keep-background",
        ),
        "strength": _slider(
            "Strength", "0 is the photograph, 1 all of the look.", settings.strength, 1, 0.05
        ),
        "objective.nearest": _slider(
            "Texture", "How much of the appearance.", nearest, max(15, nearest), 0.1
        ),
        "objective.structure": _slider(
            "Shapes", "How much of the structure.", structure, max(6, structure), 0.1
        ),
        "seed": gr.Number(
            settings.seed,
            label="Seed",
            info="Another seed, another painting.",
            precision=0,
            elem_id="seed",
        ),
    }


def _slider(label: str, info: str, value: float, most: float, step: float) -> gr.Slider:
    return gr.Slider(
        0,
        max(most, value),
        value,
        step=step,
        label=label,
        info=info,
        elem_id=label.lower(),
        buttons=[],
    )


def folded_knobs(settings: Settings) -> dict[str, Any]:
    """All other knobs, by path, in groups that are closed."""
    found: dict[str, Any] = {}
    for group, members in folded().items():
        with gr.Accordion(TITLES[group], open=False):
            for setting in members:
                found[setting.path] = _knob(setting, settings)
    return found


def host_words(settings: Settings) -> str:
    """What whoever started the studio has chosen, in a sentence."""
    values = {path: value_at(settings, path) for path in HOST}
    said = ", ".join(f"{path} `{value}`" for path, value in values.items() if value)
    return f"Chosen when the studio was started: {said}."


def _knob(setting: Setting, settings: Settings) -> Any:
    value, label = shown(settings, setting.path), name_of(setting).capitalize()
    info = setting.description[:1].upper() + setting.description[1:] + "."
    kind = kind_of(setting)
    if kind == "switch":
        return gr.Checkbox(value, label=label, info=info)
    if kind == "choice":
        return gr.Dropdown(setting.values.split(", "), value=value, label=label, info=info)
    if kind == "whole":
        return gr.Number(value, label=label, info=info, precision=0)
    if kind == "number":
        return gr.Number(value, label=label, info=info)
    return gr.Textbox(value, label=label, info=info, max_lines=1)


def turned(settings: Settings, paths: list[str]) -> list[Any]:
    """What the knobs become when another preset is chosen, in the order of their paths."""
    changes = []
    for path in paths:
        value = shown(settings, path)
        more: dict[str, Any] = {}
        if path == "steps":
            more = {"maximum": max(_MOST_STEPS, settings.step_count)}
        # The published method has none of them.
        if path in ("objective.nearest", "strength", "keep_background"):
            more = {"interactive": settings.method != "paper"}
        changes.append(gr.update(value=value, **more))
    return changes
