"""Transformer blocks of a frozen ViT, arranged for speed: constants are folded into the weights once.

A frozen block need not carry the affine part of its normalisations or its layer scales as separate
operations: both are folded into the neighbouring matrices. What is left does the same sums with fewer
passes over memory, forward and backward.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splice.backbones.fixed_order import in_order

Rope = Float[Tensor, "..."] | None


class Projections(NamedTuple):
    """Queries, keys and values of one block, heads apart, before any rotary embedding."""

    queries: Float[Tensor, "batch heads tokens channels"]
    keys: Float[Tensor, "batch heads tokens channels"]
    values: Float[Tensor, "batch heads tokens channels"]


FEW_TOKENS = 1_024
"""Up to so many tokens, a CPU learns through attention faster by plain products (see `attend`)."""

QUERIES = 128
"""So many queries at once keep their weights in a processor's cache."""


def attend(
    queries: Float[Tensor, "batch heads some channels"],
    keys: Float[Tensor, "batch heads tokens channels"],
    values: Float[Tensor, "batch heads tokens channels"],
) -> Float[Tensor, "batch heads some channels"]:
    """Attention (Vaswani et al., 2017, eq. 1): softmax(Q Kᵀ / √channels) V.

    Torch's fused kernel, which never holds all weights at once; but on a CPU plain products if a
    gradient is wanted and the weights are few, as the kernel's backward pass is slow there, and in
    bfloat16 without a gradient, for some queries at a time, which takes half as long.
    """
    if queries.device.type == "cpu":
        if torch.is_grad_enabled() and queries.requires_grad:
            if keys.shape[-2] <= FEW_TOKENS:
                return _by_products(queries, keys, values)
        elif queries.dtype == torch.bfloat16:
            parts = queries.split(QUERIES, -2)
            return torch.cat([_by_products(part, keys, values) for part in parts], -2)
    if queries.device.type != "cuda" or torch.compiler.is_compiling():
        return F.scaled_dot_product_attention(queries, keys, values)
    return in_order(F.scaled_dot_product_attention, queries, keys, values)


