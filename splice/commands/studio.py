"""`splice studio`: a page in the browser on which pictures are dropped, painted and compared."""

from __future__ import annotations

import sys
import threading

from splice.commands.parser import Options, add_count, add_settings, changes
from splice.commands.progress import show
from splice.errors import InputError

_LAST_PORT = 65_535

_DESCRIPTION = (
    "Open a page in the browser: drop two pictures, watch one being painted in the look of the "
    "other, compare, and take the files home. Ctrl-C ends it, and all that was dropped is gone."
)


def main(arguments: list[str], program: str) -> int:
    """Run the command, until a signal ends it.

    Returns:
        0; in practice the status of the signal.

    Raises:
        SpliceError: whatever keeps the page from being served.
    """
    values = _options(program).parse(arguments)
    if values.port is not None and values.port > _LAST_PORT:
        raise InputError(f"--port cannot be {values.port}: it should be at most {_LAST_PORT:,}.")
    from splice.studio import serving
    from splice.studio.knobs import start_presets

    presets = start_presets(values.preset, changes(values))
    with serving(presets, port=values.port, share=values.share, debug=values.debug) as studio:
        show(studio.address)
        if studio.shared:
            show(studio.shared)
        sys.stdout.flush()
        if not values.quiet:
            print("the studio is open; ctrl-C closes it", file=sys.stderr, flush=True)
        if values.browser:
            import webbrowser

            webbrowser.open(studio.address)
        waiting = threading.Event()
        while not waiting.wait(3600.0):
            pass
    return 0


def _options(program: str) -> Options:
    parser = Options(program, _DESCRIPTION)
    add_count(parser, "--port", "listen at this port; by default the first free one from 7860")
    parser.add_argument(
        "--share",
        action="store_true",
        help="let others in: a public address, through a server of gradio's makers, for a week",
    )
    parser.add_argument(
        "--no-browser",
        dest="browser",
        action="store_false",
        help="print the address alone",
    )
    add_settings(parser)
    return parser
