"""The parts of the page that something happens to."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from splice.studio.visitors import Role


@dataclass(frozen=True)
class Parts:
    """What `page` lays and `events` changes.

    Attributes:
        drops: where pictures are dropped, by role.
        brushes: which part of each picture counts, by role.
        samples: pairs to try; None where there are none.
        preset: the choice of a preset.
        knobs: by the path of the setting, in the order in which `events` is given their values.
        paint: begins.
        stop: ends, and keeps the picture so far.
        say: how far it is, or what is wrong.
        picture: structure image and output, with a handle between them.
        take: files to take home, by kind.
        takes: all of them.
        command: that paints the same.
        earlier: holds the next one.
        painted: what this visitor has painted.
    """

    drops: dict[Role, gr.Image]
    brushes: dict[Role, gr.HTML]
    samples: gr.Gallery | None
    preset: gr.Radio
    knobs: dict[str, Any]
    paint: gr.Button
    stop: gr.Button
    say: gr.HTML
    picture: gr.ImageSlider
    take: dict[str, gr.DownloadButton]
    takes: gr.Row
    command: gr.Code
    earlier: gr.Column
    painted: gr.Gallery
