"""Weights from files: which layouts are understood, and what is refused."""

import argparse
import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splice.backbones.registry import Backbone, find_backbone
from splice.backbones.weights import load_vit
from splice.errors import InputError

TINY = find_backbone("timm:test_vit.r160_in1k")


def create(backbone: Backbone, **options) -> torch.nn.Module:
    torch.manual_seed(0)
    model = timm.create_model(backbone.timm_id, dynamic_img_size=True, **options).eval()
    # timm starts some parameters at 0 or 1, where an exchange would not be noticed.
    for parameter in model.parameters():
        torch.nn.init.trunc_normal_(parameter, std=0.05)
    return model


@pytest.fixture(scope="module")
def tiny() -> torch.nn.Module:
    return create(TINY, num_classes=10)


@torch.no_grad()
def assert_same(found: torch.nn.Module, expected: torch.nn.Module, patch: int, **tolerance) -> None:
    pixels = torch.randn(1, 3, 4 * patch, 6 * patch, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        found.forward_features(pixels), expected.forward_features(pixels), **tolerance
    )


def wrap(state: dict, prefix: str) -> dict:
    return {prefix + name: value for name, value in state.items()}


HEAD = {"head.mlp.0.weight": torch.ones(3, 64), "head.last_layer.weight_g": torch.ones(5, 1)}
LAYOUTS = {
    "timm": lambda state: state,
    "without a head": lambda state: {k: v for k, v in state.items() if "head" not in k},
    "of a wrapped network": lambda state: wrap(state, "module."),
    "DINO's evaluation": lambda state: {"teacher": wrap(state, "backbone.")},
    "DINO's full checkpoint": lambda state: {
        "student": wrap({k: v * 0 for k, v in state.items()}, "module.backbone."),
        "teacher": wrap(state, "backbone.") | HEAD,
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
        "epoch": 300,
        "args": argparse.Namespace(arch="vit_small", patch_size=16),
    },
    "DINOv2's training": lambda state: {
        "teacher": wrap(state, "backbone.") | wrap({"w": torch.ones(2)}, "dino_head.")
    },
    "inside state_dict": lambda state: {"state_dict": wrap(state, "module."), "epoch": 3},
    "inside model": lambda state: {"model": state},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_torch_file(layout: str, legacy: bool, tiny, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(LAYOUTS[layout](tiny.state_dict()), path, _use_new_zipfile_serialization=not legacy)
    vit, provenance = load_vit(TINY, weights=path)
    assert_same(vit, tiny, 16, rtol=0, atol=0)
    assert (provenance.source, provenance.file) == ("a local file", str(path))
    assert not vit.training and not any(p.requires_grad for p in vit.parameters())


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.backbone."])
def test_a_safetensors_file(prefix: str, tiny, tmp_path: Path) -> None:
    path = tmp_path / "weights.any"  # the content counts, not the name
    safetensors.torch.save_file(wrap(tiny.state_dict(), prefix), path)
    assert_same(load_vit(TINY, weights=path)[0], tiny, 16, rtol=0, atol=0)


def test_half_precision_becomes_single(tiny, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    halves = {name: value.bfloat16() for name, value in tiny.state_dict().items()}
    safetensors.torch.save_file(halves, path)
    vit, _ = load_vit(TINY, weights=path)
    for name, parameter in vit.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, halves[name].float())


def test_dinov2_with_registers_as_its_authors_store_it(tmp_path: Path) -> None:
    backbone = find_backbone("dinov2_vits14_reg")
    model = create(backbone, num_classes=0)
    state = dict(model.state_dict())
    # Theirs gives [CLS] a position too, and keeps the token that masked patches had in training.
    position = torch.full((1, 1, 384), 0.3)
    state["pos_embed"] = torch.cat([position, state["pos_embed"]], dim=1)
    state["cls_token"] = state["cls_token"] - position
    state["register_tokens"] = state.pop("reg_token")
    state["mask_token"] = torch.ones(1, 384)
    torch.save(state, tmp_path / "dinov2_vits14_reg4_pretrain.pth")
    vit, _ = load_vit(backbone, weights=tmp_path / "dinov2_vits14_reg4_pretrain.pth")
    assert_same(vit, model, 14, rtol=0, atol=1e-5)


def test_dinov3_as_its_authors_store_it(tmp_path: Path, capsys) -> None:
    backbone = find_backbone("dinov3_vits16")
    model = create(backbone, num_classes=0)
    state = {
        name.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma"): value
        for name, value in model.state_dict().items()
    }
    state["storage_tokens"] = state.pop("reg_token")
    state["mask_token"] = torch.ones(1, 384)
    state["rope_embed.periods"] = torch.ones(16)
    for block in range(12):
        state[f"blocks.{block}.attn.qkv.bias"] = torch.zeros(3 * 384)
        state[f"blocks.{block}.attn.qkv.bias_mask"] = torch.ones(3 * 384)
    torch.save(state, tmp_path / "dinov3.pth")
    vit, _ = load_vit(backbone, weights=tmp_path / "dinov3.pth")
    assert_same(vit, model, 16, rtol=0, atol=0)
    assert capsys.readouterr().out == ""  # timm's conversion prints


def test_positions_of_another_grid_are_resized(tiny, tmp_path: Path) -> None:
    state = dict(tiny.state_dict())
    assert state["pos_embed"].shape == (1, 1 + 10 * 10, 64)
    # A constant stays constant, however it is resized.
    state["pos_embed"] = torch.full((1, 1 + 5 * 5, 64), 0.25)
    safetensors.torch.save_file(state, tmp_path / "small.safetensors")
    vit, _ = load_vit(TINY, weights=tmp_path / "small.safetensors")
    torch.testing.assert_close(vit.pos_embed, torch.full((1, 101, 64), 0.25))


def test_another_architecture_says_what_is_there_and_what_was_expected(tiny, tmp_path) -> None:
    path = tmp_path / "tiny.safetensors"
    safetensors.torch.save_file(tiny.state_dict(), path)
    with pytest.raises(InputError) as caught:
        load_vit(find_backbone("dino_vitb8"), weights=path)
    assert str(caught.value) == (
        f"{path} does not fit the backbone dino_vitb8: it holds a vision transformer of patch 16, "
        "width 64, 6 blocks and 0 registers, and timm's vit_base_patch8_224.dino, a vision "
        "transformer of patch 8, width 768, 12 blocks and 0 registers, was expected"
    )


def test_another_patch_is_not_resampled(tiny, tmp_path: Path) -> None:
    state = dict(tiny.state_dict())
    state["patch_embed.proj.weight"] = torch.ones(64, 3, 8, 8)  # timm would interpolate
    safetensors.torch.save_file(state, tmp_path / "eight.safetensors")
    with pytest.raises(InputError, match="it holds a vision transformer of patch 8"):
        load_vit(TINY, weights=tmp_path / "eight.safetensors")


def lacking(state: dict) -> None:
    del state["blocks.3.norm1.weight"], state["norm.bias"]


def superfluous(state: dict) -> None:
    state["blocks.2.attn.extra"] = torch.ones(1)


def misshapen(state: dict) -> None:
    state["norm.bias"] = torch.ones(65)


def infinite(state: dict) -> None:
    state["norm.bias"] = torch.full((64,), torch.inf)


def foreign(state: dict) -> None:
    state.clear()
    state["conv1.weight"] = torch.ones(3)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lacking, r"it lacks blocks.3.norm1.weight \(and 1 more such differences\)"),
        (superfluous, "it has an unknown blocks.2.attn.extra"),
        (misshapen, r"it has norm.bias of shape \(65,\) instead of \(64,\)"),
        (infinite, "its norm.bias holds values that are not finite"),
        (foreign, "it holds no vision transformer in timm's or the DINO authors' layout"),
    ],
)
def test_weights_that_do_not_fit(change, part: str, tiny, tmp_path: Path) -> None:
    state = dict(tiny.state_dict())
    change(state)
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match=part):
        load_vit(TINY, weights=tmp_path / "weights.safetensors")


