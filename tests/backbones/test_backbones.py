import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

import splice
from splice.backbones.registry import BACKBONES, DEFAULT_BACKBONE, find_backbone
from splice.errors import InputError


@pytest.mark.parametrize("name", BACKBONES)
def test_an_entry_says_what_timm_builds(name: str) -> None:
    backbone = find_backbone(name)
    with torch.device("meta"):
        model = timm.create_model(backbone.timm_id, num_classes=0, dynamic_img_size=True)
    config = timm.get_pretrained_cfg(backbone.timm_id)
    assert backbone.name == name
    assert (backbone.patch, backbone.patch) == tuple(model.patch_embed.patch_size)
    assert backbone.width == model.embed_dim == model.norm.weight.numel()
    assert backbone.blocks == len(model.blocks)
    assert backbone.registers == model.num_prefix_tokens - 1
    assert backbone.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert (backbone.mean, backbone.std) == (tuple(config.mean), tuple(config.std))
    assert backbone.licence.lower().replace(" ", "-") == config.license.lower()
    assert backbone.description and "\n" not in backbone.description


def test_only_the_default_is_embedded() -> None:
    embedded = [backbone.name for backbone in BACKBONES.values() if backbone.source != "hub"]
    assert embedded == [DEFAULT_BACKBONE] == ["dinov2_vits14"]


def test_an_unknown_name_lists_the_choices_and_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        find_backbone("dino_vitb9")
    message = str(caught.value)
    assert "did you mean dino_vitb8" in message
    assert all(name in message for name in BACKBONES)
    assert "timm:" in message


def test_a_name_like_no_other_suggests_nothing() -> None:
    with pytest.raises(InputError, match="no backbone is called 'zzz'; the choices are"):
        find_backbone("zzz")


def test_any_vit_of_timm() -> None:
    backbone = find_backbone("timm:test_vit")
    assert backbone.timm_id == "test_vit.r160_in1k"  # the default tag, spelled out
    assert (backbone.patch, backbone.width, backbone.blocks) == (16, 64, 6)
    assert (backbone.registers, backbone.source) == (0, "hub")


def test_a_distillation_token_counts_as_a_register() -> None:
    assert find_backbone("timm:deit_small_distilled_patch16_224").registers == 1


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("timm:vit_smal_patch16_224", "did you mean vit_small"),
        ("timm:", "timm has no model ''"),
        ("timm:test_vit.nonsense", "it has test_vit.r160_in1k"),
        ("timm:resnet18", "must be a vision transformer"),
        ("timm:vit_base_patch16_siglip_224", r"has a \[CLS\] token"),
        ("timm:vit_small_r26_s32_224", "must be a vision transformer"),  # a hybrid
        ("timm:samvit_base_patch16", "must be a vision transformer"),
    ],
)
def test_what_cannot_be_a_backbone_is_refused_in_a_sentence(name: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        find_backbone(name)


def test_the_registry_needs_neither_torch_nor_timm() -> None:
    code = (
        "import sys; from splice.backbones.registry import find_backbone; find_backbone('dino_vitb8');"
        "sys.exit(any(name in sys.modules for name in ('torch', 'timm', 'numpy')))"
    )
    root = Path(splice.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0
