"""A training from files to files: a folder of pictures in, a folder with the model and its story out.

It can be stopped after any step, killed at any moment and resumed; on a CPU the model's file is then
the same, byte for byte, as if nothing had happened.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.weights import Progress
from splice.domain.conditions import Standard
from splice.domain.model import DomainModel, new_model
from splice.domain.model_file import save_model
from splice.domain.neighbours import Neighbours, find_neighbours
from splice.domain.parallel import World, agreed, collected
from splice.domain.pictures import MODEL, Domain, held_out
from splice.domain.previews import PREVIEWS, Previews
from splice.domain.record import PICTURES, digest, record_of
from splice.domain.settings import DomainSettings
from splice.domain.store import PictureStore, cls_of
from splice.domain.training import DomainTraining
from splice.method.step import Step
from splice.running.checkpoint import Checkpoint
from splice.running.loss_table import LossTable
from splice.running.outcome import Outcome
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.running.resuming import Resumable, proceed

Looking = Callable[[int, int], object]
"""Is told how many of how many pictures have been looked at."""


class DomainRun:
    """A training that is ready to go: pictures read, neighbours found, earlier state restored.

    Attributes:
        training: the loop.
        neighbours: who is paired with whom, and which pictures were left out.
        first: steps that are done already.
    """

    def __init__(
        self,
        domain: Domain,
        settings: DomainSettings,
        folder: Path,
        held: RunFolder | None,
        device: torch.device,
        *,
        world: World = World(),  # noqa: B008 - frozen
        earlier: Checkpoint | None = None,
        vit: FrozenViT | None = None,
        progress: Progress | None = None,
        looking: Looking = lambda done, total: None,
    ) -> None:
        """Reads everything, and decides between starting and going on.

        Args:
            domain: to learn.
            settings: of the run.
            folder: to write to.
            held: the folder, held by this process if it is the one that writes.
            device: to compute on.
            world: of processes that learn together, which have joined each other.
            earlier: the folder's checkpoint, to go on from.
            vit: the settings' backbone on the device, where it is loaded already.
            progress: told of downloads of weights.
            looking: told of pictures that were looked at.

        Raises:
            InputError: a picture, setting or checkpoint that cannot be used.
            RunError: the weights could not be fetched.
        """
        self.domain, self.settings, self.world, self.device = domain, settings, world, device
        self.folder, self._held = folder, held
        inputs = {PICTURES: digest(domain)}
        self._known = Resumable(folder, settings.model_dump(mode="json"), inputs, earlier)
        self.vit = self._known.load(device, progress=progress, vit=vit)
        store = PictureStore(domain.pictures, settings.size)
        learnt, kept = held_out(domain, settings.held_out)
        self._kept = kept
        standard = None
        if earlier is None:
            self.neighbours = self._find_neighbours(learnt, looking)
        else:
            self.neighbours, standard = self._found_before(earlier)
        model = new_model(settings, self.vit, store, self.neighbours, device, standard)
        self.training = DomainTraining(store, self.neighbours, model, self.vit, world)
        self.loss_table = LossTable()
        self._previews = Previews(store, self.neighbours, kept, settings, self.vit)
        if earlier is not None:
            with self._known.restoring(earlier):
                self.training.restore(earlier.state)
                self.loss_table = LossTable.restored(earlier.watched)
                self._previews.restore(earlier.watched)
        elif held is not None:
            held.clear()
            for name in (MODEL, PREVIEWS):
                held.remove(name)
        self.first = self.training.step

    def proceed(
        self,
        *,
        watch: Callable[[Step], object] = lambda step: None,
        stop: Callable[[], int | None] = lambda: None,
        checkpoint_every: float = 60.0,
    ) -> Outcome:
        """Does the steps that are left, and writes everything.

        Args:
            watch: is given the record of every step.
            stop: is asked after every step; an exit status means to stop there.
            checkpoint_every: seconds between two checkpoints; 0 for one after every step.

        Raises:
            RunError: the training diverged, the disk is full, or the folder has vanished. The last
                whole checkpoint stays.
        """
        training, every = self.training, self.settings.previews_every
        if training.step == 0:
            # Whoever looked at many thousands of pictures does not want to do so again.
            self.save()

        def taken(step: Step) -> None:
            self.loss_table.add(step)
            painted = step.step - training.first
            if every and painted > 0 and painted % every == 0 and step.step < step.steps:
                self._show()

        status = proceed(
            training.steps(),
            taken,
            watch=watch,
            stop=lambda: agreed(stop(), self.world, self.device),
            save=self.save,
            every=checkpoint_every,
        )
        return self._end(status)

    def save(self) -> None:
        """Writes a checkpoint of the step that was done last, if this process writes."""
        if self._held is None:
            return
        watched = self.loss_table.state() | self._previews.state()
        watched |= {
            "kept": self.neighbours.kept,
            "near": self.neighbours.near.to(torch.int32),
            "outliers": self.neighbours.outliers,
            "loneliness": self.neighbours.loneliness,
        }
        standard = self.training.model.standard
        if standard is not None:
            watched |= {f"standard {name}": value for name, value in standard.tensors().items()}
        self._known.save(self._held, self.training.step, self.training.state(), watched)

    def model(self) -> DomainModel:
        """The model so far: the averaged weights."""
        return replace(self.training.model, step=max(0, self.training.step - self.training.first))

    def _find_neighbours(self, learnt: list[int], looking: Looking) -> Neighbours:
        pictures = [self.domain.pictures[index] for index in learnt]
        mine = pictures[self.world.rank :: self.world.size]
        total = len(mine)
        looking(0, total)
        tokens = cls_of(mine, self.vit, self.settings.seen, lambda done: looking(done, total))
        cls = torch.stack(collected(list(tokens), self.world))
        found = find_neighbours(cls, self.settings.neighbours, self.settings.outliers)
        index = torch.tensor(learnt)
        return Neighbours(
            index[found.kept], index[found.near], index[found.outliers], found.loneliness
        )

    def _found_before(self, earlier: Checkpoint) -> tuple[Neighbours, Standard | None]:
        """What was found out about the domain before."""
        watched = earlier.watched
        with self._known.restoring(earlier):
            names = ("kept", "near", "outliers", "loneliness")
            kept, near, outliers, loneliness = (watched[name] for name in names)
            neighbours = Neighbours(kept, near.long(), outliers, loneliness)
            if self.settings.condition == "text":
                return neighbours, None
            start = "standard "
            parts = {
                name.removeprefix(start): value
                for name, value in watched.items()
                if name.startswith(start)
            }
            return neighbours, Standard.from_tensors(parts)
        raise AssertionError("unreachable")

    def _show(self) -> None:
        """Writes the previews and the model so far."""
        if self._held is None:
            return
        sheet = self._previews.painted(self.training)
        self._held.write(PREVIEWS, sheet)
        self._write_model()

    def _write_model(self) -> None:
        assert self._held is not None
        with self._held.writing(), self.training.learner.averaged():
            save_model(self.folder / MODEL, self.model())

    def _end(self, status: int | None) -> Outcome:
        done, steps = self.training.step, self.training.total
        if self._held is not None:
            self.save()
            self._show()
            self._held.write_losses(
                self.loss_table.csv(), self.loss_table.curves(), self.loss_table.steps()
            )
            self._held.write_time_lapse(self._previews.frames())
            self._held.write_record(self._record())
            if done >= steps:
                self._held.remove(CHECKPOINT)
        file, seconds = self.folder / MODEL, self._known.seconds()
        return Outcome(file, done >= steps, done, steps, seconds, exit_status=status)

    def _record(self) -> dict[str, Any]:
        training, losses = self.training, self.loss_table
        return {
            **record_of(training, self.domain, self._kept, losses),
            "inputs": self._known.inputs,
            "seconds": round(self._known.seconds(), 3),
            **self._known.times(),
        }