class Malice:
    """What leaves a trace when it is unpickled."""

    def __init__(self, call, *arguments) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


MALICE = {
    "system": lambda trace: Malice(os.system, f"touch {trace}"),
    "eval": lambda trace: Malice(eval, f"open({str(trace)!r}, 'w').close()"),
    "mkdir": lambda trace: Malice(os.mkdir, str(trace)),
    "inside a Namespace": lambda trace: argparse.Namespace(x=Malice(os.mkdir, str(trace))),
    "a class": lambda trace: Path(trace),
}


@pytest.mark.robustness
@pytest.mark.parametrize("malice", MALICE)
@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle"])
def test_a_file_that_wants_to_run_code_is_refused(malice: str, form: str, tiny, tmp_path) -> None:
    trace = tmp_path / "trace"
    content = dict(tiny.state_dict()) | {"args": MALICE[malice](trace)}
    path = tmp_path / "weights.pth"
    if form == "bare pickle":
        path.write_bytes(pickle.dumps({"args": MALICE[malice](trace)}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(InputError, match="holds more than tensors, and Splice runs nothing"):
        load_vit(TINY, weights=path)
    assert not trace.exists()
    if malice != "a class":  # the file would have done it
        torch.load(path, weights_only=False) if form != "bare pickle" else pickle.loads(
            path.read_bytes()
        )
        assert trace.exists()


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "is neither a safetensors nor a torch file"),
        (b"hello, world", "is neither a safetensors nor a torch file"),
        (b"\x89PNG\r\n\x1a\n", "is neither a safetensors nor a torch file"),
        (b"PK\x03\x04" + bytes(100), "is a damaged torch file"),
        (b"\x80\x02", "is a damaged torch file"),
        (bytes([20] + [0] * 7) + b'{"a": 1', "is a damaged safetensors file"),
        (pickle.dumps([1, 2]), "is a damaged torch file|holds a list"),
    ],
)
def test_a_file_that_holds_no_weights(data: bytes, part: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    with pytest.raises(InputError, match=part) as caught:
        load_vit(TINY, weights=path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file of weights "):
        load_vit(TINY, weights=tmp_path / "missing.pth")
    with pytest.raises(InputError, match="is a folder, where a file of weights was expected"):
        load_vit(TINY, weights=tmp_path)


@pytest.mark.robustness
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_truncated_or_garbled_file_gives_a_sentence(kind: str, tiny, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp(kind) / "weights"
    if kind == "safetensors":
        safetensors.torch.save_file(tiny.state_dict(), path)
    else:
        torch.save(tiny.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()

    @settings(max_examples=25)
    # Not the last bytes: a zip file's tail may lack some that nobody needs.
    @given(st.integers(0, len(whole) - 2000), st.binary(max_size=20))
    def check(place: int, garbage: bytes) -> None:
        path.write_bytes(whole[:place] + garbage)
        with pytest.raises(InputError) as caught:
            load_vit(TINY, weights=path)
        assert "\n" not in str(caught.value)

    check()
