"""What happens on the page when something is dropped, pressed or chosen."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from splice.errors import SpliceError
from splice.studio.command_line import command_line
from splice.studio.controls import turned
from splice.studio.downloads import downloads
from splice.studio.knobs import chosen
from splice.studio.painting import Moment, Painting
from splice.studio.parts import Parts
from splice.studio.pictures import Dropped
from splice.studio.visitors import Role, Visitor
from splice.studio.words import caption, hint, progress, trouble
from splice.studio.workshop import Workshop

LOOKED_EVERY = 0.1
"""Seconds between two looks at how far a run is."""

Changes = dict[Any, Any]
"""New values of parts of the page."""

_HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""Of every event: the page alone calls it, and says itself how far it is."""

_SAME = "The same picture from the command line"
_FINISHED = "The finished picture from the command line"


def wire(page: gr.Blocks, workshop: Workshop, parts: Parts) -> None:
    """Says what happens; called within the page."""
    for role, drop in parts.drops.items():
        brush = parts.brushes[role]
        given = {"inputs": drop, "outputs": [drop, brush, parts.say], **_HIDDEN}
        drop.upload(_dropping(page, workshop, parts, role), preprocess=False, **given)
        drop.clear(_clearing(workshop, parts, role), None, brush, **_HIDDEN)
        brush.submit(_brushing(workshop, parts, role), None, parts.say, **_HIDDEN)
    if parts.samples is not None:
        parts.samples.select(
            _sampling(workshop, parts),
            None,
            [*parts.drops.values(), *parts.brushes.values(), parts.samples, parts.say],
            **_HIDDEN,
        )
    paths = list(parts.knobs)
    parts.preset.input(
        lambda name: turned(workshop.presets[name], paths),
        parts.preset,
        list(parts.knobs.values()),
        **_HIDDEN,
    )
    parts.paint.click(
        _painting(workshop, parts),
        [parts.preset, *parts.knobs.values()],
        [parts.paint, parts.stop, *_shown_parts(parts)],
        concurrency_limit=None,
        **_HIDDEN,
    )
    parts.stop.click(_stopping(workshop), None, None, **_HIDDEN)
    parts.painted.select(_looking_again(workshop, parts), None, _shown_parts(parts), **_HIDDEN)
    page.unload(_leaving(workshop))


def _shown_parts(parts: Parts) -> list[Any]:
    """All that a run changes."""
    return [
        *(parts.say, parts.picture, parts.takes, *parts.take.values()),
        *(parts.command, parts.earlier, parts.painted),
    ]


def _dropping(
    page: gr.Blocks, workshop: Workshop, parts: Parts, role: Role
) -> Callable[..., Changes]:
    def drop(request: gr.Request, upload: dict[str, Any] | None) -> Changes:
        visitor = workshop.visitors.of(request.session_hash)
        if upload is None:
            return gr.skip()
        # A request may name any path; only what was sent to this server is read, and later removed.
        if upload.get("path") not in page.upload_file_set:
            return {parts.say: trouble("that file has not come here; drop it again.")}
        file = Path(upload["path"])
        visitor.uploads.add(file)
        try:
            dropped = visitor.drop(role, file, upload.get("orig_name") or file.name)
        except SpliceError as error:
            gone = {parts.drops[role]: None, parts.brushes[role]: gr.HTML(picture="")}
            return {**gone, parts.say: trouble(str(error))}
        say = {} if visitor.busy else {parts.say: hint(_next_step(visitor))}
        return {**_put(parts, role, dropped), **say}

    return drop


def _put(parts: Parts, role: Role, dropped: Dropped) -> Changes:
    """A picture where it was dropped, and below the brush."""
    address = f"/gradio_api/file={quote(str(dropped.preview))}"
    return {
        parts.drops[role]: str(dropped.preview),
        parts.brushes[role]: gr.HTML(picture=address),
    }


def _brushing(workshop: Workshop, parts: Parts, role: Role) -> Callable[..., Changes]:
    def brush(request: gr.Request, event: gr.EventData) -> Changes:
        visitor = workshop.visitors.of(request.session_hash)
        try:
            visitor.brush(role, str(event.strokes))
        except SpliceError as error:
            return {parts.say: trouble(str(error))}
        return gr.skip()

    return brush


def _next_step(visitor: Visitor) -> str:
    missing = [role for role in ("structure", "appearance") if role not in visitor.pictures]
    return f"Now drop the {missing[0]} image." if missing else "Ready: press <b>Paint</b>."


