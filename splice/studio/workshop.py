"""What all pages of a server share: presets, samples, visitors, and the one line in which they wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from splice.backbones.frozen_vit import FrozenViT
from splice.method.settings import Settings
from splice.studio.painting import Painting, Wish
from splice.studio.samples import Sample
from splice.studio.turns import Turn, Turns
from splice.studio.visitors import Visitor, Visitors


@dataclass(frozen=True)
class Workshop:
    """What all pages share.

    Attributes:
        presets: settings to begin with, by name; the first is chosen at first.
        samples: pairs to try.
        visitors: who is here.
        turns: the line.
        debug: print where an unexpected failure arose.
        backbones: the transformer used last, which only the line's worker touches.
    """

    presets: Mapping[str, Settings]
    samples: list[Sample]
    visitors: Visitors
    turns: Turns
    debug: bool = False
    backbones: dict[tuple[str, str | None, str], FrozenViT] = field(default_factory=dict)

    @property
    def first(self) -> Settings:
        """The settings that a page begins with."""
        return next(iter(self.presets.values()))

    def ask(self, name: str, visitor: Visitor, wish: Wish) -> tuple[Painting, Turn]:
        """A painting at the end of the line.

        Args:
            name: of the visitor.
            visitor: who asks.
            wish: what to paint.

        Raises:
            RunError: the visitor has a turn already, or the line is full.
        """
        painting = visitor.begin(wish, debug=self.debug)

        def work(turn: Turn) -> None:
            painting.run(lambda: turn.stopping, lambda: turn.left, self.backbones)

        visitor.turn = self.turns.join(name, work)
        return painting, visitor.turn
