"""A domain's model beside the per-pair default, on pictures that the model has not learnt from.

    splice train FACES --output MODEL --held-out 6
    python benchmarks/domain_beside_pairs.py FACES MODEL --save OUT

Both paint the same pairs at the size that the model has learnt, in one run. `OUT` gets `beside.md` with
scores and seconds, also of the structure pictures as they are, and `beside.png`, a contact sheet.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from command import run_command
from conditioning_scores import SCORES, HeldOutPair, condition_of, draw_held_out
from contact_sheet import contact_sheet
from jaxtyping import Float
from torch import Tensor

from splice import FrozenViT, Settings, read_image, splice_pair, to_pil
from splice.analysis.scores.metrics import Judge
from splice.domain.model_file import load_model
from splice.domain.painting import Painter
from splice.domain.pictures import Domain, find_domain, held_out
from splice.errors import InputError
from splice.pictures.atomic import write_atomically

Picture = Float[Tensor, "3 height width"]

WAYS = ("structure", "model", "pair")
"""What is scored: the structure picture as it is, the model's painting, the per-pair default's."""


@dataclass(frozen=True)
class Options:
    """What is compared."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of the domain."""
    model: Annotated[Path, tyro.conf.Positional]
    """The model, trained with some pictures held out."""
    save: Path
    """Folder for the table and the contact sheet."""
    pairs: int = 6
    """Held-out pairs that both paint."""
    steps: int | None = None
    """Of the per-pair default, instead of its own number."""


def main(options: Options) -> None:
    """Paint, score, and write the table and the contact sheet.

    Raises:
        InputError: a folder or model that cannot be used, or nothing was held out.
    """
    model = load_model(options.model)
    vit = FrozenViT.load(model.settings.backbone)
    painter = Painter(model, None if model.reader is not None else vit)
    others = _held_out(options.folder, model.settings.held_out, model.reader is not None)
    settings = Settings() if options.steps is None else Settings(steps=options.steps)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    sums: dict[str, dict[str, float]] = {way: dict.fromkeys(SCORES, 0.0) for way in WAYS}
    options.save.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, pair in enumerate(draw_held_out(others.pictures, options.pairs, seed=0), 1):
        structure, appearance = _read(others, pair, model.settings.size)
        told = others.pictures[pair.appearance]
        judge = Judge(vit, structure, appearance)
        ways = {
            "structure": lambda structure=structure: structure,
            "model": lambda structure=structure, told=told: painter.paint(
                structure, condition_of(painter, told)
            ),
            "pair": lambda structure=structure, appearance=appearance: splice_pair(
                structure, appearance, settings, vit=vit
            ),
        }
        painted: list[Picture] = []
        for way, paint in ways.items():
            begun = time.perf_counter()
            painted.append(paint())
            seconds[way].append(time.perf_counter() - begun)
            scores = vars(judge(painted[-1]))
            sums[way] = {name: total + scores[name] for name, total in sums[way].items()}
        rows.append((str(number), [to_pil(each) for each in (structure, appearance, *painted[1:])]))
    text = table(sums, seconds)
    write_atomically(options.save / "beside.md", lambda file: file.write(text.encode()))
    sheet = contact_sheet(rows, ["structure", "appearance", "model", "per pair"])
    write_atomically(options.save / "beside.png", lambda file: sheet.save(file, "PNG"))
    print(text)


def table(sums: dict[str, dict[str, float]], seconds: dict[str, list[float]]) -> str:
    """Markdown: the means of the scores, the median seconds a pair, and how many times faster."""
    lines = [
        f"| painted by | {' | '.join(SCORES)} | seconds |",
        f"|---|{'---:|' * (len(SCORES) + 1)}",
    ]
    for way, scores in sums.items():
        count = len(seconds[way])
        cells = [f"{scores[name] / count:.4f}" for name in SCORES]
        lines.append(f"| {way} | {' | '.join(cells)} | {_median(seconds[way]):.3f} |")
    times = _median(seconds["pair"]) / _median(seconds["model"])
    return "\n".join(lines) + f"\n\nThe model is {times:,.0f} times as fast.\n"


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _held_out(folder: Path, count: int, captioned: bool) -> Domain:
    domain = find_domain(folder, captioned=captioned)
    _, kept = held_out(domain, count)
    if len(kept) < 2:
        raise InputError(f"the model held {count} pictures out; train one with --held-out 6.")
    return Domain(domain.root, None, tuple(domain.pictures[index] for index in kept))


def _read(domain: Domain, pair: HeldOutPair, side: int) -> tuple[Picture, Picture]:
    one, other = (domain.pictures[place].file for place in (pair.structure, pair.appearance))
    return read_image(one, short_side=side), read_image(other, short_side=side)


if __name__ == "__main__":
    run_command(main, Options)
