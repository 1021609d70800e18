"""A domain made by rule, where success can be counted: balls and boxes on grounds, with captions.

In a scene stand one or two things of one colour and one pattern, each in a place of its own. The
captions say colour, pattern, kinds, places and ground. What is asked for is known, and so is where it
should be: `splice.domain.scene_scores` counts.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splice.errors import InputError
from splice.pictures.atomic import write_atomically
from splice.pictures.images import write_image

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.12, 0.12),
    "yellow": (0.95, 0.80, 0.10),
    "green": (0.12, 0.58, 0.18),
    "turquoise": (0.10, 0.72, 0.76),
    "blue": (0.12, 0.24, 0.86),
    "purple": (0.55, 0.14, 0.66),
}
GROUNDS: dict[str, tuple[float, float, float]] = {
    "grey": (0.55, 0.55, 0.55),
    "sandy": (0.74, 0.67, 0.52),
    "slate": (0.31, 0.35, 0.41),
    "brown": (0.42, 0.30, 0.22),
}
PATTERNS = ("plain", "striped", "spotted")
KINDS = ("ball", "box")
PLACES = {"on the left": 0.23, "in the middle": 0.5, "on the right": 0.77}
"""Where a thing can stand, and the middle of that place in shares of the width."""

WHITE = (0.95, 0.95, 0.95)
"""Of stripes and spots."""

FINENESS = 4
"""Samples a pixel, along each side."""

RECORD = "scenes.jsonl"
"""In the folder of a domain of scenes, what each of its pictures shows."""


@dataclass(frozen=True)
class Thing:
    """One thing of a scene; lengths in shares of the picture's side, y from the top.

    Attributes:
        kind: ball or box.
        place: in words.
        x: of its middle.
        y: likewise.
        radius: of the ball, or half of the box's side.
    """

    kind: str
    place: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """What a picture shows.

    Attributes:
        things: one or two, from left to right.
        colour: of them all.
        pattern: likewise.
        ground: the colour that they stand on.
        angle: in which the pattern runs, in radians.
        fineness: of the pattern, stripes or rows of spots in the picture's side.
    """

    things: tuple[Thing, ...]
    colour: str
    pattern: str
    ground: str
    angle: float
    fineness: float


def draw_scene(seed: int, index: int) -> Scene:
    """The scene of that number among those of a seed; the same on every machine."""
    random = np.random.default_rng([seed, index])

    def pick(names: Sequence[str]) -> str:
        return names[int(random.integers(len(names)))]

    places = sorted(random.permutation(len(PLACES))[: random.integers(1, 3)].tolist())
    things = []
    for place in places:
        name = list(PLACES)[place]
        x = PLACES[name] + random.uniform(-0.02, 0.02)
        y, radius = random.uniform(0.3, 0.7), random.uniform(0.13, 0.19)
        # Two neighbours do not touch.
        radius = min(radius, 0.11) if len(places) == 2 and places[1] - places[0] == 1 else radius
        things.append(Thing(pick(KINDS), name, float(x), float(y), float(radius)))
    return Scene(
        tuple(things),
        pick(list(COLOURS)),
        pick(PATTERNS),
        pick(list(GROUNDS)),
        float(random.uniform(0, np.pi)),
        float(random.uniform(10, 12)),
    )


def render(scene: Scene, size: int) -> Float[Tensor, "3 size size"]:
    """The picture of a scene, in [0, 1]."""
    x, y = _places(size * FINENESS)
    image = _colour(GROUNDS[scene.ground]) * (1.08 - 0.16 * y)
    for thing in scene.things:
        shade = 1.1 - 0.3 * ((y - thing.y) / (2 * thing.radius) + 0.5).clamp(0, 1)
        white = _pattern(scene, x - thing.x, y - thing.y)
        painted = torch.where(white, _colour(WHITE), _colour(COLOURS[scene.colour]))
        image = torch.where(_inside(thing, x, y, 1.0), painted * shade, image)
    return F.avg_pool2d(image[None].clamp(0, 1), FINENESS)[0].float()


def mask_of(thing: Thing, size: int, share: float = 1.0) -> Bool[Tensor, "size size"]:
    """Pixels of which a thing covers at least half.

    Args:
        thing: in the scene.
        size: of the picture, in pixels.
        share: of the thing's radius that counts; above 1 for some of what is around it.
    """
    x, y = _places(size * FINENESS)
    covered = _inside(thing, x, y, share).double()
    return F.avg_pool2d(covered[None, None], FINENESS)[0, 0] >= 0.5


def captions(scene: Scene) -> tuple[str, ...]:
    """Three sentences that say the same of a scene in other words."""
    look = f"{scene.colour} {scene.pattern}"
    first, *more = scene.things
    ground = f"{scene.ground} ground"
    if not more:
        return (
            f"a {look} {first.kind} {first.place} on a {ground}",
            f"on a {ground} there is a {first.kind} {first.place} that is {scene.colour} "
            f"and {scene.pattern}",
            f"a {first.kind}, {scene.pattern} and {scene.colour}, {first.place} on a {ground}",
        )
    second = more[0]
    if first.kind == second.kind:
        plural = {"ball": "balls", "box": "boxes"}[first.kind]
        both = f"{first.place} and {second.place}"
        return (
            f"two {look} {plural} {both} on a {ground}",
            f"on a {ground} there are two {plural} {both} that are {scene.colour} "
            f"and {scene.pattern}",
            f"two {plural}, {scene.pattern} and {scene.colour}, {both} on a {ground}",
        )
    both = f"a {first.kind} {first.place} and a {second.kind} {second.place}"
    return (
        f"a {look} {first.kind} {first.place} and a {look} {second.kind} {second.place} "
        f"on a {ground}",
        f"on a {ground} there are {both} that are {scene.colour} and {scene.pattern}",
        f"{both}, {scene.pattern} and {scene.colour}, on a {ground}",
    )


def write_scenes(folder: Path, train: int, test: int, size: int, seed: int = 0) -> None:
    """A domain of scenes on disk: `train/` and `test/` with pictures, captions beside them, a record.

    Args:
        folder: is made where it is not there.
        train: pictures to learn from.
        test: pictures to look at afterwards; no scene is in both parts.
        size: side of the pictures, in pixels.
        seed: of the scenes.

    Raises:
        InputError: the folder cannot be written.
        RunError: the disk is full.
    """
    rows = []
    for index in range(train + test):
        part = "train" if index < train else "test"
        scene = draw_scene(seed, index)
        name = f"{part}/{index:06d}"
        try:
            (folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder / part} cannot be made: {error.strerror}.") from error
        write_image(folder / f"{name}.png", render(scene, size))
        text = "".join(f"{line}\n" for line in captions(scene)).encode()
        write_atomically(folder / f"{name}.txt", lambda file, text=text: file.write(text))
        rows.append(json.dumps({"name": f"{name}.png", **asdict(scene)}) + "\n")
    record = "".join(rows).encode()
    write_atomically(folder / RECORD, lambda file: file.write(record))


def read_scenes(folder: Path) -> dict[str, Scene]:
    """What each picture of a domain of scenes shows, by its name.

    Raises:
        InputError: the folder has no record, or a damaged one.
    """
    file = folder / RECORD
    try:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        return {row["name"]: _scene(row) for row in rows}
    except FileNotFoundError:
        raise InputError(f"{folder} is no domain of scenes: it has no {RECORD}.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is damaged ({type(error).__name__}); make it again.") from error


def _scene(row: dict[str, Any]) -> Scene:
    values = {name: value for name, value in row.items() if name not in ("name", "things")}
    return Scene(tuple(Thing(**thing) for thing in row["things"]), **values)


def _places(side: int) -> tuple[Tensor, Tensor]:
    """Places of the middles of samples, in shares of the side."""
    middles = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    return middles[None, :].expand(side, side), middles[:, None].expand(side, side)


def _inside(thing: Thing, x: Tensor, y: Tensor, share: float) -> Tensor:
    across, down, radius = (x - thing.x).abs(), (y - thing.y).abs(), thing.radius * share
    if thing.kind == "ball":
        return across**2 + down**2 <= radius**2
    return torch.maximum(across, down) <= radius


def _pattern(scene: Scene, x: Tensor, y: Tensor) -> Tensor:
    """Where stripes or spots are, by place relative to the middle of the thing."""
    if scene.pattern == "plain":
        return torch.zeros_like(x, dtype=torch.bool)
    cosine, sine = np.cos(scene.angle), np.sin(scene.angle)
    along = (x * cosine + y * sine) * scene.fineness
    if scene.pattern == "striped":
        return along % 1 < 0.5
    # Spots need more room than stripes to be seen as such.
    along, across = 0.85 * along, 0.85 * (y * cosine - x * sine) * scene.fineness
    return ((along % 1) - 0.5) ** 2 + ((across % 1) - 0.5) ** 2 < 0.34**2


def _colour(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None]
