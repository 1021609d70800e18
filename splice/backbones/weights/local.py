"""Weights from a file: timm's layout or the DINO authors', read as tensors and nothing else."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from splice.backbones.weights.architecture import MismatchError
from splice.errors import InputError

# DINO's full checkpoints hold both networks of the self-distillation; the teacher is the better.
_CONTAINERS = ("teacher", "student", "model_ema", "state_dict", "model")
_PREFIXES = ("module.", "backbone.", "_orig_mod.")
_NOT_THE_BODY = re.compile(
    r"(head|head_dist|dino_head|ibot_head|fc_norm|attn_pool|pre_logits|mask_token)(\.|$)"
)
# What torch says when a pickle wants anything but tensors and plain containers.
_MORE_THAN_TENSORS = re.compile(
    r"Unsupported global|Unsupported class|Trying to|Can only|can only|TorchScript"
)


def read(path: Path) -> tuple[dict[str, Any], str]:
    """Everything in a file of weights, and the file's sha256.

    Torch files are read with `weights_only`: a file that wants to run code is refused.

    Raises:
        InputError: the file cannot be read, is damaged, or holds more than tensors.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no file of weights {path}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, where a file of weights was expected") from None
    except OSError as error:
        raise InputError(f"the weights {path} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(data).hexdigest()
    return parse(data, str(path)), digest


def parse(data: bytes, what: str) -> dict[str, Any]:
    """The content of a safetensors or torch file, recognised by its first bytes.

    Args:
        data: the whole file.
        what: how messages call it.

    Raises:
        InputError: the file is damaged, of another kind, or holds more than tensors.
    """
    if data[8:9] == b"{":
        try:
            return dict(safetensors.torch.load(data))
        except (safetensors.SafetensorError, ValueError, KeyError) as error:
            raise InputError(f"{what} is a damaged safetensors file: {error}") from error
    if not data.startswith((b"PK\x03\x04", b"\x80")):
        raise InputError(f"{what} is neither a safetensors nor a torch file of weights")
    try:
        # DINO's full checkpoints keep their options as a Namespace, a bare holder of attributes.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch gives damaged files errors of every type
        if _MORE_THAN_TENSORS.search(str(error)):
            raise InputError(
                f"{what} holds more than tensors, and Splice runs nothing out of a file of "
                "weights; save its state dict alone, best as safetensors"
            ) from error
        raise InputError(f"{what} is a damaged torch file") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{what} holds a {type(content).__name__}, not a state dict of weights")
    return {str(name): value for name, value in content.items()}


def plain_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The parameters in a checkpoint, without the wrappers and prefixes of training.

    Args:
        content: a state dict, or one inside `teacher`, `student`, `state_dict` or `model`,
            with or without `module.` and `backbone.` before its names.
    """
    for container in _CONTAINERS:
        inner = content.get(container)
        if isinstance(inner, Mapping):
            return plain_state({str(name): value for name, value in inner.items()})
    state = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            inside = {
                name.removeprefix(prefix): value
                for name, value in state.items()
                if name.startswith(prefix)
            }
            if inside:  # what is outside the prefix is a head beside the backbone
                state, stripped = inside, True
    return state


def to_timm(
    state: Mapping[str, Tensor],
    model: Any,
) -> dict[str, Tensor]:
    """The state dict in the layout and the grid of a timm model, by timm's own conversion.

    Heads that the model does not have are dropped.

    Args:
        state: of a file.
        model: timm's `VisionTransformer` or `Eva`.

    Raises:
        MismatchError: timm cannot convert it.
    """
    from timm.models import eva, vision_transformer

    try:
        # timm prints remarks while it converts.
        with contextlib.redirect_stdout(io.StringIO()):
            if isinstance(model, eva.Eva):
                converted = eva.checkpoint_filter_fn(dict(state), model)
            else:
                converted = vision_transformer.checkpoint_filter_fn(
                    dict(state), model, adapt_layer_scale=True
                )
    except (KeyError, RuntimeError, ValueError, AssertionError, AttributeError) as error:
        raise MismatchError(f"timm cannot convert it ({error})") from error
    own = model.state_dict().keys()
    return {
        name: value
        for name, value in converted.items()
        if name in own or not _NOT_THE_BODY.match(name)
    }
