"""A domain's model beside the per-pair default, on pictures that the model has not learnt from.

    splice train FACES --output MODEL --held-out 6
    python benchmarks/domain_beside_pairs.py FACES MODEL --save OUT

Both paint the same pairs at the size that the model has learnt, in one run. `OUT` gets `beside.md` with
scores and seconds, also of the structure pictures as they are, and `beside.png`, a contact sheet.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import tyro
from command import run_command
from conditioning_scores import (
    SCORES,
    condition_of,
    draw_held_out,
    held_out_part,
    read_pair,
    recorded_part,
)
from contact_sheet import contact_sheet
from jaxtyping import Float
from torch import Tensor

from splice import FrozenViT, Settings, splice_pair, to_pil
from splice.analysis.scores.metrics import Judge
from splice.domain.model_file import load_model
from splice.domain.painting import Painter
from splice.domain.pictures import find_domain
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
        InputError: a folder or model that cannot be used, a folder of other pictures than the model's,
            or nothing was held out.
    """
    model = load_model(options.model)
    vit = FrozenViT.load(model.settings.backbone, weights=model.settings.weights)
    painter = Painter(model, None if model.reader is not None else vit)
    captioned, count = model.reader is not None, model.settings.held_out
    others = recorded_part(options.folder, options.model, captioned=captioned)
    if others is None:
        domain = find_domain(options.folder, captioned=captioned)
        others = held_out_part(options.folder, domain, count, captioned=captioned)
    settings = Settings() if options.steps is None else Settings(steps=options.steps)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    sums: dict[str, dict[str, float]] = {way: dict.fromkeys(SCORES, 0.0) for way in WAYS}
    options.save.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, pair in enumerate(draw_held_out(others.pictures, options.pairs, seed=0), 1):
        structure, appearance = read_pair(others, pair, model.settings.size)
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
        lines.append(f"| {way} | {' | '.join(cells)} | {median(seconds[way]):.3f} |")
    times = median(seconds["pair"]) / median(seconds["model"])
    return "\n".join(lines) + f"\n\nThe model is {times:,.0f} times as fast.\n"


if __name__ == "__main__":
    run_command(main, Options)
