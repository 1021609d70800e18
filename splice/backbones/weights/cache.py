"""The folder where fetched weights stay: verified when read, never half-written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import filelock
import platformdirs

from splice.errors import RunError

# Raised when what a record means or how weights are laid out changes, so that old files are
# fetched anew rather than misread.
_FORMAT = "1"


class DamagedError(Exception):
    """A cached file that is not what was stored; the text says how, for use inside a sentence."""


@dataclass(frozen=True)
class CachedWeights:
    """Weights read from the cache: the bytes of a safetensors file, and the record beside it."""

    path: Path
    data: bytes
    record: Mapping[str, str]


def cache_folder() -> Path:
    """Where weights are kept: `SPLICE_CACHE`, else the platform's cache folder of the user."""
    chosen = os.environ.get("SPLICE_CACHE")
    if not chosen:
        return platformdirs.user_cache_path("splice-vit")
    return Path(chosen).expanduser().absolute()


def weights_file(folder: Path, name: str) -> Path:
    """The file in `folder` that holds the weights called `name`, whether it exists or not."""
    return folder / f"{name}.safetensors"


def read(folder: Path, name: str) -> CachedWeights | None:
    """The cached weights, or None where there are none.

    The bytes that are hashed are the bytes that are returned, so nothing can change in between.

    Raises:
        DamagedError: the file is not the one that was stored.
        RunError: the file is there but cannot be read.
    """
    path = weights_file(folder, name)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"the cached weights {path} cannot be read: {error.strerror}") from error
    record = _record(folder, name)
    if record.get("format") != _FORMAT:
        raise DamagedError("another version of Splice stored it")
    if hashlib.sha256(data).hexdigest() != record["sha256"]:
        raise DamagedError("its sha256 is not the one stored beside it")
    return CachedWeights(path, data, record)


def stored_sha256(folder: Path, name: str) -> str:
    """The sha256 of the weights when they were stored, or a word where its record is lost."""
    try:
        return _record(folder, name)["sha256"]
    except DamagedError as damage:
        return f"unknown: {damage}"


def _record(folder: Path, name: str) -> dict[str, str]:
    try:
        record = json.loads((folder / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        raise DamagedError("its record is missing or cannot be read") from None
    wanted = ("format", "sha256", "source", "licence", "wheel_sha256", "onnx_sha256")
    if not isinstance(record, dict) or any(not isinstance(record.get(w), str) for w in wanted):
        raise DamagedError("its record is incomplete")
    return record


def write(
    folder: Path, scratch: Path, name: str, data: bytes, record: Mapping[str, str]
) -> CachedWeights:
    """Store weights and their record, each whole or not at all.

    Args:
        folder: the cache.
        scratch: a folder on the same file system, for the unfinished files.
        name: of the weights.
        data: bytes of a safetensors file.
        record: where it came from; the format and the sha256 of `data` are added.
    """
    record = {**record, "format": _FORMAT, "sha256": hashlib.sha256(data).hexdigest()}
    path = weights_file(folder, name)
    for target, content in (
        (path, data),
        (folder / f"{name}.json", (json.dumps(record, indent=2) + "\n").encode()),
    ):
        unfinished = scratch / target.name
        with unfinished.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(target)
    return CachedWeights(path, data, record)


@contextlib.contextmanager
def writing(folder: Path, wait: Callable[[], None]) -> Iterator[Path]:
    """Hold the cache for writing; yields a scratch folder that is gone afterwards.

    Processes that want the same weights wait for each other here.

    Args:
        folder: the cache, made if missing.
        wait: called once if another process holds it, before waiting.

    Raises:
        RunError: the cache cannot be written.
    """
    advice = "set SPLICE_CACHE to a local folder that can be written and has 300 MB free"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            wait()
            lock.acquire()
        try:
            for left_over in folder.glob("unfinished-*"):  # of a process that was killed
                shutil.rmtree(left_over, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as scratch:
                yield Path(scratch)
        finally:
            lock.release()
    except NotImplementedError as error:
        raise RunError(f"the file system of {folder} has no file locks; {advice}") from error
    except OSError as error:
        raise RunError(
            f"weights cannot be stored in {folder}: {error.strerror or error}; {advice}"
        ) from error
