r"""Leave out each term of a preset's objective in turn, and see what becomes of the scores.

    python benchmarks/ablation.py --pairs-root pairs --pairs wild/06 wild/12 mountains/14 \
        --preset default --changes size=256 steps=300 --seeds 0 1 2 --save outputs/ablation

Each pair is optimised with every seed by the preset, and again without each of its terms (weight 0)
and with each setting of `--also`. Prints the means over seeds and pairs, and for each run that lacks
something the preset's paired difference from it. With the pictures, `SAVE` gets `ablation.md`,
`ablation.json` and `ablation.png`, a contact sheet of the first seed. What is there with the same
settings is not made again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from command import run_command
from quality import (
    average_seeds,
    find_pairs,
    make_outputs,
    parse_changes,
    set_sheet,
    write_text,
)

from splice.analysis.scores.evaluation import Evaluation, evaluate
from splice.analysis.scores.score_table import as_data, format_markdown, format_text
from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.method.settings import PAINTING_TERMS, PAPER_TERMS, Settings
from splice.pictures.images import write_atomically
from splice.pictures.pairs import Pair
from splice.running.device import find_device
from splice.running.presets import load_preset

WHOLE = "whole objective"


@dataclass(frozen=True)
class Options:
    """Leave out each term of a preset's objective in turn, and see what becomes of the scores."""

    pairs_root: Path
    """Folder of sets of pairs: SET/ID/A and SET/ID/B with one picture each."""
    pairs: tuple[str, ...]
    """Pairs to use: SET/ID."""
    save: Path
    """Folder for pictures and tables."""
    preset: str = "default"
    """Preset (or YAML file) whose terms are left out."""
    changes: tuple[str, ...] = ()
    """Settings of the preset to change in all runs: NAME=VALUE, such as steps=300."""
    also: tuple[str, ...] = ()
    """Settings to change in a run of their own each: NAME=VALUE, such as generator.average=0."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the runs; a pair's scores are averaged over them."""
    judge: str = "dinov2_vits14"
    """Backbone that scores."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda|mps")] = "auto"
    """Device of the judge."""


def main(options: Options) -> None:
    """Make or find the pictures, score them, print the table and write the files."""
    pairs = chosen_pairs(options.pairs_root, options.pairs)
    changes = parse_changes(options.changes)
    variants = variants_of(load_preset(options.preset, changes), options.also)
    outputs: dict[str, dict[str, Path]] = {}
    labels: dict[str, list[str]] = {name: [] for name in variants}
    for seed in options.seeds:
        for name, lacking in variants.items():
            label = f"{name}, seed {seed}"
            folder = options.save / name.replace(" ", "-")
            made = make_outputs(pairs, options.preset, {**changes, **lacking}, seed, folder)
            outputs[label] = made
            labels[name].append(label)
    evaluation = score(pairs, outputs, labels, options)
    print(format_text(evaluation))
    first = {name: outputs[found[0]] for name, found in labels.items()}
    sheet = set_sheet(pairs, first)
    data = json.dumps(as_data(evaluation), indent=2)
    write_text(options.save / "ablation.md", format_markdown(evaluation))
    write_text(options.save / "ablation.json", f"{data}\n")
    write_atomically(options.save / "ablation.png", lambda file: sheet.save(file, "PNG"))
    print(f"wrote {options.save / 'ablation.png'}")


def chosen_pairs(root: Path, names: tuple[str, ...]) -> list[Pair]:
    """The pairs of that name, in that order.

    Raises:
        InputError: a name that is none of a pair, or no names.
    """
    known = {pair.name: pair for pair in find_pairs(root, (), ())}
    for name in names:
        if name not in known:
            raise InputError(f"--pairs {name}: no such pair in {root}; write SET/ID.")
    if not names:
        raise InputError("--pairs is empty; write some SET/ID.")
    return [known[name] for name in names]


def variants_of(settings: Settings, also: tuple[str, ...]) -> dict[str, Mapping[str, str]]:
    """By name, the changes that leave nothing out, each term in turn, or are asked for besides."""
    variants: dict[str, Mapping[str, str]] = {WHOLE: {}}
    terms = PAPER_TERMS if settings.method == "paper" else PAINTING_TERMS
    for term in terms:
        if getattr(settings.objective, term) > 0:
            variants[f"without {term}"] = {f"objective.{term}": "0"}
    variants |= {text: parse_changes([text]) for text in also}
    return variants


def score(
    pairs: list[Pair],
    outputs: Mapping[str, Mapping[str, Path]],
    labels: Mapping[str, list[str]],
    options: Options,
) -> Evaluation:
    """The scores of all variants, each the mean over its seeds."""
    vit = FrozenViT.load(options.judge, device=find_device(options.device))
    scored = evaluate(vit, pairs, outputs, ours=None)
    return average_seeds(scored, labels, WHOLE)


if __name__ == "__main__":
    run_command(main, Options)
