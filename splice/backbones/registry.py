"""The registry of frozen vision transformers that Splice can look through, by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from splice.errors import InputError

DEFAULT_BACKBONE = "dinov2_vits14"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """One vision transformer: what it is, not its weights.

    Attributes:
        name: how settings and options name it.
        timm_id: the model's id in timm, `architecture.tag`.
        patch: side of a patch, in pixels.
        width: dimension of a token.
        blocks: number of transformer blocks.
        registers: number of register tokens between [CLS] and the patches.
        mean: of the pixels that it was trained with, RGB in [0, 1], subtracted from an image.
        std: deviation of those pixels, which the image is divided by.
        source: `embedded` (weights from the package index, no model hub needed) or `hub`.
        licence: of the weights, as an SPDX identifier where there is one.
        parameters: number of weights; four bytes each in a file.
        description: one line for lists.
    """

    name: str
    timm_id: str
    patch: int
    width: int
    blocks: int
    source: str
    licence: str
    parameters: int
    description: str
    registers: int = 0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


_SIZES = {"s": ("small", 384, 12), "b": ("base", 768, 12), "l": ("large", 1024, 24)}


def _dino(size: str, patch: int, parameters: int, description: str) -> Backbone:
    word, width, blocks = _SIZES[size]
    return Backbone(
        name=f"dino_vit{size}{patch}",
        timm_id=f"vit_{word}_patch{patch}_224.dino",
        patch=patch,
        width=width,
        blocks=blocks,
        source="hub",
        licence="Apache-2.0",
        parameters=parameters,
        description=description,
    )


def _dinov2(
    size: str, registers: int, parameters: int, description: str, source: str = "hub"
) -> Backbone:
    word, width, blocks = _SIZES[size]
    return Backbone(
        name=f"dinov2_vit{size}14" + ("_reg" if registers else ""),
        timm_id=f"vit_{word}_patch14_{'reg4_' if registers else ''}dinov2.lvd142m",
        patch=14,
        width=width,
        blocks=blocks,
        source=source,
        licence="Apache-2.0",
        parameters=parameters,
        description=description,
        registers=registers,
    )


def _dinov3(size: str, parameters: int, description: str) -> Backbone:
    word, width, blocks = _SIZES[size]
    return Backbone(
        name=f"dinov3_vit{size}16",
        timm_id=f"vit_{word}_patch16_dinov3.lvd1689m",
        patch=16,
        width=width,
        blocks=blocks,
        source="hub",
        licence="DINOv3 License",
        parameters=parameters,
        description=description,
        registers=4,
    )


BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        _dinov2(
            "s",
            0,
            22_056_192,
            "DINOv2 ViT-S/14, the default: needs no model hub",
            source="embedded",
        ),
        _dino("b", 8, 85_807_872, "DINO ViT-B/8, the paper's"),
        _dino("s", 8, 21_670_272, "DINO ViT-S/8, fine patches at a third of the cost of ViT-B/8"),
        _dino("b", 16, 85_798_656, "DINO ViT-B/16"),
        _dino("s", 16, 21_665_664, "DINO ViT-S/16, the fastest of the DINO family"),
        _dinov2("s", 4, 22_057_344, "DINOv2 ViT-S/14 with four registers"),
        _dinov2("b", 0, 86_579_712, "DINOv2 ViT-B/14"),
        _dinov2("b", 4, 86_582_016, "DINOv2 ViT-B/14 with four registers"),
        _dinov2("l", 0, 304_367_616, "DINOv2 ViT-L/14"),
        _dinov2("l", 4, 304_370_688, "DINOv2 ViT-L/14 with four registers"),
        _dinov3("s", 21_586_944, "DINOv3 ViT-S/16, rotary positions, four registers"),
        _dinov3("b", 85_641_216, "DINOv3 ViT-B/16, rotary positions, four registers"),
        _dinov3("l", 303_079_424, "DINOv3 ViT-L/16, rotary positions, four registers"),
        Backbone(
            name="vit_base_patch8_224",
            # The tag that this name meant in timm when the paper was written.
            timm_id="vit_base_patch8_224.augreg_in21k_ft_in1k",
            patch=8,
            width=768,
            blocks=12,
            source="hub",
            licence="Apache-2.0",
            parameters=85_807_872,
            description="supervised ViT-B/8, for the paper's comparison of inversions",
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
    )
}


def find_backbone(name: str) -> Backbone:
    """The backbone of that name.

    Args:
        name: a name in `BACKBONES`, or `timm:` and the id of any ViT of timm with a [CLS] token.

    Raises:
        InputError: no such backbone, with the nearest names and the choices, or a timm model
            that is not a plain vision transformer with a [CLS] token.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if name.startswith("timm:"):
        return _from_timm(name)
    close = difflib.get_close_matches(name, BACKBONES, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(close)}" if close else ""
    raise InputError(
        f"no backbone is called '{name}'{hint}; the choices are {', '.join(BACKBONES)}, "
        "or timm:ID for any ViT of timm"
    )


def _from_timm(name: str) -> Backbone:
    import timm
    import torch
    from timm.layers.patch_embed import PatchEmbed
    from timm.models import PretrainedCfg
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    timm_id = name.removeprefix("timm:")
    architecture, _, tag = timm_id.partition(".")
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models("*vit*"), n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise InputError(f"timm has no model '{architecture}' (from '{name}'){hint}")
    tags = timm.list_models(architecture + ".*", pretrained=True)
    if tag and timm_id not in tags:
        raise InputError(
            f"timm has no weights '{timm_id}'; it has {', '.join(tags) or 'none for this model'}"
        )
    not_a_vit = InputError(
        f"'{timm_id}' cannot be a backbone: it must be a vision transformer of timm "
        "that has a [CLS] token, square patches and takes images of any size"
    )
    try:
        # The meta device gives every shape without any memory or initialisation.
        with torch.device("meta"):
            model = timm.create_model(timm_id, num_classes=0, dynamic_img_size=True)
    except TypeError as error:  # an architecture that knows no dynamic_img_size
        raise not_a_vit from error
    if not isinstance(model, (VisionTransformer, Eva)) or model.cls_token is None:
        raise not_a_vit
    # A hybrid has convolutions in the place of the patches' projection.
    rows, columns = getattr(model.patch_embed, "patch_size", (0, 1))
    if not isinstance(model.patch_embed, PatchEmbed) or rows != columns:
        raise not_a_vit
    config = timm.get_pretrained_cfg(timm_id) or PretrainedCfg()
    return Backbone(
        name=name,
        timm_id=f"{architecture}.{config.tag}" if config.tag else architecture,
        patch=int(rows),
        width=model.embed_dim,
        blocks=len(model.blocks),
        source="hub",
        licence=config.license or "unknown",
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        description=f"{timm_id} of timm",
        registers=model.num_prefix_tokens - 1,
        mean=_three(config.mean),
        std=_three(config.std),
    )


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue
