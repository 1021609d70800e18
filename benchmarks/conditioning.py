r"""Compare the ways in which a condition can enter the network of a domain.

    python benchmarks/conditioning.py scenes outputs/scenes --train 2000 --test 200
    python benchmarks/conditioning.py compare outputs/scenes --save outputs/conditioning \
        --changes condition=text size=64 seen=112 steps=3000

`compare` trains a model for every layer and seed on the same pictures, with as many steps and, within
5 %, as many parameters. Each paints the same pairs of pictures that none has learnt from. `SAVE` gets
`conditioning.md`, the means over seeds with the spread between them, `conditioning.json`, and
`conditioning.png`, a contact sheet of the first seed. A model that is there with the same settings is
not trained again, and one that was interrupted goes on.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from command import run_command
from conditioning_scores import (
    HeldOutPair,
    draw_held_out,
    held_out_part,
    read_pair,
    score_model,
)
from contact_sheet import contact_sheet

from splice.backbones.frozen_vit import FrozenViT
from splice.domain.model import look_of, new_network
from splice.domain.model_file import load_model
from splice.domain.painting import Painter
from splice.domain.pictures import Domain, find_domain
from splice.domain.record import earlier_training
from splice.domain.run import DomainRun
from splice.domain.scenes import RECORD, Scene, read_scenes, write_scenes
from splice.domain.settings import LAYERS, DomainSettings, domain_settings
from splice.errors import InputError
from splice.pictures.images import to_pil, write_atomically
from splice.running.checkpoint import unfinished
from splice.running.device import describe_device, find_device
from splice.running.outputs import CHECKPOINT, RunFolder

WITHIN = 0.05
"""Of the budget, how far the parameters of a model may be from it."""

SHOWN = 6
"""Pairs in the contact sheet."""


@dataclass(frozen=True)
class Scenes:
    """Write a domain of rendered scenes with captions."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder to write to."""
    train: int = 2000
    """Pictures to learn from."""
    test: int = 200
    """Pictures that no model learns from."""
    size: int = 64
    """Side of the pictures, in pixels."""
    seed: int = 0
    """Of the scenes."""


@dataclass(frozen=True)
class Compare:
    """Train a model for every layer, and compare what they paint."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of the domain."""
    save: Path
    """Folder for models, tables and the contact sheet."""
    layers: tuple[str, ...] = LAYERS
    """Ways in which the condition enters."""
    changes: tuple[str, ...] = ()
    """Settings of the training: NAME=VALUE, such as steps=3000."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trainings."""
    pairs: int = 100
    """Held-out pairs that every model paints."""


@dataclass(frozen=True)
class Trained:
    """One model and what it is worth.

    Attributes:
        layer: of the model.
        seed: of its training.
        parameters: that its network has.
        scores: means over pairs.
        trained: seconds of its training.
    """

    layer: str
    seed: int
    parameters: int
    scores: Mapping[str, float]
    trained: float


def main(options: Scenes | Compare) -> None:
    """Write scenes, or compare layers."""
    if isinstance(options, Scenes):
        write_scenes(options.folder, options.train, options.test, options.size, options.seed)
        return
    compare(options)


def compare(options: Compare) -> list[Trained]:
    """Train what is not there yet, score everything, and write the tables.

    Raises:
        InputError: a folder, layer or setting that cannot be used; a budget that a layer cannot meet.
        RunError: a training failed.
    """
    base = settings_of(options)
    device = find_device(base.device)
    vit = FrozenViT.load(
        base.backbone, device=device, weights=Path(base.weights) if base.weights else None
    )
    captioned = base.condition == "text"
    domain = find_domain(options.folder, captioned=captioned)
    others = held_out_part(options.folder, domain, base.held_out, captioned=captioned)
    pairs = draw_held_out(others.pictures, options.pairs, seed=0)
    scenes = read_scenes(options.folder) if (options.folder / RECORD).is_file() else {}
    # Before hours of training, rather than after.
    for layer in options.layers:
        check_budget(layer, parameters_of(base.model_copy(update={"layer": layer}), vit), base)
    rows: list[Trained] = []
    shown: dict[str, list[Any]] = {}
    for layer in options.layers:
        for seed in options.seeds:
            settings = base.model_copy(update={"layer": layer, "seed": seed})
            folder = options.save / f"{layer}-{seed}"
            seconds = _train(domain, settings, folder, vit)
            row, paintings = _scored(folder, vit, others, pairs, scenes, seconds)
            rows.append(row)
            if seed == options.seeds[0]:
                shown[layer] = [to_pil(picture) for picture in paintings[:SHOWN]]
            print(f"{layer} seed {seed}: {_words(row.scores)}", file=sys.stderr)
    text = table(rows)
    _write(options.save / "conditioning.md", text)
    data = {
        "device": describe_device(device),
        "settings": base.model_dump(mode="json"),
        "models": [vars(row) for row in rows],
    }
    _write(options.save / "conditioning.json", json.dumps(data, indent=2) + "\n")
    rows_shown = []
    for number, pair in enumerate(pairs[:SHOWN]):
        both = map(to_pil, read_pair(others, pair))
        rows_shown.append((str(number + 1), [*both, *(shown[layer][number] for layer in shown)]))
    sheet = contact_sheet(rows_shown, ["structure", "appearance", *shown])
    write_atomically(options.save / "conditioning.png", lambda file: sheet.save(file, "PNG"))
    print(text)
    return rows


