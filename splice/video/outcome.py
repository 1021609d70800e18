"""How the run of a video ended, and the folder that it has until then."""

from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from splice.running.outputs import CHECKPOINT, RunFolder
from splice.running.single_picture import folder_of
from splice.video.flicker import Flicker


@dataclass(frozen=True)
class VideoOutcome:
    """How a run ended.

    Attributes:
        output: the video or folder.
        frames: that were painted.
        of: that the video has.
        steps: of learning that are done.
        asked: steps of learning in all.
        seconds: that this part of the run took.
        flicker: of input and output.
        exit_status: with which the run was asked to stop, if it was.
    """

    output: Path
    frames: int
    of: int
    steps: int
    asked: int
    seconds: float
    flicker: Flicker
    exit_status: int | None = None

    @property
    def finished(self) -> bool:
        """Whether all frames are painted."""
        return self.frames == self.of


class Workplace(RunFolder):
    """A folder beside the output, `NAME.run`, that is there only while the run is unfinished."""

    def __init__(self, output: Path) -> None:
        """Create the folder where needed, and hold it.

        Args:
            output: a video or a folder, to be written.

        Raises:
            InputError: it cannot be created, or another run writes the same output.
        """
        super().__init__(workplace_of(output))

    @override
    def release(self) -> None:
        if self._lock.is_locked and not self.has(CHECKPOINT):
            self._created = True
        super().release()


def workplace_of(output: Path) -> Path:
    """The folder of the unfinished run of an output."""
    return folder_of(output if output.name else output.resolve())
