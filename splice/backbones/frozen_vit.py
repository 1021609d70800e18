"""The frozen vision transformer: pictures to features, differentiable in the picture alone.

Dosovitskiy et al., "An Image Is Worth 16x16 Words" (ICLR 2021), of which the models of DINO and DINOv2
are trained without labels. Weights and names are timm's; the passes are our own, for their speed.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from splice.backbones.blocks import FoldedBlock, PlainBlock, Projections
from splice.backbones.compiling import compiled
from splice.backbones.features import Features, together
from splice.backbones.patch_grid import PatchEmbedding, resampled_positions, resize_to_patches
from splice.backbones.registry import Backbone, find_backbone
from splice.backbones.weights import Provenance, load_vit
from splice.errors import InputError


class FrozenViT(nn.Module):
    """A vision transformer without gradients to its weights, differentiable in the image.

    Attributes:
        backbone: the registry's entry.
        patch: side of a patch, in pixels.
        width: numbers of a token.
        blocks: how many there are; the deepest has this number.
        prefix: tokens before those of the patches, [CLS] first.
        provenance: where the weights came from, with their sha256; None for a model made by hand.
        sparing: whether memory is spared, see `spared`.
    """

    sparing = False
    _compiled: Callable[..., dict[str, dict[int, Tensor]]] | None = None

    def __init__(
        self,
        vit: Any,
        backbone: Backbone,
        provenance: Provenance | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Takes a timm `VisionTransformer` or `Eva` and folds its constants.

        Args:
            vit: the timm model; it can be dropped afterwards.
            backbone: its registry entry.
            provenance: where its weights came from.
            dtype: precision of the matrix products; the residual stream stays float32.

        Raises:
            InputError: its blocks are not of the pre-norm kind with plain attention.
        """
        super().__init__()
        self.backbone, self.provenance = backbone, provenance
        self.patch: int = int(vit.patch_embed.patch_size[0])
        self.width: int = int(vit.embed_dim)
        self.blocks: int = len(vit.blocks)
        self.prefix: int = int(vit.num_prefix_tokens)
        self.embed = PatchEmbedding(3, self.width, self.patch, stride=self.patch)
        self.embed.fold(vit.patch_embed.proj, backbone.mean, backbone.std)
        self.no_embed_class = bool(getattr(vit, "no_embed_class", False))
        self.positions = vit.pos_embed
        self.position_grid = tuple(vit.patch_embed.grid_size)
        # Models that were distilled have a second token of that kind.
        tokens = (vit.cls_token, getattr(vit, "dist_token", None), vit.reg_token)
        self.first = nn.Parameter(torch.cat([token for token in tokens if token is not None], 1))
        self.rope = getattr(vit, "rope", None)
        self.rope_by_block = bool(getattr(vit, "rope_mixed", False))
        self.norm_pre = vit.norm_pre
        self.layers = nn.ModuleList([_layer(block, backbone) for block in vit.blocks])
        self._resampled: dict[tuple[int, int], Tensor] = {}
        self.requires_grad_(False).eval()
        self.layers.to(dtype)

    @classmethod
    def load(
        cls,
        name: str = "dinov2_vits14",
        *,
        device: str | torch.device = "cpu",
        weights: Path | str | None = None,
        dtype: torch.dtype = torch.float32,
        progress: Callable[..., Any] | None = None,
    ) -> "FrozenViT":
        """The backbone of that name with its weights, on a device.

        Args:
            name: of the registry, or `timm:NAME`.
            device: where it computes.
            weights: a file of them, `~` being the home folder; None or "" for the usual ones.
            dtype: precision of the matrix products.
            progress: told of downloads.

        Raises:
            InputError: an unknown name, or a weight file that does not fit.
            RunError: weights that could not be fetched.
        """
        backbone = find_backbone(name)
        file = Path(weights).expanduser() if weights else None
        vit, provenance = load_vit(backbone, file, progress)
        return cls(vit, backbone, provenance, dtype).to(device)

    def blocks_at(self, depths: Iterable[float]) -> list[int]:
        """The blocks nearest to fractions of the depth, in rising order, each once."""
        return sorted({max(1, round(depth * self.blocks)) for depth in depths})

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the matrix products."""
        return next(self.layers.parameters()).dtype

    def at_precision(self, dtype: torch.dtype) -> "FrozenViT":
        """This model with matrix products in another precision; itself if it has that already.

        The residual stream stays float32. The embedding is shared, and so are the blocks where
        nothing changes; this model stays as it is.
        """
        if self.dtype == dtype:
            return self
        other = copy(self)
        other._modules = {**self._modules, "layers": deepcopy(self.layers).to(dtype)}
        return other

    def spared(self) -> "FrozenViT":
        """This model with the same weights, taking less memory and a third more time.

        It sees the images of a batch one by one, and computes what is inside a block a second time
        for the gradient rather than keep it. This model stays as it is.
        """
        other = copy(self)
        other.sparing = True
        return other

    def compiled(self) -> "FrozenViT":
        """This model with its blocks compiled for passes with a gradient that spare no memory.

        This model stays as it is.
        """
        other = copy(self)
        other._compiled = compiled(FrozenViT._through_blocks, "the vision transformer")
        return other

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        *,
        cls: Iterable[int] = (),
        tokens: Iterable[int] = (),
        keys: Iterable[int] = (),
        queries: Iterable[int] = (),
        values: Iterable[int] = (),
        attention: Iterable[int] = (),
        short_side: int | None = 224,
        long_side: int | None = 480,
    ) -> Features:
        """Features at the blocks asked for, in one pass that ends where the last of them is known.

        Args:
            images: sRGB in [0, 1].
            cls: blocks whose leaving [CLS] is wanted; the other kinds likewise.
            tokens: blocks whose leaving patch tokens are wanted.
            keys: blocks whose keys are wanted.
            queries: blocks whose queries are wanted.
            values: blocks whose values are wanted.
            attention: blocks whose [CLS] attention is wanted.
            short_side: px that the short side is resized to before the patches are cut; None keeps
                the size (then both sides must be multiples of the patch).
            long_side: px that the long side is cut down to, at most.

        Raises:
            InputError: a block outside 1 … blocks, or a size that the patches do not divide.
        """
        wanted = {"cls": set(cls), "tokens": set(tokens), "keys": set(keys)}
        wanted |= {"queries": set(queries), "values": set(values), "attention": set(attention)}
        for kind, blocks in wanted.items():
            for block in blocks:
                if not 1 <= block <= self.blocks:
                    raise InputError(
                        f"block {block} of {kind}: {self.backbone.name} has blocks 1 to {self.blocks}"
                    )
        images = resize_to_patches(images, self.patch, short_side, long_side)
        if not self.sparing:
            return self._see(images, wanted)
        return together([self._see(image, wanted) for image in images.split(1)])

    def _see(
        self, images: Float[Tensor, "batch 3 height width"], wanted: Mapping[str, set[int]]
    ) -> Features:
        x, grid, rope = self._embed(images)
        through = FrozenViT._through_blocks
        if self._compiled is not None and x.requires_grad and not self.sparing:
            through = self._compiled
        return Features(grid, **through(self, x, rope, wanted))

    def _through_blocks(
        self, x: Tensor, rope: Tensor | None, wanted: Mapping[str, set[int]]
    ) -> dict[str, dict[int, Tensor]]:
        """What is wanted of the blocks, by kind and block, from the embedded patches x."""
        found: dict[str, dict[int, Tensor]] = {kind: {} for kind in wanted}
        last = max((block for blocks in wanted.values() for block in blocks), default=0)
        for index in range(1, last + 1):
            kinds = {kind for kind, blocks in wanted.items() if index in blocks}
            angles = rope[index - 1] if rope is not None and self.rope_by_block else rope
            inputs = (x, self.layers[index - 1], kinds, index == last, angles)
            if self.sparing and x.requires_grad:
                x, taken = checkpoint(  # pyright: ignore[reportGeneralTypeIssues]
                    self._block, *inputs, use_reentrant=False, preserve_rng_state=False
                )
            else:
                x, taken = self._block(*inputs)
            for kind, value in taken.items():
                found[kind][index] = value
        return found

    def _block(
        self, x: Tensor, layer: Any, kinds: set[str], last: bool, rope: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The residual stream leaving a block, and what is wanted of it; the last may do less."""
        projections: Projections = layer.project(x)
        taken = {
            kind: self._join(getattr(projections, kind))
            for kind in ("queries", "keys", "values")
            if kind in kinds
        }
        if "attention" in kinds:
            taken["attention"] = self._attention(layer, projections, rope)
        if last:
            if not kinds & {"cls", "tokens"}:
                return x, taken
            if "tokens" not in kinds:
                x = x[:, :1]
                projections = projections._replace(queries=projections.queries[:, :, :1])
        x = layer.finish(x, projections, rope)
        if "cls" in kinds:
            taken["cls"] = x[:, 0]
        if "tokens" in kinds:
            taken["tokens"] = x[:, self.prefix :]
        return x, taken

    def _embed(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch tokens channels"], tuple[int, int], Tensor | None]:
        """[CLS], registers and patch embeddings with their positions; the grid; rotary angles."""
        grid = (images.shape[-2] // self.patch, images.shape[-1] // self.patch)
        x = self.embed(images.to(self.embed.weight.dtype))
        first = self.first.expand(len(x), -1, -1)
        if self.positions is None:
            x = torch.cat([first, x], 1)
        elif self.no_embed_class:
            x = torch.cat([first, x + self._positions(grid)], 1)
        else:
            x = torch.cat([first, x], 1) + self._positions(grid)
        rope = None if self.rope is None else self.rope.get_embed(shape=list(grid))
        return self.norm_pre(x), grid, rope

    def _positions(self, grid: tuple[int, int]) -> Float[Tensor, "1 tokens width"]:
        """The position embedding resampled to the grid, remembered for each grid."""
        kept = self._resampled.get(grid)
        if kept is None or kept.device != self.positions.device:
            first = 0 if self.no_embed_class else self.prefix
            kept = resampled_positions(self.positions.float(), self.position_grid, grid, first)
            kept = kept.to(self.embed.weight.dtype)
            self._resampled[grid] = kept
        return kept

    def _join(
        self, heads: Float[Tensor, "batch heads tokens channels"]
    ) -> Float[Tensor, "batch kept width"]:
        """Heads concatenated, registers dropped, in the precision of the residual stream."""
        joined = heads.transpose(1, 2).flatten(2).to(self.embed.weight.dtype)
        if self.prefix == 1:
            return joined
        return torch.cat([joined[:, :1], joined[:, self.prefix :]], 1)

    def _attention(
        self, layer: Any, projections: Projections, rope: Tensor | None
    ) -> Float[Tensor, "batch heads patches"]:
        """Softmax over all tokens of the [CLS] query against the keys, cut to the patches."""
        queries, keys = projections.queries[:, :, :1], projections.keys
        if rope is not None:
            keys = layer.rotate(keys, rope)
        scores = queries.float() @ keys.float().transpose(-1, -2) / keys.shape[-1] ** 0.5
        return scores.softmax(-1)[:, :, 0, self.prefix :]


def _layer(block: Any, backbone: Backbone) -> FoldedBlock | PlainBlock:
    for kind in (FoldedBlock, PlainBlock):
        if kind.fits(block):
            return kind(block)
    raise InputError(
        f"{backbone.name} cannot be a backbone: its blocks ({type(block).__name__}) are not of the "
        "usual kind, with a norm before plain attention and before the feed-forward layer"
    )
