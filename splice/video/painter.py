"""A video painted frame by frame, by what was found and learnt on its key frames."""

from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.precision import autocast_of
from splice.method.ground import COLOURS, DETAIL, detail_at
from splice.method.slopes import applied, with_grain
from splice.method.tones import RADIUS, TOLERANCE
from splice.method.transfer import Transfer
from splice.pictures.bilateral import bilateral_upsampling
from splice.pictures.guided_filter import guided_upsampling
from splice.pictures.images import resize_short_side
from splice.video.alike import Sights
from splice.video.carrying import Carried
from splice.video.flicker import Flicker
from splice.video.flow import find_flow, resized_flow, strangeness
from splice.video.learning import KeyFrames
from splice.video.recall import Memory
from splice.video.steady import SteadyNetwork

SHORT_SIDE = 336
"""At which frames are seen, in pixels, at most."""

FOUND_EVERY = 4
"""Frames after which what was carried is mended by what is found, at the latest."""

NEWS = 0.05
"""Share of a frame that is unknown, above which that happens at once."""

FOUND, PAINTED = 0.25, 0.15
"""Share of what is found, and of what is painted, in what is carried."""

Picture: TypeAlias = Float[Tensor, "1 3 height width"]
Large: TypeAlias = Float[Tensor, "1 3 rows columns"]


@dataclass
class _Last:
    """The frame before.

    Attributes:
        small: at the size of the painting.
        frame: at the size of the output.
        output: what was painted of it.
    """

    small: Picture
    frame: Large
    output: Large


class FramePainter:
    """Paints the frames of a video one after the other.

    Attributes:
        flicker: of what was painted so far.
    """

    @torch.no_grad()
    def __init__(self, transfer: Transfer) -> None:
        """Takes what was found and learnt.

        Args:
            transfer: whose method is `KeyFrames`, with all steps done.
        """
        method = transfer.method
        assert isinstance(method, KeyFrames)
        self._device, self._dtype = transfer.device, transfer.dtype
        self._lenders = len(method.appearances)
        self._side = min(method.structure.shape[-2:])
        paintings = method.paintings
        self._network = None
        found = [painting.tones for painting in paintings]
        if transfer.settings.step_count:
            rows, columns = method.structure.shape[-2:]
            inputs = [painting.ground.inputs for painting in paintings]
            with transfer.learner.averaged(), autocast_of(self._device, self._dtype):
                self._network = SteadyNetwork(transfer.learner.network, inputs)
            # Detail is each frame's own, noise the same in all; codes, and colours without detail, are
            # lent.
            parts = [each[..., :rows, :columns] for each in inputs]
            self._noise = parts[0][:, DETAIL.stop : -COLOURS]
            found = [torch.cat([each[:, : DETAIL.start], each[:, -COLOURS:]], 1) for each in parts]
        meaning = transfer.settings.meaning
        frames = [painting.structure for painting in paintings]
        side = min(meaning.short_side, SHORT_SIDE)
        self._memory = Memory(Sights(paintings[0].vit, meaning.depths, side, frames), found)
        self._lent, self._painted = Carried(FOUND), Carried(PAINTED, sharp=True)
        self._shares = torch.zeros(len(paintings), device=self._device)
        self._since = 0
        self._last: _Last | None = None
        self.flicker = Flicker()

    @torch.no_grad()
    def paint(self, frame: Float[Tensor, "3 height width"]) -> Float[Tensor, "3 height width"]:
        """The next frame painted, in [0, 1].

        Args:
            frame: in [0, 1], of the size of the key frames.
        """
        photograph = frame[None].to(self._device, torch.float32)
        last = self._last
        if last is not None and torch.equal(photograph, last.frame):
            self.flicker.add((photograph, last.frame), (last.output, last.output), self._still)
            return last.output[0].cpu()
        side = min(self._side, *photograph.shape[-2:])
        small = resize_short_side(photograph[0], side)[None]
        between = None
        if last is not None:
            flow = find_flow(small, last.small)
            strange = strangeness(small, last.small, flow)
            self._lent.carry(flow, strange)
            size = (photograph.shape[-2], photograph.shape[-1])
            between = resized_flow(flow, size)
            self._painted.carry(between, F.interpolate(strange, size=size, mode="bilinear"))
        output = self._painted.mend(self._output(small, photograph)).clamp(0, 1)
        if last is not None and between is not None:
            self.flicker.add((photograph, last.frame), (output, last.output), between)
        self._last = _Last(small, photograph, output)
        return output[0].float().cpu()

    @property
    def _still(self) -> Float[Tensor, "1 2 height width"]:
        assert self._last is not None
        return torch.zeros_like(self._last.frame[:, :2])

    def _output(self, small: Picture, photograph: Large) -> Large:
        lent = self._lent_to(small)
        if self._network is None:
            return applied(lent, photograph).clamp(0, 1)
        codes, colours = lent[:, :-COLOURS], lent[:, -COLOURS:]
        detail = detail_at(small, codes, self._lenders)
        inputs = torch.cat([codes, detail, self._noise, colours], 1)
        with autocast_of(self._device, self._dtype):
            painted = self._network.paint(inputs, self._shares).float()
        if painted.shape[-2:] == photograph.shape[-2:]:
            return painted
        return with_grain(painted, small, photograph)

    def _lent_to(self, small: Picture) -> Float[Tensor, "1 channels height width"]:
        """Addresses or tone maps of a frame: carried to it, now and then mended."""
        self._since += 1
        unknown = self._lent.share_unknown
        if self._lent.maps is not None and self._since < FOUND_EVERY and unknown <= NEWS:
            return self._lent.maps
        recalled = self._memory.recall(small)
        gain = 1.0 if self._lent.maps is None else max(FOUND, unknown)
        self._shares = torch.lerp(self._shares, recalled.shares, gain)
        self._since = 0
        if self._network is None:
            fine = guided_upsampling(recalled.values, small, RADIUS, TOLERANCE)
        else:
            fine = bilateral_upsampling(recalled.values, small)
        return self._lent.mend(fine)
