"""A studio in a process of its own, as the web library leaves sockets to be collected.

Run as a program, it serves the presets of `small_studio` for the files in a folder, prints where as a
line of JSON, and ends when its input does.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import small_run


@dataclass(frozen=True)
class StudioServer:
    """Where the page is, and the folder that holds all that visitors bring and get."""

    address: str
    folder: Path

    def visitors(self) -> list[Path]:
        """The folders of those who are here."""
        found = self.folder / "visitors"
        return list(found.iterdir()) if found.is_dir() else []


@contextlib.contextmanager
def studio_server(small: small_run.SmallRun, most_bytes: int) -> Iterator[StudioServer]:
    """Within, the page of a small studio is served."""
    files = [str(small.structure), str(small.appearance), str(small.weights)]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, str(most_bytes), *files],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=small_run.environment(),
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        found = json.loads(process.stdout.readline())
        yield StudioServer(found["address"], Path(found["folder"]))
    finally:
        process.stdin.close()
        process.stdout.close()
        assert process.wait(timeout=120) == 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import small_studio

    from splice.studio import serving

    given = small_run.SmallRun(*map(Path, sys.argv[2:]))
    with serving(small_studio.presets(given), most_bytes=int(sys.argv[1]), debug=True) as studio:
        where = {"address": studio.address, "folder": str(studio.folder)}
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
