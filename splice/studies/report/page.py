"""Templates to pages: each one file, that asks nothing of any network."""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from splice.analysis.scores import score_table
from splice.errors import RunError
from splice.pictures.images import write_atomically


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template with its style and script into one HTML file, whole or not at all.

    Values may be iterators: they are consumed as the page is written, so a page can be larger than
    memory. Everything in them is escaped.

    Args:
        path: of the page.
        template: its name: `NAME.html.jinja`, `NAME.css` and `NAME.js` in `templates/`.
        values: for the template.

    Raises:
        RunError: jinja2 is not installed, or writing failed.
        InputError: the place cannot take the file.
    """
    pieces = (
        _environment()
        .get_template(f"{template}.html.jinja")
        .generate(
            style=_asset("common.css") + _asset(f"{template}.css"),
            script=_asset("common.js") + _asset(f"{template}.js"),
            **values,
        )
    )

    def write(file: Any) -> None:
        for piece in pieces:
            file.write(piece.encode())

    write_atomically(path, write)


@cache
def _environment() -> Any:
    try:
        import jinja2
    except ImportError:
        raise RunError(
            "pages need jinja2; install it with: pip install 'splice-vit[report]'."
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("splice.studies.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = score_text
    return environment


def _asset(name: str) -> Any:
    """A style or script of this package: it is no data, so it is not escaped."""
    from markupsafe import Markup

    return Markup(
        (resources.files("splice.studies.report") / "templates" / name).read_text("utf-8")
    )


def score_text(value: float, name: str) -> str:
    """A score as tables show it, under the name last, as filters of templates want it."""
    return score_table.score_text(name, value)
