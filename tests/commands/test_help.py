"""Help: complete, short and quick, also where its reader leaves early."""

import os
import subprocess
import sys

import pytest
import small_run

from splice import __version__
from splice.commands.cli import COMMANDS, main


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
