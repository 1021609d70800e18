r"""Score a preset's pictures beside those of published systems, and lay them side by side.

The pairs lie in `PAIRS_ROOT/SET/ID/` with the structure image in `A/` and the appearance image in
`B/` (a set may be any folder that `splice batch` reads); a published system's pictures in
`PUBLISHED/SET/SYSTEM/ID.jpg` (or .png, or ID/output.png).

    # optimise every pair of a set with a preset and two seeds, then score
    python benchmarks/quality.py --pairs-root pairs --published published --sets wild \
        --preset default --seeds 0 1 --save outputs/quality

    # score pictures that exist, in DIR/SET/ID.png or DIR/SET/ID/output.png, as far as they do
    python benchmarks/quality.py --pairs-root pairs --sets wild --outputs default=DIR

Prints a table per set. With `--save`, writes `quality.md`, `quality.json` and one contact sheet per
set there, and the pictures that it made, each beside the settings that made it. A picture found
there with the same settings is not made again: use another folder when the code has changed.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, NoReturn

import tyro
from command import run_command
from contact_sheet import Row, contact_sheet
from PIL import Image
from tqdm import tqdm

from splice.analysis.scores.evaluation import Evaluation, evaluate, find_outputs
from splice.analysis.scores.metrics import Scores
from splice.analysis.scores.score_table import as_data, format_markdown, format_text
from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.pictures.images import read_image, to_pil, write_atomically, write_image
from splice.pictures.pairs import Pair, plan_pairs
from splice.running.device import find_device
from splice.running.presets import load_preset


@dataclass(frozen=True)
class Options:
    """Score a preset's pictures beside those of published systems."""

    pairs_root: Path
    """Folder of sets of pairs: SET/ID/A and SET/ID/B with one picture each."""
    sets: tuple[str, ...] = ()
    """Sets to use; all of PAIRS_ROOT by default."""
    ids: tuple[str, ...] = ()
    """Pairs to use, by ID; all of the sets by default."""
    published: Path | None = None
    """Folder of published pictures: SET/SYSTEM/ID.jpg."""
    outputs: tuple[str, ...] = ()
    """Folders [NAME=]DIR of pictures that exist: SET/ID.png; the first one is compared with all."""
    preset: str | None = None
    """Preset (or YAML file) to optimise the pairs with; compared with all."""
    changes: tuple[str, ...] = ()
    """Settings of the preset to change: NAME=VALUE, such as steps=200."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the preset's runs; a pair's scores are averaged over them."""
    save: Path | None = None
    """Folder for the tables, the contact sheets and the pictures made."""
    judge: str = "dinov2_vits14"
    """Backbone that scores."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda|mps")] = "auto"
    """Device of the judge."""


def main(options: Options) -> None:
    """Make or find the pictures, score them, print the tables and write the files."""
    if options.preset is not None and options.save is None:
        raise InputError("--preset makes pictures that need a place; give --save DIR as well.")
    pairs = find_pairs(options.pairs_root, options.sets, options.ids)
    systems: dict[str, dict[str, Path]] = {}
    seeds: dict[str, list[str]] = {}
    if options.preset is not None and options.save is not None:
        name = Path(options.preset).stem
        changes = parse_changes(options.changes)
        seeds[name] = []
        for seed in options.seeds:
            label = f"{name}, seed {seed}"
            seeds[name].append(label)
            folder = options.save / name
            systems[label] = make_outputs(pairs, options.preset, changes, seed, folder)
    for text in options.outputs:
        name, found = named_outputs(text, pairs)
        if name in systems:
            raise InputError(f"--outputs {text}: two systems are named {name!r}; write NAME=DIR.")
        systems[name] = found
    ours = next(iter(seeds or systems), None)
    if ours is not None and ours in systems:
        pairs = [pair for pair in pairs if pair.name in systems[ours]]
    if options.published is not None:
        for name, found in published_outputs(options.published, pairs).items():
            systems[f"published {name}" if name in systems or name in seeds else name] = found
    if not systems:
        raise InputError("nothing to score; give --outputs DIR, --preset NAME or --published DIR.")
    vit = FrozenViT.load(options.judge, device=find_device(options.device))
    evaluations = dict(score_sets(vit, pairs, systems, seeds, ours))
    for set_name, evaluation in evaluations.items():
        print(f"== {set_name} ==\n\n{format_text(evaluation)}")
    if options.save is not None:
        save_tables(options.save, evaluations)
        for set_name in evaluations:
            sheet = set_sheet([p for p in pairs if set_of(p) == set_name], systems)
            path = options.save / f"{set_name}.png"
            write_atomically(path, lambda file, sheet=sheet: sheet.save(file, "PNG"))
            print(f"wrote {path}")


def find_pairs(root: Path, sets: Sequence[str], ids: Sequence[str]) -> list[Pair]:
    """Find the pairs of the sets, named SET/ID.

    Raises:
        InputError: a set or an ID that is not there, or anything wrong with a pair.
    """
    if not root.is_dir():
        raise InputError(f"--pairs-root {root} is not a folder.")
    present = sorted(path.name for path in root.iterdir() if path.is_dir())
    for name in sets:
        if name not in present:
            raise InputError(f"--sets {name}: {root} has the sets {', '.join(present)}.")
    pairs = [
        (set_name, pair)
        for set_name in sets or present
        for pair in plan_pairs(root / set_name).pairs
    ]
    known = {pair.name for _, pair in pairs}
    for name in ids:
        if name not in known:
            listed = ", ".join(sets or present)
            raise InputError(f"--ids {name}: no pair of {listed} is so named.")
    return [
        replace(pair, name=f"{set_name}/{pair.name}")
        for set_name, pair in pairs
        if not ids or pair.name in ids
    ]


def set_of(pair: Pair) -> str:
    """The set that a pair of `find_pairs` belongs to."""
    return pair.name.partition("/")[0]


def named_outputs(text: str, pairs: Sequence[Pair]) -> tuple[str, dict[str, Path]]:
    """Find the pictures of one --outputs [NAME=]DIR; the name is the folder's own by default.

    Raises:
        InputError: no such folder, or none of the pairs' pictures in it.
    """
    name, sign, folder = text.partition("=")
    path = Path(folder if sign else text)
    found = find_outputs(path, (pair.name for pair in pairs))
    if not found:
        example = pairs[0].name if pairs else "SET/ID"
        raise InputError(f"--outputs {text}: no picture such as {path / example}.png in there.")
    return name if sign else path.resolve().name, found


def published_outputs(root: Path, pairs: Sequence[Pair]) -> dict[str, dict[str, Path]]:
    """Find the published systems' pictures of the pairs, by system."""
    systems: dict[str, dict[str, Path]] = {}
    for set_name in dict.fromkeys(map(set_of, pairs)):
        ids = [pair.name.partition("/")[2] for pair in pairs if set_of(pair) == set_name]
        if not (root / set_name).is_dir():
            continue
        for folder in sorted(path for path in (root / set_name).iterdir() if path.is_dir()):
            for name, picture in find_outputs(folder, ids).items():
                systems.setdefault(folder.name, {})[f"{set_name}/{name}"] = picture
    return systems