def _by_products(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    return scores.softmax(-1) @ values


class FoldedBlock(nn.Module):
    """A standard pre-norm block (Dosovitskiy et al., 2021, eq. 2-3) with its constants folded.

    With LN(x) = γ·n(x) + β before a matrix W, x̂ = n(x): W·LN(x) + b = (W·γ) x̂ + (b + W·β); with a layer
    scale λ after it: λ·(Wx + b) = (λ·W) x + λ·b.
    """

    def __init__(self, block: Any) -> None:
        """Folds a timm `vision_transformer.Block`; the block itself is left as it was."""
        super().__init__()
        attention, mlp = block.attn, block.mlp
        self.heads: int = attention.num_heads
        self.epsilon: float = block.norm1.eps
        self.mlp_epsilon: float = block.norm2.eps
        self.activation: Callable[[Tensor], Tensor] = mlp.act
        self.query_norm, self.key_norm = attention.q_norm, attention.k_norm
        self.qkv = _fold(attention.qkv, before=block.norm1)
        self.output = _fold(attention.proj, after=block.ls1)
        self.expand = _fold(mlp.fc1, before=block.norm2)
        self.contract = _fold(mlp.fc2, after=block.ls2)

    @staticmethod
    def fits(block: Any) -> bool:
        """Whether the timm block has the standard shape that this class folds."""
        mlp, attention = getattr(block, "mlp", None), getattr(block, "attn", None)
        return (
            type(block).__name__ == "Block"
            and type(mlp).__name__ == "Mlp"
            and isinstance(getattr(mlp, "norm", None), nn.Identity)
            and type(attention).__name__ == "Attention"
            and isinstance(getattr(attention, "norm", nn.Identity()), nn.Identity)
            and getattr(attention, "gate", None) is None
            and all(isinstance(norm, nn.LayerNorm) for norm in (block.norm1, block.norm2))
        )

    def project(self, x: Float[Tensor, "batch tokens width"]) -> Projections:
        """Queries, keys and values of the residual stream x."""
        batch, tokens, width = x.shape
        normed = F.layer_norm(x, (width,), eps=self.epsilon).to(self.qkv.weight.dtype)
        queries, keys, values = (
            self.qkv(normed).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        )
        return Projections(self.query_norm(queries), self.key_norm(keys), values)

    def finish(
        self, x: Float[Tensor, "batch tokens width"], projections: Projections, rope: Rope = None
    ) -> Float[Tensor, "batch some width"]:
        """The residual stream leaving the block, for the first tokens that x holds.

        The queries may be fewer than the keys: then only those tokens leave the block.
        """
        queries, keys, values = projections
        if rope is not None:
            raise ValueError("a standard block has no rotary embedding")
        mixed = attend(queries, keys, values)
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        normed = F.layer_norm(x, (x.shape[-1],), eps=self.mlp_epsilon).to(self.expand.weight.dtype)
        return x + self.contract(self.activation(self.expand(normed)))


class PlainBlock(nn.Module):
    """A timm pre-norm block as it is: rotary positions, any feed-forward layer, nothing folded."""

    def __init__(self, block: Any) -> None:
        """Wraps the timm block."""
        super().__init__()
        self.block = block
        self.prefix: int = getattr(block.attn, "num_prefix_tokens", 0)
        self.rotate_half: bool = bool(getattr(block.attn, "rotate_half", False))

    @staticmethod
    def fits(block: Any) -> bool:
        """Whether the timm block does what this class does, and no more."""
        attention = getattr(block, "attn", None)
        return (
            type(block).__name__ in ("Block", "EvaBlock")
            and type(attention).__name__ in ("Attention", "AttentionRope", "EvaAttention")
            and getattr(attention, "gate", None) is None
            and getattr(attention, "num_kv_groups", 1) == 1
        )

    def project(self, x: Float[Tensor, "batch tokens width"]) -> Projections:
        """Queries, keys (before the rotary embedding) and values of the residual stream x."""
        attention = self.block.attn
        batch, tokens, _ = x.shape
        normed = self.block.norm1(x.to(self.block.norm1.weight.dtype))
        if attention.qkv is not None:
            bias = attention.qkv.bias
            if getattr(attention, "q_bias", None) is not None:
                bias = torch.cat((attention.q_bias, attention.k_bias, attention.v_bias))
            joined = F.linear(normed, attention.qkv.weight, bias)
            parts = joined.view(batch, tokens, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
            queries, keys, values = parts.unbind(0)
        else:
            queries, keys, values = (
                layer(normed).view(batch, tokens, attention.num_heads, -1).transpose(1, 2)
                for layer in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
        return Projections(attention.q_norm(queries), attention.k_norm(keys), values)

    def rotate(
        self, heads: Float[Tensor, "batch heads tokens channels"], rope: Rope
    ) -> Float[Tensor, "batch heads tokens channels"]:
        """The rotary embedding on patch tokens; [CLS] and registers stay as they are."""
        if rope is None or heads.shape[2] <= self.prefix:
            return heads
        # Here, as timm takes seconds to import, and most backbones have no such embedding.
        from timm.layers.pos_embed_sincos import apply_rot_embed_cat

        rotated = apply_rot_embed_cat(heads[:, :, self.prefix :], rope, half=self.rotate_half)
        return torch.cat([heads[:, :, : self.prefix], rotated.to(heads.dtype)], 2)

    def finish(
        self, x: Float[Tensor, "batch tokens width"], projections: Projections, rope: Rope = None
    ) -> Float[Tensor, "batch some width"]:
        """The residual stream leaving the block, for the first tokens that x holds."""
        queries, keys, values = projections
        queries, keys = self.rotate(queries, rope), self.rotate(keys, rope)
        mixed = attend(queries, keys, values).transpose(1, 2).flatten(2)
        attention, block = self.block.attn, self.block
        mixed = attention.proj(getattr(attention, "norm", nn.Identity())(mixed))
        x = x + self._scaled(mixed, 1)
        hidden = block.mlp(block.norm2(x.to(block.norm2.weight.dtype)))
        return x + self._scaled(hidden, 2)

    def _scaled(self, branch: Tensor, number: int) -> Tensor:
        """The branch times its layer scale, which timm's two kinds of block keep differently."""
        if hasattr(self.block, f"ls{number}"):
            return getattr(self.block, f"ls{number}")(branch)
        scale = getattr(self.block, f"gamma_{number}")
        return branch if scale is None else scale * branch


@torch.no_grad()
def _fold(layer: Any, before: Any = None, after: Any = None) -> nn.Linear:
    """A copy of the linear layer with a normalisation's affine before it and a layer scale after it."""
    weight = layer.weight.double()
    bias = layer.bias.double() if layer.bias is not None else weight.new_zeros(weight.shape[0])
    if before is not None and getattr(before, "weight", None) is not None:
        if before.bias is not None:
            bias = bias + weight @ before.bias.double()
        weight = weight * before.weight.double()
    if after is not None and hasattr(after, "gamma"):
        weight, bias = weight * after.gamma.double()[:, None], bias * after.gamma.double()
    folded = nn.Linear(weight.shape[1], weight.shape[0])
    folded.weight = nn.Parameter(weight.float(), requires_grad=False)
    folded.bias = nn.Parameter(bias.float(), requires_grad=False)
    return folded
