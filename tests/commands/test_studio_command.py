"""`splice studio` as a program: what it prints, and that nothing stays when it ends."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import small_run

from splice.commands.cli import main

# The command, with a note on the standard error stream of every connection to another machine.
WATCHED = """
import sys
def watch(event, values):
    if event == "socket.connect" and isinstance(values[1], tuple):
        if values[1][0] not in ("127.0.0.1", "::1", "localhost"):
            sys.stderr.write(f"CONNECTS TO {values[1]}\\n")
    own = ("127.0.0.1", b"127.0.0.1", "localhost", None)
    if event == "socket.getaddrinfo" and values[0] not in own:
        sys.stderr.write(f"ASKS FOR {values[0]}\\n")
sys.addaudithook(watch)
from splice.commands.cli import main
sys.exit(main(["studio", *sys.argv[1:]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_and_leaves_nothing(tmp_path, number):
    (tmp_path / "temporary").mkdir()
    environment = small_run.environment(TMPDIR=str(tmp_path / "temporary"), BROWSER="false")
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED, "--no-browser", "--device=cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.communicate()[1]
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert b"Splice Studio" in answer.read()
        assert len(list((tmp_path / "temporary").glob("splice-studio-*"))) == 1
        if number == signal.SIGINT:
            _a_taken_port_is_named(address, environment)
        process.send_signal(number)
        rest, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert rest == ""
    assert said.splitlines() == ["the studio is open; ctrl-C closes it", "splice: stopped"]
    assert list((tmp_path / "temporary").glob("splice-studio-*")) == []
    assert {path.name for path in tmp_path.iterdir()} == {"temporary"}


def _a_taken_port_is_named(address: str, environment: dict[str, str]) -> None:
    port = address.rstrip("/").rpartition(":")[2]
    before = set(Path(environment["TMPDIR"]).iterdir())
    done = subprocess.run(
        [*small_run.command("studio"), "--no-browser", "--port", port],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"splice: error: --port {port} cannot be used")
    assert len(done.stderr.splitlines()) == 1
    assert set(Path(environment["TMPDIR"]).iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "0"], "--port"),
        (["--port", "70000"], "--port"),
        (["--preset", "nonsense"], "there is no preset nonsense"),
        (["--objective.nearest", "-1"], "--objective.nearest cannot be -1"),
        (["picture.jpg"], "one argument too many"),
    ],
)
def test_mistakes_are_told_before_anything_is_served(arguments, said, capsys):
    assert main(["studio", "--no-browser", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err and len(printed.err.splitlines()) == 1


def test_without_gradio_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["studio", "--no-browser"]) == 1
    assert "pip install 'splice-vit[web]'" in capsys.readouterr().err
