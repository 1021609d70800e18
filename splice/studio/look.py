"""How the page looks: a quiet theme, with the fonts that the visitor's machine has."""

from importlib import resources

from gradio.themes import Base, Color, sizes

_PINE = Color(
    c50="#eef5f4",
    c100="#d6e7e4",
    c200="#b0d0cb",
    c300="#82b3ac",
    c400="#55938b",
    c500="#37776f",
    c600="#2a615a",
    c700="#234e49",
    c800="#1d3f3b",
    c900="#183431",
    c950="#0c1f1d",
    name="pine",
)

_STONE = Color(
    c50="#fafafa",
    c100="#f3f3f3",
    c200="#e4e4e4",
    c300="#d0d0d0",
    c400="#a2a2a2",
    c500="#747474",
    c600="#565656",
    c700="#414141",
    c800="#292929",
    c900="#1c1c1c",
    c950="#121212",
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
