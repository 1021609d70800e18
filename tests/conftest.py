"""Shape and type checks on every call of the package, and what several tests share."""

from jaxtyping import install_import_hook

install_import_hook("splice", "beartype.beartype")
