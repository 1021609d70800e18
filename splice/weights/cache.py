"""The folder where fetched weights stay: verified when read, never half-written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import filelock
import platformdirs

from splice.errors import RunError

# Raised when what a record means or how weights are laid out changes, so that old files are
# fetched anew rather than misread.
_FORMAT = 1


class Damaged(Exception):
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
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("splice-vit")


def weights_file(folder: Path, name: str) -> Path:
    """The file in `folder` that holds the weights called `name`, whether it exists or not."""
    return folder / f"{name}.safetensors"


def _record_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def read(folder: Path, name: str) -> CachedWeights | None:
    """The cached weights, or None where there are none.

    The bytes that are hashed are the bytes that are returned, so nothing can change in between.

    Raises:
        Damaged: the file is not the one that was stored.
        RunError: the file is there but cannot be read.
    """
    path = weights_file(folder, name)
    try:
        record_text = _record_file(folder, name).read_bytes()
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_file():
            raise Damaged("its record is missing") from None
        return None
    except OSError as error:
        raise RunError(f"the cached weights {path} cannot be read: {error.strerror}") from error
    try:
        record = json.loads(record_text)
        expected = record["sha256"]
        known = record["format"] == _FORMAT
    except (ValueError, KeyError, TypeError):
        raise Damaged("its record cannot be read") from None
    if not known:
        raise Damaged("another version of Splice stored it")
    if hashlib.sha256(data).hexdigest() != expected:
        raise Damaged("its sha256 is not the one stored beside it")
    return CachedWeights(path, data, record)


def write(folder: Path, scratch: Path, name: str, data: bytes, record: Mapping[str, str]) -> None:
    """Store weights and their record, each whole or not at all.

    Args:
        folder: the cache.
        scratch: a folder on the same file system, for the unfinished files.
        name: of the weights.
        data: bytes of a safetensors file.
        record: where it came from; the sha256 of `data` is added.
    """
    digest = hashlib.sha256(data).hexdigest()
    text = json.dumps({**record, "format": _FORMAT, "sha256": digest}, indent=2) + "\n"
    # Weights without a record count as absent, so the record goes last.
    for target, content in (
        (weights_file(folder, name), data),
        (_record_file(folder, name), text.encode()),
    ):
        unfinished = scratch / target.name
        with unfinished.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(target)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Hold the cache for writing; yields a scratch folder that is gone afterwards.

    Processes that want the same weights wait for each other here.

    Raises:
        RunError: the cache cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / ".lock"):
            for left_over in folder.glob("unfinished-*"):  # of a process that was killed
                shutil.rmtree(left_over, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as scratch:
                yield Path(scratch)
    except OSError as error:
        raise RunError(
            f"the weights cannot be stored in {folder}: {error.strerror or error}; "
            "set SPLICE_CACHE to a folder that can be written and has 300 MB free"
        ) from error
