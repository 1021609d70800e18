"""How the page looks: a quiet theme, with the fonts that the visitor's machine has."""

from importlib import resources

from gradio.themes import Base, Color, sizes

_PINE = Color(
    *["#eef5f4", "#d6e7e4", "#b0d0cb", "#82b3ac", "#55938b", "#37776f"],
    *["#2a615a", "#234e49", "#1d3f3b", "#183431", "#0c1f1d"],
    name="pine",
)

_STONE = Color(
    *["#fafafa", "#f3f3f3", "#e4e4e4", "#d0d0d0", "#a2a2a2", "#747474"],
    *["#565656", "#414141", "#292929", "#1c1c1c", "#121212"],
    name="stone",
)
"""Without any colour: beside a picture, a tint would change what its colours look like."""


def theme() -> Base:
    """The theme of the page, light and dark; it fetches no font."""
    base = Base(
        primary_hue=_PINE,
        secondary_hue=_PINE,
        neutral_hue=_STONE,
        radius_size=sizes.radius_sm,
        font=("ui-sans-serif", "system-ui", "Segoe UI", "Helvetica Neue", "sans-serif"),
        font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
    )
    return base.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_400",
        block_title_text_weight="500",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_500",
        button_primary_background_fill_hover_dark="*primary_400",
        button_primary_text_color="white",
        color_accent="*primary_500",
        color_accent_soft="*primary_100",
        slider_color="*primary_500",
        slider_color_dark="*primary_400",
    )


def style() -> str:
    """The page's own style sheet."""
    return _text("studio.css")


def brush() -> str:
    """The script of a brush."""
    return _text("brush.js")


def _text(name: str) -> str:
    return (resources.files("splice.studio") / name).read_text("utf-8")
