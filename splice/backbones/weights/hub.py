"""Weights from the model hub: the local copy first, the network only when it answers at once."""

from __future__ import annotations

import inspect
import re
import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.errors
import tqdm

from splice.backbones.registry import Backbone
from splice.backbones.weights.progress import Progress
from splice.errors import RunError

_FILE_NAMES = ("model.safetensors", "pytorch_model.bin")
_SECONDS_TO_ANSWER = 4.0


def repository(backbone: Backbone) -> str:
    """The backbone's repository in the hub.

    Raises:
        RunError: timm knows no weights of this model in the hub.
    """
    if not backbone.name.startswith("timm:"):
        return f"timm/{backbone.timm_id}"
    import timm

    config = timm.get_pretrained_cfg(backbone.timm_id)
    if config is None or not config.hf_hub_id:
        raise RunError(f"timm has no weights of {backbone.timm_id}; give a file with --weights")
    return config.hf_hub_id


def find_cached(backbone: Backbone, *, cache_dir: Path | None = None) -> Path | None:
    """The weights' file in the hub's local cache, or None.

    Args:
        backbone: a hub backbone.
        cache_dir: the hub's cache; the user's by default.
    """
    for name in _FILE_NAMES:
        found = huggingface_hub.try_to_load_from_cache(
            repository(backbone), name, cache_dir=cache_dir
        )
        if isinstance(found, str):
            return Path(found)
    return None


def fetch(
    backbone: Backbone,
    progress: Progress,
    *,
    endpoint: str | None = None,
    cache_dir: Path | None = None,
    again: bool = False,
) -> Path:
    """The weights' file in the hub's local cache, downloaded first if it is not there.

    Args:
        backbone: a hub backbone.
        progress: told of the download.
        endpoint: the hub's address; the user's configuration by default.
        cache_dir: the hub's cache; the user's by default.
        again: download even though there is a copy.

    Raises:
        RunError: the hub does not answer within a few seconds, refuses, or lacks the weights;
            or the download could not be stored.
    """
    cached = find_cached(backbone, cache_dir=cache_dir)
    if cached is not None and not again:
        return cached
    repo = repository(backbone)
    endpoint = endpoint or huggingface_hub.constants.ENDPOINT
    unreachable = RunError(
        f"the model hub cannot be reached, and the weights of {backbone.name} ({repo}) are not in "
        "its local cache; connect, or give a file with --weights, or use the backbone "
        "dinov2_vits14, which needs no model hub"
    )
    # The hub's own client retries for half a minute before it gives up.
    if huggingface_hub.constants.HF_HUB_OFFLINE or not answers(endpoint):
        raise unreachable
    stage = f"fetching {repo}"
    progress(stage, 0, None)
    # The hub's client takes a bar of ours since its version 1.2; an older one draws its own.
    takes_bar = "tqdm_class" in inspect.signature(huggingface_hub.hf_hub_download).parameters
    bar: dict[str, Any] = {"tqdm_class": _bar(stage, progress)} if takes_bar else {}
    try:
        for name in _FILE_NAMES:
            try:
                return Path(
                    huggingface_hub.hf_hub_download(
                        repo,
                        name,
                        endpoint=endpoint,
                        cache_dir=cache_dir,
                        force_download=again,
                        **bar,
                    )
                )
            except huggingface_hub.errors.LocalEntryNotFoundError as error:
                if isinstance(error.__cause__, huggingface_hub.errors.HfHubHTTPError):
                    raise _failure(repo, error.__cause__) from error
                raise unreachable from error
            except huggingface_hub.errors.EntryNotFoundError:
                continue
    except huggingface_hub.errors.GatedRepoError as error:
        raise RunError(
            f"the weights of {backbone.name} ({repo}) are behind a licence that must be accepted "
            "on the hub's page of the model; accept it and log in with 'hf auth login'"
        ) from error
    except huggingface_hub.errors.RepositoryNotFoundError as error:
        raise RunError(f"the model hub has no {repo}, or does not show it to you") from error
    except (OSError, huggingface_hub.errors.HfHubHTTPError) as error:
        raise _failure(repo, error) from error
    raise RunError(f"the hub's {repo} holds neither {' nor '.join(_FILE_NAMES)}")


def _failure(repo: str, error: Exception) -> RunError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return RunError(f"{repo} could not be fetched from the model hub: {lines[0]}")


def answers(endpoint: str, seconds: float = _SECONDS_TO_ANSWER) -> bool:
    """Whether anything answers at the address within that time, whatever it says."""
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(endpoint, method="HEAD")
            urllib.request.urlopen(request, timeout=seconds).close()
        except urllib.error.HTTPError:
            pass  # an answer
        except urllib.error.URLError as error:
            # A certificate that only the hub's client knows is no reason to give up here.
            if not isinstance(error.reason, ssl.SSLError):
                return
        except (OSError, ValueError):
            return
        answered.set()

    # A thread, as looking up a name obeys no timeout; it must not keep the process alive.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def stored_sha256(path: Path) -> str | None:
    """The sha256 that the hub's cache recorded for a file, or None where it records none.

    Large files are links to blobs that are named by their sha256.
    """
    name = path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None


def revision(path: Path) -> str | None:
    """The commit in the hub that a file of its cache belongs to."""
    return path.parent.name if path.parent.parent.name == "snapshots" else None


def _bar(stage: str, progress: Progress) -> type[tqdm.tqdm]:
    """A progress bar for the hub's client that draws nothing and reports instead."""

    class Reporting(tqdm.tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*arguments, **{**options, "disable": True})
            self.total = options.get("total")
            self.n = options.get("initial") or 0
            progress(stage, int(self.n), self.total)

        def update(self, n: int | float | None = 1) -> bool | None:
            self.n += n or 0
            progress(stage, int(self.n), self.total)
            return None

    return Reporting
