"""Small pictures, alone and in folders of pairs, and what is said of plans of them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from splice.errors import InputError
from splice.pictures.pairs import Plan, plan_pairs


def picture(path: Path, size: tuple[int, int] = (20, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "teal").save(path)
    return path


def flat_picture(
    path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (80, 60)
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def image_set(folder: Path, names: Sequence[str]) -> list[Path]:
    return [picture(folder / f"{name}.png") for name in names]


def pair_folder(folder: Path) -> Path:
    picture(folder / "A" / "horse.jpg")
    picture(folder / "B" / "zebra.png")
    (folder / "A" / ".DS_Store").write_bytes(b"x")
    (folder / "B" / "source.txt").write_text("from a friend")
    return folder


def stems(plan: Plan) -> list[tuple[str, str]]:
    return [(pair.structure.stem, pair.appearance.stem) for pair in plan.pairs]


def refusal(*args: object, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        plan_pairs(*args, **options)  # type: ignore[arg-type]
    return str(caught.value)
