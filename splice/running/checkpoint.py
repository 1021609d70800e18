"""Checkpoints: everything that a run needs to go on, in one file that is whole or absent.

The file is a safetensors file: reading it can execute nothing. Its tensors are the optimisation's
state and what was watched so far; one metadata entry holds the rest as JSON, with a checksum over
all of it, so that a damaged file is recognised and never half-believed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from splice import __version__
from splice.errors import InputError, RunError
from splice.pictures.atomic import write_atomically

_FORMAT = 1
_STATE, _WATCHED = "state/", "watched/"


@dataclass(frozen=True)
class Checkpoint:
    """A run as it stood after a step.

    Attributes:
        step: steps done.
        settings: of the run, as JSON-able values by section.
        inputs: sha256 of every input file, by what it is (`structure image`, …).
        state: of the optimisation: tensors and JSON-able values, by name.
        watched: what was recorded on the way (losses, frames): likewise.
    """

    step: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    state: Mapping[str, Any]
    watched: Mapping[str, Any] = field(default_factory=dict)


def unfinished(file: Path, resume: bool) -> Checkpoint | None:
    """The checkpoint of an unfinished run, if its folder has one.

    Raises:
        InputError: it has, and `resume` is not asked for; or it cannot be read.
    """
    if not file.is_file():
        return None
    if not resume:
        raise InputError(
            f"{file.parent} holds an unfinished run; add --resume to go on with it, "
            f"or give another --output, or delete its {file.name}."
        )
    return load_checkpoint(file)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; an earlier one of that name stays until the new one is whole.

    Raises:
        InputError: the file cannot be created there.
        RunError: writing failed, for instance because the disk is full.
    """
    data = to_bytes(checkpoint)
    write_atomically(path, lambda file: file.write(data))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint back; its tensors are on the CPU, with the memory layout they had.

    Raises:
        InputError: there is none, or the file is damaged, foreign or of another version.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no checkpoint {path}.") from None
    except OSError as error:
        raise InputError(f"the checkpoint {path} cannot be read: {error.strerror}.") from error
    try:
        return from_bytes(data)
    except ValueError as error:
        raise InputError(
            f"{path} {error}; delete it to start anew, or put an intact copy in its place."
        ) from None


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """The content of a checkpoint file."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for prefix, values in ((_STATE, checkpoint.state), (_WATCHED, checkpoint.watched)):
        for name, value in values.items():
            (tensors if isinstance(value, Tensor) else plain)[prefix + name] = value
    strided = [name for name, value in tensors.items() if _is_channels_last(value)]
    # Copies: tensors that share memory, as averaged weights may at the start, cannot be stored.
    stored = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()
    }
    text = json.dumps(
        {
            "format": _FORMAT,
            "splice": __version__,
            "step": checkpoint.step,
            "settings": checkpoint.settings,
            "inputs": checkpoint.inputs,
            "values": plain,
            "channels_last": strided,
        }
    )
    metadata = {"splice": text, "sha256": _digest(text, stored)}
    return safetensors.torch.save(stored, metadata)


def from_bytes(data: bytes) -> Checkpoint:
    """Read the content of a checkpoint file.

    Raises:
        ValueError: it is not one, or not as it was written; the text says which, to follow the
            file's name in a sentence.
    """
    try:
        tensors = safetensors.torch.load(data)
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError("is damaged, or no checkpoint at all") from error
    text = metadata.get("splice")
    if text is None:
        raise ValueError("is not a checkpoint of Splice")
    if metadata.get("sha256") != _digest(text, tensors):
        raise ValueError("is damaged: its content does not match its checksum")
    header = json.loads(text)
    if header["format"] != _FORMAT:
        raise ValueError(
            f"was written by Splice {header['splice']}, which this version cannot read"
        )
    for name in header["channels_last"]:
        tensors[name] = tensors[name].contiguous(memory_format=torch.channels_last)
    values = {**tensors, **header["values"]}
    state, watched = (
        {name.removeprefix(prefix): v for name, v in values.items() if name.startswith(prefix)}
        for prefix in (_STATE, _WATCHED)
    )
    return Checkpoint(header["step"], header["settings"], header["inputs"], state, watched)


def check_continues(
    checkpoint: Checkpoint, settings: Mapping[str, Any], inputs: Mapping[str, str], where: Path
) -> None:
    """Make sure that a run with these settings and inputs is the checkpoint's own, or longer.

    Args:
        checkpoint: to go on from.
        settings: of the run that wants to.
        inputs: sha256 of its input files, by what they are.
        where: the run's folder, for the message.

    Raises:
        InputError: they differ in more than a larger number of steps; the message says in what.
    """
    refuse_differences(checkpoint.settings, settings, checkpoint.inputs, inputs, where)


def refuse_differences(
    old_settings: Mapping[str, Any],
    settings: Mapping[str, Any],
    old_inputs: Mapping[str, str],
    inputs: Mapping[str, str],
    where: Path,
) -> None:
    """Raise `InputError` naming what differs, unless it is only a larger number of steps."""
    way_out = "give the same again, or name another folder for a new run."
    for what in {**old_inputs, **inputs}:
        before, now = old_inputs.get(what), inputs.get(what)
        # Weights are not known before they are loaded.
        if before == now or (what == "weights" and None in (before, now)):
            continue
        if before is None or now is None:
            raise InputError(
                f"the run in {where} has {'no' if before is None else 'a'} {what}, and this one has "
                f"{'none' if now is None else 'one'}; {way_out}"
            )
        raise InputError(
            f"the run in {where} has another {what} (its sha256 is {before[:12]}… and was "
            f"{now[:12]}… now); {way_out}"
        )
    old, new = flat(old_settings), flat(settings)
    for name in {**old, **new}:
        before, now = old.get(name), new.get(name)
        # A file of weights is known by its content, which is among the inputs.
        if before == now or name == "weights":
            continue
        if name == "steps" and isinstance(before, int) and isinstance(now, int) and now > before:
            continue
        fewer = " (only a larger number can be given)" if name == "steps" else ""
        raise InputError(
            f"the run in {where} has --{name} {_text(before)}, not {_text(now)}{fewer}; {way_out}"
        )


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted path."""
    result: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result


def fits(error: Exception, where: Path) -> RunError:
    """What to raise when a whole checkpoint of the same settings does not fit this program."""
    return RunError(
        f"the checkpoint in {where} does not fit this version of Splice "
        f"({type(error).__name__}); start a new run in another folder."
    )


def _text(value: Any) -> str:
    return "unset" if value is None else json.dumps(value).strip('"')


def _is_channels_last(tensor: Tensor) -> bool:
    return (
        tensor.ndim == 4
        and not tensor.is_contiguous()
        and tensor.is_contiguous(memory_format=torch.channels_last)
    )


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """sha256 over the JSON text and every tensor's name, type, shape and bytes."""
    hasher = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        hasher.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        if tensor.numel():
            hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()