def _clearing(workshop: Workshop, parts: Parts, role: Role) -> Callable[..., Changes]:
    def clear(request: gr.Request) -> Changes:
        workshop.visitors.of(request.session_hash).forget(role)
        return {parts.brushes[role]: gr.HTML(picture="")}

    return clear


def _sampling(workshop: Workshop, parts: Parts) -> Callable[..., Changes]:
    def take(request: gr.Request, event: gr.SelectData) -> Changes:
        sample = workshop.samples[int(event.index)]
        visitor = workshop.visitors.of(request.session_hash)
        files = (sample.structure, sample.appearance)
        changes: Changes = {parts.samples: gr.update(selected_index=None)}
        for role, file, name in zip(parts.drops, files, sample.names, strict=True):
            changes |= _put(parts, role, visitor.drop(role, file, name))
        return changes if visitor.busy else {**changes, parts.say: hint(_next_step(visitor))}

    return take


def _painting(workshop: Workshop, parts: Parts) -> Callable[..., AsyncIterator[Changes]]:
    async def paint(request: gr.Request, preset: str, *values: Any) -> AsyncIterator[Changes]:
        visitor = workshop.visitors.of(request.session_hash)
        try:
            settings = chosen(workshop.presets[preset], dict(zip(parts.knobs, values, strict=True)))
            wish = visitor.wish(preset, settings)
            painting, turn = workshop.ask(request.session_hash or "", visitor, wish)
        except SpliceError as error:
            yield {parts.say: trouble(str(error))}
            return
        yield {
            parts.paint: gr.update(visible=False),
            parts.stop: gr.update(visible=True),
            parts.takes: gr.update(visible=False),
            parts.command: gr.update(visible=False),
            parts.picture: (str(wish.structure.preview), str(wish.structure.preview)),
        }
        seen: tuple[Any, ...] = (Moment(),)
        while True:
            ended = turn.ended  # asked first: what is seen after it is the last there is
            now = (painting.moment, turn.place, turn.stopping)
            if now != seen:
                say = progress(*now) if not ended or now[0].stage != "waiting" else hint()
                changes: Changes = {parts.say: say}
                if now[0].picture is not None and now[0].picture != seen[0].picture:
                    changes[parts.picture] = _pair(painting)
                yield changes
                seen = now
            if ended:
                break
            await asyncio.sleep(LOOKED_EVERY)
        back = {parts.paint: gr.update(visible=True), parts.stop: gr.update(visible=False)}
        if painting.moment.outcome is None:
            yield back
            return
        visitor.remember(painting)
        yield {**back, **_result(parts, visitor, painting)}

    return paint


def _result(parts: Parts, visitor: Visitor, painting: Painting) -> Changes:
    """What was painted, with all that belongs to it."""
    wish, files = painting.wish, downloads(painting)
    names = wish.structure.name, wish.appearance.name
    masks = {kind.split()[0]: file.name for kind, file in wish.masks.items()}
    gallery = [(str(each.moment.picture), caption(each)) for each in visitor.painted]
    take = {
        part: gr.update(value=str(files[kind].file), visible=True)
        if kind in files
        else gr.update(visible=False)
        for kind, part in parts.take.items()
    }
    return {
        parts.say: progress(painting.moment, 0, False),
        parts.picture: _pair(painting),
        parts.takes: gr.update(visible=True),
        **take,
        parts.command: gr.update(
            value=command_line(*names, wish.preset, wish.settings, masks),
            label=_SAME if painting.moment.stage == "done" else _FINISHED,
            visible=True,
        ),
        parts.earlier: gr.update(visible=True),
        parts.painted: gr.update(value=gallery, selected_index=None),
    }


def _pair(painting: Painting) -> tuple[str, str]:
    return str(painting.wish.structure.preview), str(painting.moment.picture)


def _stopping(workshop: Workshop) -> Callable[..., None]:
    def stop(request: gr.Request) -> None:
        turn = workshop.visitors.of(request.session_hash).turn
        if turn is not None:
            turn.stop()

    return stop


def _looking_again(workshop: Workshop, parts: Parts) -> Callable[..., Changes]:
    def look(request: gr.Request, event: gr.SelectData) -> Changes:
        visitor = workshop.visitors.of(request.session_hash)
        index = int(event.index)
        if visitor.busy or index >= len(visitor.painted):
            return gr.skip()
        return _result(parts, visitor, visitor.painted[index])

    return look


def _leaving(workshop: Workshop) -> Callable[..., None]:
    def leave(request: gr.Request) -> None:
        workshop.visitors.leave(request.session_hash)

    return leave
