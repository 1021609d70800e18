"""How measures that ask no backbone go with the eye: differences of pictures against verdicts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from blind_tally import OURS, THEIRS, read_answers, read_key, verdict
from jaxtyping import Float
from kornia.color import rgb_to_grayscale
from kornia.filters import sobel
from kornia.metrics import ssim
from torch import Tensor

from splice.analysis.scores.metrics import artefacts
from splice.errors import InputError
from splice.pictures.images import read_image

SIDE = 256
"""Short side, in pixels, at which pictures are compared."""

Measure = Callable[[Float[Tensor, "3 rows columns"], Float[Tensor, "3 rows columns"]], float]


def _kept(output: Tensor, structure: Tensor) -> float:
    return 1 - artefacts(output, structure).item()


def _similarity(output: Tensor, structure: Tensor) -> float:
    ours, theirs = (rgb_to_grayscale(each[None]) for each in (output, structure))
    return ssim(ours, theirs, 11).mean().item()


def _outlines(output: Tensor, structure: Tensor) -> float:
    edges = [sobel(rgb_to_grayscale(each[None])).flatten() for each in (output, structure)]
    return torch.corrcoef(torch.stack(edges))[0, 1].item()


MEASURES: Mapping[str, Measure] = {
    "1 - artefacts": _kept,
    "SSIM of brightness": _similarity,
    "correlation of Sobel edges": _outlines,
}
"""Likeness of an output to its structure image, larger being nearer."""


def measure(folder: Path, pairs_root: Path) -> str:
    """A table of how each measure goes with the verdicts on a folder's sheets.

    Given are Pearson's correlation of verdicts (1, 0, -1) with the measure of ours less that of theirs,
    and of how many sheets with a winner the winner's measure is the larger.

    Args:
        folder: of sheets, with the answers.
        pairs_root: folder of sets of pairs.

    Raises:
        InputError: key, answers or a picture are missing, or fewer than three sheets are answered.
    """
    key = read_key(folder / "key.json")
    answers = read_answers(sorted(folder.glob("answers*.csv")), key)
    verdicts, differences = [], []
    for number in sorted({answer.sheet for answer in answers}):
        entry = key[number]
        structure = _structure(pairs_root / entry["pair"])
        ours, theirs = (_shrunk(Path(entry[system])) for system in (OURS, THEIRS))
        verdicts.append(verdict([a for a in answers if a.sheet == number], key))
        differences.append(
            [
                each(_fitted(ours, structure), structure)
                - each(_fitted(theirs, structure), structure)
                for each in MEASURES.values()
            ]
        )
    if len(verdicts) < 3:
        raise InputError(f"{folder} has answers to {len(verdicts)} sheets; at least 3 are needed.")
    return table(verdicts, np.array(differences).T)


def table(verdicts: Sequence[int], differences: np.ndarray) -> str:
    """The table, in Markdown.

    Args:
        verdicts: 1, 0 or -1, one for each sheet.
        differences: one row for each of `MEASURES`, one column for each sheet.
    """
    judged = np.array(verdicts)
    lines = ["| measure | sheets | correlation | the winner's is larger |", "|---|---:|---:|---:|"]
    for name, row in zip(MEASURES, differences, strict=True):
        alike = np.ptp(judged) == 0 or np.ptp(row) == 0
        correlation = "–" if alike else f"{np.corrcoef(judged, row)[0, 1]:.2f}"
        won = int((row * judged > 0).sum())
        decided = int((judged != 0).sum())
        lines.append(f"| {name} | {len(judged)} | {correlation} | {won} of {decided} |")
    return "\n".join(lines)


def _structure(pair: Path) -> Tensor:
    files = sorted((pair / "A").glob("*"))
    if not files:
        raise InputError(
            f"{pair / 'A'} holds no picture; give the folder of pairs as --pairs-root."
        )
    return _shrunk(files[0])


def _shrunk(file: Path) -> Tensor:
    return read_image(file, short_side=SIDE)


def _fitted(picture: Tensor, structure: Tensor) -> Tensor:
    size = structure.shape[1:]
    if picture.shape[1:] == size:
        return picture
    return torch.nn.functional.interpolate(picture[None], size=size, mode="bilinear")[0]
