"""The server of the page: on this machine alone, with one temporary folder that ends with it."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from splice.errors import InputError, RunError
from splice.method.settings import Settings
from splice.running.environment import environment
from splice.studio.pictures import MOST_BYTES
from splice.studio.samples import find_samples, sample_folder
from splice.studio.turns import MOST_WAITING, Turns
from splice.studio.visitors import Visitors
from splice.studio.workshop import Workshop

LOOPBACK = "127.0.0.1"
"""Only programs of this machine can reach it."""

_OWN_NAMES = (LOOPBACK, "localhost", "::1")
"""Of this machine, by which its own browsers know it, also through a tunnel."""

_UNUSED = ("/process_recording",)
"""What the web library would do for a visitor that the page has no use for, and that writes files."""


@dataclass(frozen=True)
class Studio:
    """A server at work.

    Attributes:
        address: of the page, for browsers of this machine.
        shared: of the page, for everybody who knows it; None unless that was asked for.
        folder: that holds all that visitors bring and get.
        workshop: what the pages share.
    """

    address: str
    shared: str | None
    folder: Path
    workshop: Workshop


@contextlib.contextmanager
def serving(
    presets: Mapping[str, Settings],
    *,
    port: int | None = None,
    share: bool = False,
    samples: Path | None = None,
    most_bytes: int = MOST_BYTES,
    most_waiting: int = MOST_WAITING,
    debug: bool = False,
) -> Iterator[Studio]:
    """Within, the page is served; afterwards nothing of it is left.

    Args:
        presets: settings that a page can begin with, by name, the first one chosen at first.
        port: to listen at; by default the first free one from 7860.
        share: let others reach it through a public address of the web library's makers.
        samples: folder of pairs to try; by default the project's, where they are at hand.
        most_bytes: of a file that is dropped.
        most_waiting: visitors that may wait at once.
        debug: print where unexpected failures arise.

    Raises:
        RunError: the extra `web` is not installed, or there is no public address.
        InputError: the port cannot be listened at.
    """
    with contextlib.ExitStack() as stack:
        # A run that takes too long to stop may still write while its folder goes.
        temporary = tempfile.TemporaryDirectory(prefix="splice-studio-", ignore_cleanup_errors=True)
        root = stack.enter_context(temporary)
        folder = Path(root).resolve()
        # The library reads these, and the first of them not only when it is loaded.
        stack.enter_context(
            environment({"GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "0"})
        )
        _check_library()
        from splice.studio.page import build_page

        turns = stack.enter_context(Turns(most_waiting))
        workshop = Workshop(
            presets,
            find_samples(samples or sample_folder(), folder / "samples"),
            Visitors(folder / "visitors"),
            turns,
            debug,
        )
        page = build_page(workshop)
        stack.callback(page.close, verbose=False)
        address, shared = _launch(page, folder, port, share, most_bytes)
        yield Studio(address, shared, folder, workshop)


def _check_library() -> None:
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise RunError(
            "the studio needs gradio; install it with: pip install 'splice-vit[web]'."
        ) from error


def _launch(
    page: Any, folder: Path, port: int | None, share: bool, most_bytes: int
) -> tuple[str, str | None]:
    from starlette.middleware import Middleware

    from splice.studio.look import style, theme

    try:
        _, address, shared = page.launch(
            server_name=LOOPBACK,
            server_port=port,
            share=share,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            root_path="",
            # Named, so that no variable of the environment opens others.
            allowed_paths=[str(folder)],
            max_file_size=most_bytes,
            app_kwargs={"middleware": [Middleware(_Refusing, shared=share)]},
            theme=theme(),
            css=style(),
        )
    except OSError as error:
        if port is None:
            raise RunError(f"no port is free for the studio ({error}).") from error
        raise InputError(
            f"--port {port} cannot be used (taken, or not for everybody); give another, or none."
        ) from error
    if share and not shared:
        raise RunError("there is no public address now; leave --share out, or try again later.")
    return address, shared


class _Refusing:
    """Answers what the page has no use for with 404, and pages of other servers with 403.

    A browser lets any page on the web send requests to this machine. It says of which page they come,
    and by what name it knows the server, which may be one that somebody else has pointed here.
    """

    def __init__(self, app: Any, shared: bool) -> None:
        self._app, self._shared = app, shared

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status = self._refused(scope) if scope["type"] == "http" else None
        if status is None:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def _refused(self, scope: Any) -> int | None:
        if scope["path"].rstrip("/").endswith(_UNUSED):
            return 404
        told = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = told.get(b"host", ""), told.get(b"origin")
        # A public address is for everybody, whatever leads there.
        if self._shared:
            return None
        foreign = origin is not None and urlsplit(origin).netloc != host
        return 403 if foreign or urlsplit(f"//{host}").hostname not in _OWN_NAMES else None
