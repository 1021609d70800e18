"""The standard vision transformer, which the embedded weights fit.

It holds parameters under the names that timm gives them, and computes nothing:
`splice.backbones.features` does.
timm builds the same module, and any other, but takes seconds to import.
"""

from __future__ import annotations

from torch import Tensor, empty, nn

from splice.backbones.registry import Backbone

HEAD_CHANNELS = 64
"""Channels of a head in every ViT of Dosovitskiy et al., 2021 (table 1)."""

EPSILON = 1e-6
"""Of the layer normalisations."""


class Attention(nn.Module):
    """Weights of attention with several heads."""

    def __init__(self, width: int) -> None:
        """Queries, keys and values in one matrix."""
        super().__init__()
        self.num_heads = width // HEAD_CHANNELS
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q_norm, self.k_norm = nn.Identity(), nn.Identity()


class Mlp(nn.Module):
    """Weights of a feed-forward layer of four times the width."""

    def __init__(self, width: int) -> None:
        """Two matrices with GELU between them."""
        super().__init__()
        self.fc1, self.act, self.fc2 = (
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )
        self.norm = nn.Identity()


class LayerScale(nn.Module):
    """A factor for each channel of a branch (Touvron et al., 2021, eq. 4)."""

    def __init__(self, width: int) -> None:
        """Without values."""
        super().__init__()
        self.gamma = nn.Parameter(empty(width))


class Block(nn.Module):
    """Weights of a pre-norm block."""

    def __init__(self, width: int) -> None:
        """Attention, then the feed-forward layer, each with a norm before and a scale after it."""
        super().__init__()
        self.norm1, self.attn, self.ls1 = (
            nn.LayerNorm(width, EPSILON),
            Attention(width),
            LayerScale(width),
        )
        self.norm2, self.mlp, self.ls2 = nn.LayerNorm(width, EPSILON), Mlp(width), LayerScale(width)


class PatchEmbed(nn.Module):
    """Weights of the projection of patches."""

    def __init__(self, patch: int, width: int, side: int) -> None:
        """For square pictures of that many patches along a side."""
        super().__init__()
        self.patch_size, self.grid_size = (patch, patch), (side, side)
        self.proj = nn.Conv2d(3, width, patch, stride=patch)


class StandardViT(nn.Module):
    """Weights of a standard ViT with [CLS], learnt positions and layer scales, as DINOv2's."""

    reg_token: Tensor | None = None
    num_prefix_tokens = 1

    def __init__(self, backbone: Backbone, position_side: int) -> None:
        """Without values.

        Args:
            backbone: whose patch, width and blocks.
            position_side: patches along a side of the square that positions were learnt for.
        """
        super().__init__()
        width = self.embed_dim = backbone.width
        self.patch_embed = PatchEmbed(backbone.patch, width, position_side)
        self.cls_token = nn.Parameter(empty(1, 1, width))
        self.pos_embed = nn.Parameter(empty(1, 1 + position_side**2, width))
        self.norm_pre = nn.Identity()
        self.blocks = nn.Sequential(*[Block(width) for _ in range(backbone.blocks)])
        self.norm = nn.LayerNorm(width, EPSILON)
