"""How a training goes, seen: the same pairs painted again and again."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from splice.analysis.visualize.grids import labelled_grid
from splice.backbones.frozen_vit import FrozenViT
from splice.domain.condition import Condition
from splice.domain.neighbours import Neighbours
from splice.domain.settings import DomainSettings
from splice.domain.store import PictureStore
from splice.domain.training import DomainTraining
from splice.pictures.images import to_pil
from splice.running.frames import Frame, frames_of, frames_state

PREVIEWS = "previews.png"
"""In the folder of a training, its pairs as they are painted by now."""

FRAMES = 40
"""Most pictures in the time lapse; when there would be more, every second one is dropped."""


class Previews:
    """A few fixed pairs: of pictures that are not learnt from, where there are two of them.

    Attributes:
        structures: indices of the structure images.
        appearances: likewise of the appearance images.
    """

    def __init__(
        self,
        store: PictureStore,
        neighbours: Neighbours,
        held_out: Sequence[int],
        settings: DomainSettings,
        vit: FrozenViT,
    ) -> None:
        """Chooses the pairs.

        Args:
            store: of the pictures.
            neighbours: of those that are learnt from.
            held_out: indices of pictures that are not learnt from.
            settings: of the run.
            vit: the frozen transformer.
        """
        pool = list(held_out) if len(held_out) > 1 else neighbours.kept.tolist()
        count = min(settings.previews, len(pool))
        self.structures = [pool[index * len(pool) // count] for index in range(count)]
        # Half of the pool away: neither the same picture nor, in a folder sorted by class, its like.
        self.appearances = [
            pool[(index * len(pool) // count + len(pool) // 2) % len(pool)]
            for index in range(count)
        ]
        self._store, self._vit = store, vit
        self._frames: list[Frame] = []
        self._every, self._seen = 1, 0

    def painted(self, training: DomainTraining) -> bytes:
        """Paints the pairs, keeps them as a frame, and gives the sheet as a PNG file."""
        structures, appearances = (
            torch.stack([self._store.middle(index) for index in indices])
            for indices in (self.structures, self.appearances)
        )
        outputs = training.painted(structures, self._condition(training, appearances))
        rows = [
            [to_pil(picture) for picture in row]
            for row in zip(structures, appearances, outputs, strict=True)
        ]
        sheet = labelled_grid(rows, ("structure", "appearance", "output"))
        self._keep(outputs)
        file = io.BytesIO()
        sheet.save(file, "PNG")
        return file.getvalue()

    def frames(self) -> list[Image.Image]:
        """The outputs side by side, first to last."""
        return [to_pil(frame.float() / 255) for frame in self._frames]

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            **frames_state(self._frames),
            "frames every": self._every,
            "frames seen": self._seen,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to what `state` gave.

        Raises:
            KeyError: it is the state of something else.
        """
        self._every, self._seen = int(state["frames every"]), int(state["frames seen"])
        self._frames = frames_of(state)

    def _condition(self, training: DomainTraining, appearances: Tensor) -> Condition:
        model = training.model
        with torch.no_grad():
            if model.reader is None:
                return model.condition_of(appearances.to(training.device), self._vit)
            return model.reader.read(
                [self._store.pictures[index].captions[0] for index in self.appearances]
            )

    def _keep(self, outputs: Tensor) -> None:
        if self._seen % self._every == 0:
            row = torch.cat(list(outputs), 2)
            self._frames.append((row * 255).round().to(torch.uint8))
            if len(self._frames) > FRAMES:
                self._frames, self._every = self._frames[::2], 2 * self._every
        self._seen += 1
