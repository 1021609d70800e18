"""What travels between this machine and a node that does a pair: neither sees the other's disk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from splice import __version__
from splice.backbones.weights import Provenance
from splice.batch.events import Ended
from splice.batch.planning import Task
from splice.running.outputs import CHECKPOINT, FILES, RECORD, RunFolder

ROLES = ("structure", "appearance", "structure_mask", "appearance_mask")
"""Files of a task that travel."""


@dataclass(frozen=True)
class Shipment:
    """What a node needs for one pair: no path in it means anything there."""

    task: Task
    pictures: Mapping[str, bytes]
    checkpoint: bytes | None
    version: str


@dataclass(frozen=True)
class Weights:
    """The weights of a backbone, and where they came from."""

    content: bytes
    suffix: str
    provenance: Provenance | None


@dataclass(frozen=True)
class Checkpointed:
    """A checkpoint of a pair at work, on its way back."""

    content: bytes


@dataclass(frozen=True)
class Returned:
    """The end of a pair, with the files of its run."""

    ended: Ended
    files: Mapping[str, bytes]


def pack(task: Task) -> Shipment:
    """Read the pictures of a task, and the checkpoint that it may go on from.

    Raises:
        OSError: a file cannot be read.
    """
    checkpoint = task.folder / CHECKPOINT
    files = {role: getattr(task, role) for role in ROLES}
    return Shipment(
        task,
        {role: file.read_bytes() for role, file in files.items() if file is not None},
        checkpoint.read_bytes() if checkpoint.is_file() else None,
        __version__,
    )


def unpack(shipment: Shipment, folder: Path) -> Task:
    """Lay the pictures and the checkpoint of a shipment out in a folder, and make its task theirs."""
    task = shipment.task
    pictures = {}
    for role, content in shipment.pictures.items():
        pictures[role] = folder / f"{role}{getattr(task, role).suffix}"
        pictures[role].write_bytes(content)
    run = folder / "run"
    run.mkdir()
    if shipment.checkpoint is not None:
        (run / CHECKPOINT).write_bytes(shipment.checkpoint)
    return replace(task, **pictures, folder=run)


def pack_run(ended: Ended, there: Task, here: Task) -> Returned:
    """Read the files of a run that has ended, and tell its end by the paths that the user knows.

    Args:
        ended: how it ended.
        there: the task as it was done, on the node.
        here: the same as it was sent.
    """
    paths = {name: there.folder / name for name in FILES}
    files = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    reason = ended.reason
    for role in (*ROLES, "folder"):
        reason = reason and reason.replace(str(getattr(there, role)), str(getattr(here, role)))
    return Returned(replace(ended, reason=reason), files)


def write_run(folder: RunFolder, files: Mapping[str, bytes], task: Task) -> None:
    """Write the files of a run that was done elsewhere, its record last, with the paths of here.

    Raises:
        SpliceError: a file cannot be written.
    """
    for name in FILES:
        if name in files and name != RECORD:
            folder.write(name, files[name])
    if RECORD in files:
        record = json.loads(files[RECORD])
        for role in ("structure", "appearance"):
            record[role]["file"] = str(getattr(task, role))
            if "mask" in record[role]:
                record[role]["mask"]["file"] = str(getattr(task, f"{role}_mask"))
        folder.write_record(record)
        if record["finished"]:
            folder.remove(CHECKPOINT)
