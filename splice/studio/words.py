"""What the page says, as HTML; everything that comes from outside is escaped."""

from html import escape

from splice.running.durations import duration
from splice.studio.painting import Moment, Painting

HINT = "Drop two pictures, or take a sample pair, and press <b>Paint</b>."

SOON = 10.0
"""Seconds left that are not counted any more."""

_STAGES = {
    "preparing": "Looking at both pictures",
    "painting": "Painting",
    "finishing": "Making it large",
    "done": "Done",
    "stopped": "Stopped",
}

_KINDS = {
    "lesson": "so far the tones, while the hand is learnt",
    "": "the tones come first",
}


def hint(text: str = HINT) -> str:
    """What to do next; the text is HTML already."""
    return f'<div class="say"><p>{text}</p></div>'


def trouble(sentence: str) -> str:
    """What is wrong, in one sentence."""
    sentence = sentence[:1].upper() + sentence[1:]
    sentence += "" if sentence.endswith((".", "?", "!")) else "."
    return f'<div class="say trouble" role="alert"><p>{escape(sentence)}</p></div>'


def progress(moment: Moment, place: int, stopping: bool) -> str:
    """How far a run is: its place in the line, or a bar with step and time left."""
    if moment.stage == "failed":
        return trouble(moment.words)
    if moment.stage == "waiting":
        if place == 0:
            return _bar("Beginning", "", None)
        others = "one picture is" if place == 1 else f"{place} pictures are"
        return _bar(f"Place {place} in the line", f"{others} painted before yours", None)
    if moment.stage in ("done", "stopped"):
        return ended(moment)
    if stopping:
        return _bar("Stopping", "the picture so far is made large and kept", None)
    title = _STAGES[moment.stage]
    if moment.stage == "preparing":
        return _bar(title, escape(moment.words) or _KINDS[""], None)
    if moment.stage == "finishing":
        return _bar(title, "and writing its files", 1.0)
    words = [f"step {moment.step} of {moment.steps}"]
    if moment.left is not None:
        soon = moment.left < SOON
        words.append("a few seconds left" if soon else f"about {duration(moment.left)} left")
    if note := _KINDS.get(moment.words, "" if moment.words.startswith("seen") else moment.words):
        words.append(escape(note))
    return _bar(title, " · ".join(words), moment.step / max(1, moment.steps))


def ended(moment: Moment) -> str:
    """How a run ended."""
    if moment.outcome is None:
        return hint("Stopped before there was a picture.")
    took = duration(moment.outcome.seconds)
    if moment.outcome.finished:
        return hint(f"<b>Done</b> in {took}. Move the handle to compare.")
    return hint(f"<b>Stopped</b> at step {moment.step} of {moment.steps}, after {took}.")


def caption(painting: Painting) -> str:
    """A picture of the gallery in a few words."""
    settings, moment = painting.wish.settings, painting.moment
    steps = f"{moment.step} of {moment.steps} steps" if moment.stage == "stopped" else ""
    parts = [painting.wish.preset, f"seed {settings.seed}", steps]
    return " · ".join(filter(None, parts))


def _bar(title: str, words: str, share: float | None) -> str:
    """A bar that is filled to a share in [0, 1], or moves to and fro."""
    if share is None:
        state, fill = 'class="bar unknown"', ""
    else:
        percent = f"{100 * share:.1f}"
        state = f'class="bar" aria-valuenow="{percent}" aria-valuemin="0" aria-valuemax="100"'
        fill = f' style="width:{percent}%"'
    return (
        f'<div class="say"><div role="progressbar" aria-label="{title}" {state}>'
        f"<span{fill}></span></div><p><b>{title}</b><span> {words}</span></p></div>"
    )
