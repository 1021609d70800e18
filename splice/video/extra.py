"""The library that reads and writes videos, which is an extra."""

from typing import Any

from splice.errors import RunError


def import_av() -> Any:
    """The module `av` (PyAV).

    Raises:
        RunError: it is not installed.
    """
    try:
        import av
        import av.logging
    except ImportError as error:
        raise RunError(
            "videos need PyAV; install it with: pip install 'splice-vit[video]', or give a folder of "
            "frames."
        ) from error
    # What is wrong is told by exceptions; the library would print it as well.
    av.logging.set_level(av.logging.PANIC)
    return av