def make_outputs(
    pairs: Sequence[Pair], preset: str, changes: Mapping[str, str], seed: int, folder: Path
) -> dict[str, Path]:
    """Optimise the pairs into `folder/seed-SEED/SET/ID.png`, except those already made so."""
    from splice.running.one_pair import splice_pair

    made: dict[str, Path] = {}
    for pair in tqdm(pairs, desc=f"{preset}, seed {seed}", unit="pair"):
        path = folder / f"seed-{seed}" / f"{pair.name}.png"
        settings = load_preset(preset, {**pair.settings, **changes, "seed": seed})
        text = settings.model_dump_json(indent=2)
        beside = path.with_name(f"{path.stem}.json")
        if not (path.is_file() and beside.is_file() and beside.read_text() == text):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.unlink(missing_ok=True)
            write_image(path, splice_pair(pair.structure, pair.appearance, settings))
            write_atomically(beside, lambda file, text=text: file.write(text.encode()))
        made[pair.name] = path
    return made


def parse_changes(texts: Sequence[str]) -> dict[str, str]:
    """Split the NAME=VALUE of --changes.

    Raises:
        InputError: a text is not of that form.
    """
    changes: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise InputError(f"--changes {text}: write NAME=VALUE.")
        changes[name] = value
    return changes


