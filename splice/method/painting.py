"""The default method: a picture painted afresh over the toned structure image, as a whole.

The generator sees the structure image, what its pixels mean, noise, and the toned picture as logits,
and adds to those. The frozen transformer looks at the whole output. What it sees should have the
appearance image's look: [CLS] tokens of several blocks, patch tokens nearest in look and meaning, their
colours. And it should have the structure image's shapes: self-similarity of the deepest keys, outlines.
No pixel of the appearance image is copied.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.features import Features, FrozenViT, self_similarity
from splice.method import objective
from splice.method.clusters import k_means, nearest_centre
from splice.method.gamut import gamut_of, gamut_term
from splice.method.light import Light, applied, detail
from splice.method.looks import Look, draw_looks
from splice.method.palette import Palettes, find_palettes, palette_term
from splice.method.semantics import LONG_SIDE, Semantics, find_semantics
from splice.method.settings import Settings
from splice.method.tones import find_parts, freedom, tone_maps

Paint = Callable[[list[Tensor]], list[Tensor]]
"""What the generator paints for inputs."""

CODES, OUTLINE_CODES = 16, 8
"""Channels of the codes that the generator sees, and that outlines are found from."""

NOISE_CHANNELS, NOISE = 4, 0.3
"""Fixed noise that the generator sees, from which flat parts get their texture: its deviation."""

DARKEST = 0.02
"""Colours are painted over as if they were at least so far from black and white, where logits end."""

OUTLINE_RADIUS = 3
"""Of the windows of outlines, in pixels of a picture with a short side of 256."""

GROUPS = 32
"""Groups of like patches, of which small ones count nearly as much as large ones."""

MEANING = 0.28
"""How much likeness in meaning counts beside looks when tokens are matched."""

MATCHES_TEMPERATURE = 0.07
"""Of the softmax over likeness that says which parts of the appearance image are wanted."""


@dataclass(frozen=True)
class Ground:
    """What the generator paints over and is given, found once for a pair.

    Attributes:
        semantics: of the pair.
        maps: affine maps of the structure image's colours that give it the appearance image's.
        toned: the structure image in those colours, in [0, 1].
        light: what of a change is a local affine function of the structure image.
        freedom: where other changes are let through, in [0, 1].
        inputs: what the generator is given; the last three channels are the toned picture's logits.
        outlines: where meaning changes in the structure image, in [0, 1].
        counts: how much each patch of the structure image counts; mean 1.
        palettes: colours that the structure image's parts should have.
    """

    semantics: Semantics
    maps: Float[Tensor, "1 12 height width"]
    toned: Float[Tensor, "1 3 height width"]
    light: Light
    freedom: Float[Tensor, "1 1 height width"]
    inputs: Float[Tensor, "1 inputs height width"]
    outlines: Float[Tensor, "1 1 height width"]
    counts: Float[Tensor, " structure_patches"]
    palettes: Palettes


@dataclass(frozen=True)
class Wanted:
    """What the appearance image shows the transformer.

    Attributes:
        cls: its [CLS] token, by block.
        scales: what differences of [CLS] are divided by, by block: the difference between the two
            pictures themselves, so that a weight means the same on every backbone and pair.
        similarity_scale: likewise of self-similarities.
        tokens: its patch tokens, by block.
        colours: mean colours of the patches.
        matches: how much each of the structure image's patches wants each of these.
        gamut: which colours it has.
    """

    cls: Mapping[int, Float[Tensor, "1 width"]]
    scales: Mapping[int, Float[Tensor, ""]]
    similarity_scale: Float[Tensor, ""]
    tokens: Mapping[int, Float[Tensor, "patches width"]]
    colours: Float[Tensor, "patches 3"]
    matches: Float[Tensor, "structure_patches patches"]
    gamut: Float[Tensor, "1 1 cells cells cells"]


class Painting:
    """The default method on one pair."""

    def __init__(
        self,
        structure: Float[Tensor, "1 3 height width"],
        appearance: Float[Tensor, "1 3 rows columns"],
        settings: Settings,
        vit: FrozenViT,
        random: torch.Generator,
    ) -> None:
        """Remembers what to work on; what is found once for the pair is found when it is needed.

        Args:
            structure: the structure image, in [0, 1], at the size of the painting.
            appearance: the appearance image, in [0, 1], of about that size.
            settings: of the run.
            vit: the frozen transformer, in the precision that the run starts with.
            random: draws looks, on the CPU.
        """
        self.structure, self.appearance = structure, appearance
        self.settings, self.random = settings, random
        self.first_vit = self.vit = vit
        self._looks: dict[int, list[Look]] = {}

    def use(self, vit: FrozenViT) -> None:
        """Looks with the same model in another precision from now on."""
        self.vit = vit
        self._looks.clear()
        self.__dict__.pop("wanted", None)

    def spare(self, vit: FrozenViT) -> None:
        """Looks with the same model, which takes less memory, from now on."""
        self.first_vit, self.vit = self.first_vit.spared(), vit

    def inputs(self, top: int, bottom: int) -> Float[Tensor, "1 inputs rows width"]:
        """Rows of what the generator is given."""
        return self.ground.inputs[:, :, top:bottom]

    def kind(self, step: int) -> str:
        """What a step (from 0) does, in words."""
        return f"seen at {self._side(step)} px"

    def losses(self, step: int, paint: Paint) -> dict[str, Float[Tensor, ""]]:
        """The terms at a step (from 0), weighted.

        Args:
            step: steps done.
            paint: what the generator paints for inputs.
        """
        weights, look = self.settings.objective, self.draw(step)
        output = self.finished(paint([self.ground.inputs])[0])
        seen = self._look(look.view.cut(output), look.short_side)
        terms = {
            "appearance": self._appearance(seen),
            "structure": objective.structure_term(
                self_similarity(seen.keys[self.vit.blocks]), look.similarity
            )
            / self.wanted.similarity_scale,
            **self._nearest(seen, look, look.view.cut(output)),
            "edges": objective.edge_term(
                output, self.structure, self.ground.outlines, self._outline_radius
            ),
            "gamut": gamut_term(output, self.wanted.gamut),
            "palette": palette_term(output, self.ground.palettes),
            "change": objective.change_term(output, self.ground.toned, self.ground.freedom),
        }
        return {name: getattr(weights, name) * value for name, value in terms.items()}

    def finished(
        self, painted: Float[Tensor, "1 3 height width"]
    ) -> Float[Tensor, "1 3 height width"]:
        """What the generator painted, as far as it is light, and texture where that is free.

        The toned picture and the change that was painted over it: of this the part that a local affine
        function of the structure image tells, and of the rest as much as the appearance image asks for.
        """
        light, _, texture = self._changes(painted)
        return (self.ground.toned + light + texture).clamp(0, 1)

    def delivered(
        self,
        painted: Float[Tensor, "1 3 height width"],
        photograph: Float[Tensor, "1 3 rows columns"],
    ) -> Float[Tensor, "1 3 rows columns"]:
        """The same, enlarged to the size of a photograph, and as sharp as that.

        What the photograph has that its enlarged small copy has not is added, through the slopes of the
        maps that made the picture of its colours.

        Args:
            painted: by the generator, in [0, 1].
            photograph: the structure image at the wanted size.
        """
        picture, size = self.finished(painted), photograph.shape[-2:]
        if size == picture.shape[-2:]:
            return picture
        _, maps, _ = self._changes(painted)
        maps = self.ground.maps + F.interpolate(maps, size=picture.shape[-2:], mode="bilinear")
        large, small = (
            F.interpolate(each, size=size, mode="bicubic") for each in (picture, self.structure)
        )
        return large.add_(detail(maps, photograph - small)).clamp_(0, 1)

    def _changes(self, painted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The change of light, the maps that tell it, and the free texture."""
        ground = self.ground
        change = painted - ground.toned.clamp(DARKEST, 1 - DARKEST)
        maps = ground.light.maps(change)
        light = applied(maps, self.structure)
        return light, maps, ground.freedom * (change - light)

    def _appearance(self, seen: Features) -> Float[Tensor, ""]:
        wanted = self.wanted
        return _mean(
            objective.appearance_term(seen.cls[block], token) / wanted.scales[block]
            for block, token in wanted.cls.items()
        )

    def _nearest(
        self, seen: Features, look: Look, output: Float[Tensor, "1 3 rows columns"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms on patches: their tokens in look, and their colours."""
        wanted, counts = self.wanted, self.ground.counts[look.patches]
        likeness = self.ground.semantics.likeness[look.patches]
        mass = (counts[:, None] * wanted.matches[look.patches]).sum(0)
        colours = F.interpolate(output, size=seen.grid, mode="area")[0].flatten(1).T
        looks, hues = [], []
        for block, tokens in wanted.tokens.items():
            costs = objective.token_costs(seen.tokens[block][0].float(), tokens)
            nearest = objective.nearest_tokens(costs, likeness, MEANING)
            looks.append(objective.nearest_term(costs, nearest, counts, mass))
            hues.append(objective.colour_term(colours, wanted.colours, nearest, counts, mass))
        return {"nearest": _mean(looks), "colour": _mean(hues)}

    @cached_property
    @torch.no_grad()
    def ground(self) -> Ground:
        """What the generator paints over and is given."""
        settings, structure = self.settings, self.structure
        semantics = find_semantics(self.first_vit, structure, self.appearance, settings.meaning)
        parts = find_parts(semantics, settings.tones, settings.seed)
        maps = tone_maps(structure, self.appearance, semantics, parts, settings.tones.strongest)
        toned = applied(maps, structure).clamp(0, 1)
        random = torch.Generator().manual_seed(settings.seed)
        noise = torch.randn(1, NOISE_CHANNELS, *structure.shape[-2:], generator=random)
        inputs = [
            4 * (structure - 0.5),
            semantics.codes[:, :CODES],
            NOISE * noise.to(structure),
            torch.logit(toned.clamp(DARKEST, 1 - DARKEST)),
        ]
        codes = semantics.patch_codes(semantics.codes.shape[1])
        groups = nearest_centre(codes, k_means(codes, GROUPS, random))
        return Ground(
            semantics,
            maps,
            toned,
            Light(structure),
            freedom(self.appearance, toned, semantics, parts),
            torch.cat(inputs, 1).contiguous(memory_format=torch.channels_last),
            objective.outlines_of(semantics.codes[:, :OUTLINE_CODES], self._outline_radius),
            objective.even_counts(groups, settings.objective.evenness),
            find_palettes(self.appearance, semantics, settings.objective.evenness, random),
        )

    @cached_property
    @torch.no_grad()
    def wanted(self) -> Wanted:
        """What the appearance image shows, and how far the structure image is from it."""
        settings, last = self.settings, self.vit.blocks
        side = settings.seen.short_side
        ours, theirs = (self._look(each, side) for each in (self.structure, self.appearance))
        # Self-similarities of pictures of one size can be compared.
        resized = F.interpolate(self.appearance, size=self.structure.shape[-2:])
        other = self._look(resized, side)
        between = objective.structure_term(
            self_similarity(ours.keys[last]), self_similarity(other.keys[last])
        )
        large = self.vit(
            self.appearance,
            tokens=self._token_blocks,
            short_side=settings.meaning.short_side,
            long_side=LONG_SIDE,
        )
        semantics = self.ground.semantics
        scales = {
            block: objective.appearance_term(ours.cls[block], theirs.cls[block])
            for block in self._cls_blocks
        }
        return Wanted(
            theirs.cls,
            {block: _or_one(value) for block, value in scales.items()},
            _or_one(between),
            {block: tokens[0].float() for block, tokens in large.tokens.items()},
            F.interpolate(self.appearance, size=large.grid, mode="area")[0].flatten(1).T,
            torch.softmax(semantics.likeness / MATCHES_TEMPERATURE, 1),
            gamut_of(self.appearance),
        )

    def draw(self, step: int) -> Look:
        """How the output is looked at in a step (from 0)."""
        looks = self._looks_at(self._side(step))
        return looks[int(torch.randint(len(looks), (), generator=self.random))]

    def _side(self, step: int) -> int:
        seen = self.settings.seen
        coarsely = step < seen.until * self.settings.steps
        return seen.coarse_short_side if coarsely else seen.short_side

    def _looks_at(self, short_side: int) -> list[Look]:
        if short_side not in self._looks:
            grid, seed = self.ground.semantics.structure_grid, self.settings.seed
            self._looks[short_side] = draw_looks(self.structure, self.vit, short_side, grid, seed)
        return self._looks[short_side]

    def _look(self, image: Float[Tensor, "1 3 rows columns"], short_side: int) -> Features:
        return self.vit(
            image,
            cls=self._cls_blocks,
            keys=[self.vit.blocks],
            tokens=self._token_blocks,
            short_side=short_side,
            long_side=LONG_SIDE,
        )

    @property
    def _cls_blocks(self) -> list[int]:
        return self.vit.blocks_at(self.settings.objective.cls_depths)

    @property
    def _token_blocks(self) -> list[int]:
        return self.vit.blocks_at(self.settings.objective.token_depths)

    @property
    def _outline_radius(self) -> int:
        return max(1, round(OUTLINE_RADIUS * min(self.structure.shape[-2:]) / 256))


def _mean(values: Iterable[Tensor]) -> Float[Tensor, ""]:
    return torch.stack(list(values)).mean()


def _or_one(scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """A picture paired with itself has nothing to be measured by."""
    return torch.where(scale > 0, scale, torch.ones_like(scale))
