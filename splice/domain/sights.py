"""What the frozen transformer sees in the pictures of a domain, looked at once each."""

import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.domain.objective import Seen, see
from splice.domain.store import PictureStore

KEPT_BYTES = 2_000_000_000
"""Of what was seen; pictures beyond are looked at again whenever they are drawn."""


class Sights:
    """What is seen in the middle of each picture; reading is learnt from it.

    Captions say what is there, which no crop changes. So the transformer, which costs most of the time,
    need not look at views.
    """

    def __init__(
        self, store: PictureStore, vit: FrozenViT, side: int, kept_bytes: int = KEPT_BYTES
    ) -> None:
        """Nothing has been looked at yet.

        Args:
            store: of the pictures.
            vit: that looks.
            side: short side, in pixels, at which it looks.
            kept_bytes: of what is kept.
        """
        self._store, self._vit, self._side, self._room = store, vit, side, kept_bytes
        self._kept: dict[int, Seen] = {}

    def __getitem__(self, indices: list[int]) -> Seen:
        """What is seen in some pictures, on the transformer's device."""
        each = [self._of(index) for index in indices]
        cls = tuple(torch.cat(blocks) for blocks in zip(*(one.cls for one in each), strict=True))
        keys, tokens, deepest = (
            torch.cat([getattr(one, name) for one in each])
            for name in ("keys", "tokens", "deepest")
        )
        return Seen(cls, keys, tokens, deepest)

    @torch.no_grad()
    def _of(self, index: int) -> Seen:
        known = self._kept.get(index)
        if known is not None:
            return known
        # One by one, so that what is seen does not depend on which others were drawn with it.
        image = self._store.middle(index)[None].to(next(self._vit.parameters()).device)
        seen = see(image, self._vit, [self._vit.blocks], self._side)
        # Keys are for shapes, of which captions say little. A view would keep all of them.
        keys = seen.keys.new_empty(1, 0, seen.keys.shape[-1])
        seen = Seen(seen.cls, keys, seen.tokens, seen.deepest)
        size = 4 * (seen.tokens.numel() + seen.cls[0].numel())
        if size <= self._room:
            self._room -= size
            self._kept[index] = seen
        return seen
