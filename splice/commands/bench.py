"""`splice bench`: seconds of a step, of its parts, and of what it is compared with."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from splice.backbones.registry import find_backbone
from splice.commands.parser import Options, add_count, add_settings, chosen_settings, path
from splice.commands.progress import Silent, progress, show
from splice.errors import InputError
from splice.method.settings import Settings
from splice.pictures.samples import sample_pair

if TYPE_CHECKING:
    from torch import Tensor

    from splice.studies.benchmark.steps import Measured

_DESCRIPTION = (
    "Measure the seconds of a step, of its parts, and of the least that its passes through generator "
    "and backbone cost. Variants take turns in one process."
)


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0.

    Raises:
        SpliceError: a picture or setting that cannot be used, or weights that cannot be fetched.
    """
    values = _options(program).parse(arguments)
    settings = chosen_settings(values)
    if len(values.pictures) not in (0, 2):
        raise InputError("give a structure image and an appearance image, or none for a sample.")
    if values.json is not None and not values.json.parent.is_dir():
        raise InputError(f"--json {values.json}: there is no folder {values.json.parent}.")
    if settings.step_count == 0:
        raise InputError("--steps is 0, and there is no step to measure; give at least 1.")
    told = progress(values.quiet)
    try:
        _run(values, settings, told)
    finally:
        told.close()
    return 0


def _options(program: str) -> Options:
    parser = Options(program, _DESCRIPTION, usage="[STRUCTURE APPEARANCE] [options]")
    parser.add_argument(
        "pictures",
        nargs="*",
        type=path,
        metavar="STRUCTURE APPEARANCE",
        help="two pictures; by default the sample pair, or noise where that is missing",
    )
    parser.add_argument(
        "--against",
        choices=["literal"],
        metavar="literal",
        help="time the paper's loop, transcribed word for word, as well",
    )
    add_count(parser, "--rounds", "of measurements, of which medians are taken (7)", default=7)
    add_count(parser, "--threads", "of the processor; by default what a run takes")
    add_count(parser, "--operators", "list the N operators of torch that take longest, too")
    parser.add_argument("--json", type=path, metavar="FILE", help="write all numbers there")
    add_settings(parser)
    return parser


def _run(values: Namespace, settings: Settings, told: Silent) -> None:
    import torch

    from splice.backbones.frozen_vit import FrozenViT
    from splice.backbones.weights import as_timm, load_vit
    from splice.method.transfer import Transfer
    from splice.running.device import find_device
    from splice.studies.benchmark.literal import LiteralLoop
    from splice.studies.benchmark.steps import measure
    from splice.studies.benchmark.table import as_text, heading, operators

    if values.threads is not None:
        torch.set_num_threads(values.threads)
    device = find_device(settings.device)
    pair = _pictures(values.pictures, settings)
    backbone = find_backbone(settings.backbone)
    weights = Path(settings.weights).expanduser() if settings.weights else None
    plain, provenance = load_vit(backbone, weights, told.fetching)
    vit = FrozenViT(plain, backbone, provenance).to(device)
    transfers: list[Transfer] = []

    def make() -> Transfer:
        transfers.append(Transfer(pair[0], pair[1], settings, vit, device))
        return transfers[0]

    def literal() -> LiteralLoop:
        structure, appearance = (picture.to(device) for picture in pair)
        model = as_timm(backbone, plain.to(device))
        return LiteralLoop(structure, appearance, model, backbone, seed=settings.seed)

    found = measure(
        make,
        literal if values.against else None,
        rounds=values.rounds,
        tell=lambda done, rounds: told.count(done, rounds, "round"),
    )
    told.close()
    show(heading(found, settings.backbone, values.preset))
    show("")
    show(as_text(found))
    if values.operators is not None:
        show("")
        show(operators(transfers[0], values.operators))
    if values.json is not None:
        _save(values.json, found, transfers[0].settings)


def _pictures(files: list[Path], settings: Settings) -> tuple[Tensor, Tensor]:
    """The pair at the size of the run; noise, three quarters as high as wide, where there is none."""
    from splice.pictures.images import resize_short_side
    from splice.running.device import find_device
    from splice.running.inputs import choose_size, read_at_most

    files = files or _sample()
    if files:
        size = choose_size(files[0], settings, find_device(settings.device))
        return read_at_most(files[0], size), read_at_most(files[1], size)
    if not isinstance(settings.size, int):
        raise InputError("--size auto needs a picture; give two, or a size in pixels.")
    import torch

    random = torch.Generator().manual_seed(0)
    noise = [torch.rand(3, 24, 32, generator=random) for _ in range(2)]
    return (
        resize_short_side(noise[0], settings.size),
        resize_short_side(noise[1], settings.size),
    )


def _sample() -> list[Path]:
    """The files of the sample pair; none where it is missing."""
    from splice.pictures.pairs import plan_pairs

    folder = sample_pair()
    if folder is None:
        return []
    pair = plan_pairs(folder).pairs[0]
    return [pair.structure, pair.appearance]


def _save(file: Path, found: Measured, settings: Settings) -> None:
    from splice.pictures.images import write_atomically
    from splice.studies.benchmark.table import as_data

    text = json.dumps(as_data(found, settings.model_dump(mode="json")), indent=2)
    write_atomically(file, lambda stream: stream.write(f"{text}\n".encode()))
