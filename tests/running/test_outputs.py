"""The run's folder: who holds it, and what is told when it cannot be used."""

import json
import math
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import small_run
import stand_in
from stand_in_run import settings_of

from splice.errors import InputError, RunError
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.running.run import Run


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    """The plumbing alone is tested here."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())


@pytest.mark.slow
@pytest.mark.robustness
def test_a_second_run_into_one_folder_is_refused_while_the_first_is_there(tmp_path):
    with RunFolder(tmp_path / "out"):
        with pytest.raises(InputError, match="another run is writing"):
            RunFolder(tmp_path / "out")
        code = (
            "import sys; from pathlib import Path; from splice.running.outputs import RunFolder\n"
            "try: RunFolder(Path(sys.argv[1]))\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "out")],
            capture_output=True,
            text=True,
            check=True,
            env=small_run.environment(),
        )
        assert done.stdout.startswith("InputError another run is writing")
    RunFolder(tmp_path / "out").release()


@pytest.mark.robustness
def test_runs_without_a_folder_of_their_own_never_share_one(tmp_path):
    """Eight at once: eight folders."""
    barrier = threading.Barrier(8)
    folders: list[RunFolder] = []

    def claim() -> None:
        barrier.wait()
        folders.append(RunFolder.numbered(tmp_path / "outputs", "a--b"))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = sorted(folder.path.name for folder in folders)
    assert names == sorted(["a--b", *(f"a--b-{number}" for number in range(2, 9))])


def test_resuming_takes_the_newest_unfinished_folder(tmp_path):
    root = tmp_path / "outputs"
    for name in ("a--b", "a--b-2", "a--b-3"):
        (root / name).mkdir(parents=True)
        (root / name / "run.json").touch()
    for name in ("a--b", "a--b-2"):
        (root / name / CHECKPOINT).touch()
    with RunFolder.numbered(root, "a--b", resume=True) as folder:
        assert folder.path == root / "a--b-2"
        # What another process holds is left to it.
        with RunFolder.numbered(root, "a--b", resume=True) as second:
            assert second.path == root / "a--b"
        with RunFolder.numbered(root, "a--b") as third:
            assert third.path == root / "a--b-4"
    assert not (root / "a--b-4").exists()


def test_a_folder_made_for_nothing_goes_and_one_that_was_there_stays(tmp_path):
    RunFolder(tmp_path / "new").release()
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    RunFolder(tmp_path / "old").release()
    assert list((tmp_path / "old").iterdir()) == []


@pytest.mark.robustness
def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".splice-0123456789abcdef.tmp").write_bytes(b"half")
    with RunFolder(tmp_path / "out") as folder:
        assert [path.name for path in folder.path.iterdir()] == [".lock"]


@pytest.mark.robustness
def test_a_folder_that_vanishes_is_told_as_that(small, tmp_path):
    import shutil

    with RunFolder(tmp_path / "out") as folder:
        run = Run(small.files, settings_of(small), folder)

        def vanish(step) -> None:
            if step.step == 4:
                shutil.rmtree(tmp_path / "out")

        with pytest.raises(RunError, match="vanished"):
            run.proceed(watch=vanish, checkpoint_every=0.0)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/x", "/dev/null"])
def test_hopeless_folders(place):
    with pytest.raises(InputError, match="--output"):
        RunFolder(Path(place))
    with pytest.raises(InputError, match="--output"):
        RunFolder.numbered(Path(place), "a--b")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(InputError, match="is a file"):
        RunFolder(tmp_path / "x")


def test_numbers_that_are_not_finite_are_null_in_the_record(tmp_path):
    with RunFolder(tmp_path / "out") as folder:
        folder.write_record({"a": [math.nan, 1.5, {"b": -math.inf}], "c": (2,), "d": "x"})
        text = (tmp_path / "out" / "run.json").read_text()
        # Strict: `json` would read NaN back without complaint.
        record = json.loads(text, parse_constant=lambda name: pytest.fail(name))
        assert record == {"a": [None, 1.5, {"b": None}], "c": [2], "d": "x"}
