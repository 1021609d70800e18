"""Models as files: safetensors with their settings, whole or absent, recognised when damaged.

Reading one can execute nothing. One metadata entry holds settings and vocabulary as JSON, with a
checksum over them and all tensors. The same model gives the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor

from splice import __version__
from splice.domain.conditions import Standard
from splice.domain.model import DomainModel, new_network
from splice.domain.pictures import MODEL
from splice.domain.reading import Reader
from splice.domain.settings import DomainSettings
from splice.domain.text import Vocabulary
from splice.errors import InputError, SpliceError
from splice.pictures.atomic import write_atomically

_FORMAT = 3
_ENTRY = "splice_domain_model"
_NETWORK, _READER, _STANDARD = "network/", "reader/", "standard/"


def save_model(path: Path, model: DomainModel) -> None:
    """Writes a model; an earlier one of that name stays until the new one is whole.

    Raises:
        InputError: the file cannot be created there.
        RunError: the disk is full.
    """
    data = to_bytes(model)
    write_atomically(path, lambda file: file.write(data))


def load_model(path: Path, device: torch.device | str = "cpu") -> DomainModel:
    """Reads a model, from its file or from the folder of its training.

    Raises:
        InputError: there is none, or it is damaged, foreign, or of another version.
    """
    file = path / MODEL if path.is_dir() else path
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        what = f"{path} holds no {MODEL}" if path.is_dir() else f"there is no model {path}"
        raise InputError(f"{what}; 'splice train' makes one.") from None
    except OSError as error:
        raise InputError(f"the model {file} cannot be read: {error.strerror}.") from error
    try:
        return from_bytes(data, device)
    except ValueError as error:
        raise InputError(f"{file} {error}; give a model that 'splice train' has written.") from None


def to_bytes(model: DomainModel) -> bytes:
    """The content of a model's file."""
    tensors = {_NETWORK + name: value for name, value in model.network.state_dict().items()}
    header: dict[str, Any] = {
        "format": _FORMAT,
        "splice": __version__,
        "settings": model.settings.model_dump(mode="json"),
        "width": model.network.width,
        "weights": model.weights,
        "step": model.step,
    }
    if model.reader is not None:
        tensors |= {_READER + name: value for name, value in model.reader.state_dict().items()}
        header["vocabulary"] = model.reader.vocabulary.to_dict()
        header["token"] = model.reader.regions.of_whole.in_features
    if model.standard is not None:
        tensors |= {_STANDARD + name: value for name, value in model.standard.tensors().items()}
    stored = {
        name: value.detach().to("cpu", torch.float32, copy=True).contiguous()
        for name, value in tensors.items()
    }
    text = json.dumps(header, sort_keys=True)
    # One entry alone: the order of several in the file would differ from process to process.
    entry = json.dumps({"content": text, "sha256": _digest(text, stored)})
    return safetensors.torch.save(stored, {_ENTRY: entry})


def from_bytes(data: bytes, device: torch.device | str = "cpu") -> DomainModel:
    """Reads the content of a model's file.

    Raises:
        ValueError: it is not one, or not as it was written; the text says which, to follow the file's
            name in a sentence.
    """
    try:
        tensors = safetensors.torch.load(data)
        length = int.from_bytes(data[:8], "little")
        entry = json.loads(data[8 : 8 + length]).get("__metadata__", {}).get(_ENTRY)
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError("is damaged, or no model at all") from error
    if entry is None:
        raise ValueError("is a file of tensors, but no model of a domain")
    try:
        parts = json.loads(entry)
        text, digest = str(parts["content"]), parts["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("is damaged: its settings cannot be read") from error
    if digest != _digest(text, tensors):
        raise ValueError("is damaged: its content does not match its checksum")
    header = json.loads(text)
    if header["format"] != _FORMAT:
        raise ValueError(
            f"was written by Splice {header['splice']}, which this version cannot read"
        )
    try:
        return _built(header, tensors, device)
    except (SpliceError, ValidationError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"was written by Splice {header['splice']} and does not fit this version "
            f"({type(error).__name__})"
        ) from error


def _built(
    header: Mapping[str, Any], tensors: Mapping[str, Tensor], device: torch.device | str
) -> DomainModel:
    settings = DomainSettings.model_validate(header["settings"])
    random = torch.Generator().manual_seed(settings.seed)
    network = new_network(settings, header["width"], random)
    network.load_state_dict(_within(tensors, _NETWORK))
    reader, standard = None, None
    if "vocabulary" in header:
        vocabulary = Vocabulary.from_dict(header["vocabulary"])
        reader = Reader(vocabulary, header["token"], settings.text.width, generator=random)
        reader.load_state_dict(_within(tensors, _READER))
        reader = reader.to(device).eval()
    else:
        standard = Standard.from_tensors(_within(tensors, _STANDARD))
    return DomainModel(
        settings, network.to(device).eval(), standard, reader, header["weights"], header["step"]
    )


def _within(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """sha256 over the JSON text and every tensor's name, type, shape and bytes."""
    hasher = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        hasher.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()
