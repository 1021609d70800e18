"""What is in the wheel: all that the command needs where there is no source."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import small_run

SAYS = """
import sys
from pathlib import Path
import splice
from splice.commands.cli import main
from splice.pictures.samples import sample_pair
from splice.running.presets import preset_names

folder = Path(splice.__file__).parent
assert folder.is_relative_to(sys.argv[1]), folder
assert preset_names() == ["default", "paper", "quick"]
pair = sample_pair()
assert pair is not None and pair.is_relative_to(folder), pair
assert (pair.parent / "ATTRIBUTION.md").is_file()
structure, = (pair / "A").iterdir()
# Without pictures it takes that pair, and will not paint over it.
sys.exit(main(["transfer", "--output", str(structure)]))
"""


@pytest.mark.slow
def test_the_wheel_has_the_sample_pair_and_the_presets(tmp_path, monkeypatch):
    build = pytest.importorskip("hatchling.build")
    monkeypatch.chdir(small_run.ROOT)
    wheel = Path(tmp_path, build.build_wheel(str(tmp_path)))
    assert wheel.stat().st_size < 2_000_000
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    pictures = {path.name: path.read_bytes() for path in installed.glob("splice/samples/**/*.jpg")}
    sources = {
        path.name: path.read_bytes()
        for path in (small_run.ROOT / "datasets/samples/mountains").glob("*/*.jpg")
    }
    assert pictures == sources and len(pictures) == 2
    done = subprocess.run(
        [sys.executable, "-c", SAYS, str(installed)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**small_run.environment(), "PYTHONPATH": str(installed)},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "is the structure image itself" in done.stderr
