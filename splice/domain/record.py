"""What is written down of a training: `run.json`, and how an earlier one is known by it."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from splice.domain.neighbours import Neighbours
from splice.domain.pictures import MODEL, Domain, summary
from splice.domain.settings import DomainSettings
from splice.domain.training import DomainTraining
from splice.errors import InputError
from splice.running import checkpoint as checkpoints
from splice.running.device import describe_device, peak_memory, versions
from splice.running.inputs import sha256
from splice.running.loss_table import LossTable
from splice.running.outcome import Outcome
from splice.running.outputs import RunFolder

PICTURES = "set of pictures"
"""What the pictures of a domain are called among the inputs of a run."""


def record_of(
    training: DomainTraining, domain: Domain, held_out: Sequence[int], losses: LossTable
) -> dict[str, Any]:
    """What was learnt from what, with what, and how it went; without times.

    Args:
        training: at its last step.
        domain: that was learnt.
        held_out: indices of pictures that were not learnt from.
        losses: of all steps.
    """
    names = [picture.name for picture in domain.pictures]
    provenance, network = training.vit.provenance, training.model.network
    return {
        "finished": training.step >= training.total,
        "steps": training.step,
        "seconds_per_step": losses.seconds() / max(1, len(losses)),
        "losses": losses.last(),
        "skipped_steps": losses.skipped(),
        "domain": {
            "folder": str(domain.root),
            "split": domain.split,
            "pictures": len(names),
            "by_folder": dict(summary(domain)),
            **_paired(training.neighbours, names),
            "held_out": [names[index] for index in held_out],
            "unusable": list(domain.problems),
        },
        "model": {
            "file": MODEL,
            "channels": list(network.channels),
            "parameters": sum(weight.numel() for weight in network.parameters()),
        },
        "backbone": {
            "name": training.settings.backbone,
            **(asdict(provenance) if provenance is not None else {}),
        },
        "settings": training.settings.model_dump(mode="json"),
        "processes": training.world.size,
        "device": describe_device(training.device),
        "peak_memory": peak_memory(training.device),
        "versions": versions(),
    }


def _paired(neighbours: Neighbours, names: Sequence[str]) -> dict[str, Any]:
    return {
        "learnt_from": len(neighbours.kept),
        "outliers": [names[index] for index in neighbours.outliers.tolist()],
    }


def earlier_training(folder: RunFolder, domain: Domain, settings: DomainSettings) -> Outcome | None:
    """The outcome of a finished training of this domain in the folder, if there is one.

    Raises:
        InputError: it was of other pictures, or had other settings or fewer steps.
    """
    record = folder.finished_record()
    if record is None:
        return None
    try:
        inputs, old = record["inputs"], record["settings"]
        steps, seconds = int(record["steps"]), float(record["seconds"])
    except (KeyError, TypeError, ValueError):
        return None
    checkpoints.refuse_differences(
        old, settings.model_dump(mode="json"), inputs, {PICTURES: digest(domain)}, folder.path
    )
    if not folder.has(MODEL):
        return None
    # Beginning anew would remove the finished model.
    if old["steps"] != settings.steps:
        raise InputError(
            f"the training in {folder.path} is finished after --steps {old['steps']}, and finished "
            "trainings keep no checkpoint to go on from; name another folder for a longer one."
        )
    return Outcome(folder.path / MODEL, True, steps, steps, seconds)


def digest(domain: Domain) -> str:
    """sha256 over names, contents and captions of all pictures of a domain.

    Raises:
        InputError: a picture cannot be read.
    """
    hasher = hashlib.sha256()
    for picture in domain.pictures:
        parts = (picture.name, sha256(picture.file), *picture.captions)
        hasher.update("\0".join(parts).encode() + b"\1")
    return hasher.hexdigest()
