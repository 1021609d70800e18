"""The options that say which pairs a command is about, shared by those that take many."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splice.commands.backbone import load_backbone
from splice.commands.parser import Options, add_count, number, path

if TYPE_CHECKING:
    import numpy as np

    from splice.method.settings import Settings
    from splice.pictures.pairs import Plan

PAIRS_HELP = (
    "a folder with A/ and B/, a folder of such folders, a manifest (.csv, .jsonl), or a set of "
    "pictures with --pairing"
)


def add_pair_options(parser: Options) -> None:
    """Offer everything that `splice.pictures.pairs.plan_pairs` can be told."""
    group = parser.add_argument_group("pairs")
    group.add_argument(
        "--direction",
        choices=("AtoB", "BtoA", "both"),
        default="AtoB",
        metavar="NAME",
        help="AtoB (structure from A, the default), BtoA, or both",
    )
    group.add_argument(
        "--pairing",
        choices=("random", "nearest"),
        metavar="NAME",
        help="of a set of pictures: random, or nearest (by the backbone's [CLS] token)",
    )
    group.add_argument(
        "--appearances",
        type=path,
        metavar="DIR",
        help="of a set of pictures: another set, which gives the appearances",
    )
    group.add_argument(
        "--split",
        choices=("train", "val", "test"),
        metavar="NAME",
        help="of a set with splits: train, val or test",
    )
    add_count(group, "--count", "the first N pairs, or N of a set")
    group.add_argument(
        "--pair-seed", type=number(0, whole=True), default=0, metavar="N", help="of the pairing (0)"
    )
    group.add_argument(
        "--allow-outside",
        action="store_true",
        help="let a manifest name pictures outside of its folder",
    )
    group.add_argument(
        "--skip-bad", action="store_true", help="leave bad pairs and pictures out, and go on"
    )


def plan_of(
    source: Path,
    values: Namespace,
    settings: Settings,
    check_settings: Callable[[Mapping[str, Any]], object] | None = None,
) -> Plan:
    """The pairs of a source under the options of `add_pair_options`, all checked.

    Args:
        source: as given.
        values: of the command line.
        settings: that name the backbone and the device for `--pairing nearest`.
        check_settings: is called with each pair's own settings.

    Raises:
        InputError: whatever is wrong with them, all together.
    """
    from splice.pictures.pairs import plan_pairs

    return plan_pairs(
        source,
        direction=values.direction,
        pairing=values.pairing,
        appearances=values.appearances,
        split=values.split,
        count=values.count,
        seed=values.pair_seed,
        embed=_embedding(settings) if values.pairing == "nearest" else None,
        allow_outside=values.allow_outside,
        skip_bad=values.skip_bad,
        check_settings=check_settings,
    )


def _embedding(settings: Settings) -> Callable[[Sequence[Path]], np.ndarray]:
    """The deepest [CLS] token of each picture, [pictures, width]."""

    def embed(pictures: Sequence[Path]) -> np.ndarray:
        import torch

        from splice.pictures.images import read_image
        from splice.running.device import find_device

        vit, device = load_backbone(settings), find_device(settings.device)
        last = vit.blocks
        with torch.inference_mode():
            images = (read_image(p, short_side=224)[None].to(device) for p in pictures)
            return torch.cat([vit(image, cls=[last]).cls[last].cpu() for image in images]).numpy()

    return embed