def score_sets(
    vit: FrozenViT,
    pairs: Sequence[Pair],
    systems: Mapping[str, Mapping[str, Path]],
    seeds: Mapping[str, Sequence[str]],
    ours: str | None,
) -> Iterator[tuple[str, Evaluation]]:
    """Score each set on its own: its name, and the systems that have a picture of it."""
    for set_name in dict.fromkeys(map(set_of, pairs)):
        chosen = [pair for pair in pairs if set_of(pair) == set_name]
        names = {pair.name for pair in chosen}
        present = {
            system: {name: path for name, path in pictures.items() if name in names}
            for system, pictures in systems.items()
        }
        present = {system: pictures for system, pictures in present.items() if pictures}
        if not present:
            continue
        with tqdm(total=len(chosen), desc=f"scoring {set_name}", unit="pair") as bar:
            scored = evaluate(vit, chosen, present, ours=ours, progress=_moving(bar))
        yield set_name, average_seeds(scored, seeds, ours)


def _moving(bar: "tqdm[NoReturn]") -> Callable[[int, int], None]:
    def move(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return move


def average_seeds(
    evaluation: Evaluation, seeds: Mapping[str, Sequence[str]], ours: str | None
) -> Evaluation:
    """Replace the runs of one preset by their mean, pair by pair; it takes their first place."""
    scores: dict[str, Mapping[str, Scores]] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for name, labels in seeds.items():
        runs = [evaluation.scores[label] for label in labels]
        shared = [pair for pair in runs[0] if all(pair in run for run in runs)]
        scores[name] = {pair: Scores.mean([run[pair] for run in runs]) for pair in shared}
        missing[name] = evaluation.missing[labels[0]]
    merged = {label for labels in seeds.values() for label in labels}
    for system in evaluation.systems:
        if system not in merged:
            scores[system] = evaluation.scores[system]
            missing[system] = evaluation.missing[system]
    return Evaluation(evaluation.judge, scores, missing, ours if ours in scores else None)


def save_tables(folder: Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Write `quality.md` and `quality.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown = "\n".join(f"## {name}\n\n{format_markdown(e)}" for name, e in evaluations.items())
    data = json.dumps({name: as_data(e) for name, e in evaluations.items()}, indent=2)
    write_text(folder / "quality.md", markdown)
    write_text(folder / "quality.json", f"{data}\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, and say so."""
    write_atomically(path, lambda file: file.write(text.encode()))
    print(f"wrote {path}")


def set_sheet(pairs: Sequence[Pair], systems: Mapping[str, Mapping[str, Path]]) -> Image.Image:
    """Lay out one set: structure, appearance, then each system that has a picture of the set."""
    present = [s for s, pictures in systems.items() if any(p.name in pictures for p in pairs)]

    def rows() -> Iterator[Row]:
        for pair in pairs:
            paths = [pair.structure, pair.appearance, *(systems[s].get(pair.name) for s in present)]
            cells = [None if path is None else to_pil(read_image(path)) for path in paths]
            yield pair.name, cells

    return contact_sheet(rows(), ["structure", "appearance", *present])


if __name__ == "__main__":
    run_command(main, Options)