def settings_of(options: Compare) -> DomainSettings:
    """The settings that all trainings share.

    Raises:
        InputError: a layer or setting that is not known, or one that the comparison chooses itself.
    """
    changes = {}
    for change in options.changes:
        name, equals, value = change.partition("=")
        if not equals or name in ("layer", "seed"):
            raise InputError(
                f"--changes {change}: give NAME=VALUE, of another setting than layer or seed."
            )
        changes[name] = value
    for layer in options.layers:
        if layer not in LAYERS:
            raise InputError(f"--layers {layer}: there are {', '.join(LAYERS)}.")
    return domain_settings(changes)


def parameters_of(settings: DomainSettings, vit: FrozenViT) -> int:
    """The parameters of the network that these settings make, without making it."""
    text = settings.condition == "text"
    width = settings.text.width if text else look_of(settings).width(vit)
    with torch.device("meta"):
        network = new_network(settings, width, torch.Generator())
    return sum(weight.numel() for weight in network.parameters())


def check_budget(layer: str, parameters: int, settings: DomainSettings) -> None:
    """Refuse to compare a layer whose network has too many or too few parameters.

    Raises:
        InputError: it is farther from the budget than `WITHIN`.
    """
    budget = settings.parameters
    if abs(parameters - budget) > WITHIN * budget:
        raise InputError(
            f"a network with the layer {layer} has {parameters:,} parameters, not within "
            f"{WITHIN:.0%} of {budget:,}; give a larger --changes parameters=…."
        )


def table(rows: Sequence[Trained]) -> str:
    """Markdown: for each layer the mean over seeds, and ± half of the range between them."""
    names = list(dict.fromkeys(name for row in rows for name in row.scores))
    head = ["layer", "parameters", *names, "trained in s"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for layer in dict.fromkeys(row.layer for row in rows):
        own = [row for row in rows if row.layer == layer]
        cells = [layer, f"{own[0].parameters:,}"]
        cells += [_spread([row.scores[name] for row in own]) for name in names]
        cells.append(f"{sum(row.trained for row in own) / len(own):.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    mean = sum(values) / len(values)
    half = (max(values) - min(values)) / 2
    return f"{mean:.3g} ± {half:.2g}" if len(values) > 1 else f"{mean:.3g}"


def _train(domain: Domain, settings: DomainSettings, folder: Path, vit: FrozenViT) -> float:
    """Trains a model where it is not there yet; the seconds that it took."""
    with RunFolder(folder) as held:
        done = earlier_training(held, domain, settings)
        if done is not None:
            return done.seconds
        earlier = unfinished(folder / CHECKPOINT, resume=True)
        run = DomainRun(
            domain, settings, folder, held, find_device(settings.device), earlier=earlier, vit=vit
        )
        return run.proceed().seconds


def _scored(
    folder: Path,
    vit: FrozenViT,
    others: Domain,
    pairs: Sequence[HeldOutPair],
    scenes: Mapping[str, Scene],
    seconds: float,
) -> tuple[Trained, list[Any]]:
    model = load_model(folder, next(vit.parameters()).device)
    told = None if model.settings.condition == "text" else vit
    scores, paintings = score_model(Painter(model, told), vit, others, pairs, scenes)
    parameters = sum(weight.numel() for weight in model.network.parameters())
    row = Trained(model.settings.layer, model.settings.seed, parameters, scores, seconds)
    return row, paintings


def _words(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in scores.items())


def _write(file: Path, text: str) -> None:
    write_atomically(file, lambda stream: stream.write(text.encode()))


if __name__ == "__main__":
    run_command(main, Scenes | Compare)
