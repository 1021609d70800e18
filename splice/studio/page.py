"""The page: where everything lies. What happens when something is pressed is in `events`."""

import gradio as gr

from splice.studio import events
from splice.studio.controls import folded_knobs, front_knobs, host_words, preset_choice
from splice.studio.downloads import KINDS, MASKS
from splice.studio.look import brush
from splice.studio.parts import Parts
from splice.studio.visitors import Role
from splice.studio.words import hint
from splice.studio.workshop import Workshop

_MASTHEAD = (
    '<header id="masthead"><h1>Splice Studio</h1>'
    "<p>One photograph, painted in the look of another.</p></header>"
)

_DROPS: dict[Role, tuple[str, str]] = {
    "structure": ("Structure", "The picture with the shapes"),
    "appearance": ("Appearance", "The picture with the look"),
}

_BRUSHES: dict[Role, str] = {
    "structure": "Brush over what is to be painted; the rest stays as it is.",
    "appearance": "Brush over where the look comes from.",
}

_BOARD = """
<p>{what}</p>
<div class="board" data-empty="true"><canvas width="1" height="1"></canvas></div>
<div class="tools">
<button type="button" data-tool="brush">Brush</button>
<button type="button" data-tool="eraser">Eraser</button>
<button type="button" data-clear>Clear</button>
<input type="range" min="2" max="30" value="10" aria-label="Width of the brush">
</div>
"""

_KEPT_SECONDS = 86_400


def build_page(workshop: Workshop) -> gr.Blocks:
    """The page of a workshop, which is not shown to anybody yet."""
    page = gr.Blocks(
        title="Splice Studio",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3_600, _KEPT_SECONDS),
    )
    with page:
        gr.HTML(_MASTHEAD)
        with gr.Row(elem_id="bench"):
            parts = _lay(workshop)
        events.wire(page, workshop, parts)
    return page.queue(default_concurrency_limit=None)


def _lay(workshop: Workshop) -> Parts:
    with gr.Column(elem_id="given"):
        with gr.Row(elem_id="drops"):
            drops: dict[Role, gr.Image] = {r: _drop(r, *words) for r, words in _DROPS.items()}
        paint = gr.Button("Paint", variant="primary", size="lg", elem_id="paint")
        stop = gr.Button("Stop", variant="secondary", size="lg", visible=False, elem_id="stop")
        with gr.Accordion("Only a part of them", open=False, elem_id="brushes"):
            brushes: dict[Role, gr.HTML] = {r: _brush(r, what) for r, what in _BRUSHES.items()}
        samples = _samples(workshop)
    with gr.Column(elem_id="made"):
        say = gr.HTML(hint(), elem_id="say")
        picture = gr.ImageSlider(
            show_label=False,
            interactive=False,
            elem_id="picture",
            buttons=["fullscreen"],
            max_height=720,
            format="jpeg",
        )
        with gr.Row(elem_id="downloads", visible=False) as takes:
            take = {kind: _take(kind) for kind in (*KINDS, *MASKS)}
        command = gr.Code(
            label="The same picture from the command line",
            interactive=False,
            wrap_lines=True,
            show_line_numbers=False,
            lines=1,
            buttons=["copy"],
            visible=False,
            elem_id="command",
        )
        with gr.Column(visible=False, elem_id="earlier") as earlier:
            gr.HTML("<h2>Painted so far</h2>")
            painted = _gallery("Painted so far", 4, "painted")
    with gr.Column(elem_id="knobs"):
        preset = preset_choice(workshop.presets)
        knobs = front_knobs(workshop.first)
        with gr.Accordion("All settings", open=False, elem_id="folded"):
            knobs |= folded_knobs(workshop.first)
            gr.Markdown(host_words(workshop.first), elem_classes="small")
    return Parts(
        *(drops, brushes, samples, preset, knobs, paint, stop, say, picture, take, takes, command),
        *(earlier, painted),
    )


def _drop(role: Role, title: str, what: str) -> gr.Image:
    return gr.Image(
        label=title,
        sources=["upload"],
        type="filepath",
        interactive=True,
        height=176,
        buttons=[],
        placeholder=what,
        elem_id=role,
    )


def _brush(role: Role, what: str) -> gr.HTML:
    return gr.HTML(
        html_template=_BOARD.replace("{what}", what),
        js_on_load=brush(),
        elem_id=f"{role}-brush",
        elem_classes="brush",
        picture="",
    )


def _samples(workshop: Workshop) -> gr.Gallery | None:
    if not workshop.samples:
        return None
    gr.HTML("<h2>Or a sample pair</h2>")
    pairs = [(str(sample.thumbnail), sample.name) for sample in workshop.samples]
    return _gallery("Sample pairs", 2, "samples", pairs)


def _gallery(
    label: str, columns: int, name: str, pictures: list[tuple[str, str]] | None = None
) -> gr.Gallery:
    return gr.Gallery(
        pictures,
        label=label,
        show_label=False,
        columns=columns,
        fit_columns=False,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id=name,
    )


def _take(kind: str) -> gr.DownloadButton:
    name = f"take-{kind.replace(' ', '-')}"
    return gr.DownloadButton(kind.capitalize(), size="sm", elem_id=name, visible=kind not in MASKS)
