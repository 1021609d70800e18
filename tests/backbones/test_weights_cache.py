"""The cache's promise: what is read is what was written, or it is called damaged."""

from pathlib import Path

import platformdirs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splice.backbones.weights import cache

RECORD = {"source": "a test", "licence": "none", "wheel_sha256": "1", "onnx_sha256": "2"}


def fill(folder: Path, data: bytes) -> cache.CachedWeights:
    with cache.writing(folder, wait=lambda: None) as scratch:
        return cache.write(folder, scratch, "weights", data, RECORD)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert cache.read(tmp_path / "new", "weights") is None
    written = fill(tmp_path / "new", b"tensors")
    read = cache.read(tmp_path / "new", "weights")
    assert read == written
    assert read.data == b"tensors" and read.record.items() >= RECORD.items()
    assert read.path.read_bytes() == b"tensors"


@settings(max_examples=60)
@given(data=st.binary(min_size=1, max_size=200), choose=st.randoms(use_true_random=False))
def test_any_changed_byte_is_noticed(tmp_path_factory, data: bytes, choose) -> None:
    folder = tmp_path_factory.mktemp("cache")
    path = fill(folder, data).path
    place = choose.randrange(len(data))
    changed = bytearray(data)
    changed[place] ^= choose.randrange(1, 256)
    for damaged in (bytes(changed), data[:place], data + b"\0"):
        path.write_bytes(damaged)
        with pytest.raises(cache.DamagedError):
            cache.read(folder, "weights")
    path.write_bytes(data)
    assert cache.read(folder, "weights").data == data


@settings(max_examples=60)
@given(record=st.binary(max_size=100) | st.sampled_from([b"[]", b"null", b'{"sha256": 3}']))
def test_any_record_that_is_not_one_is_noticed(tmp_path_factory, record: bytes) -> None:
    folder = tmp_path_factory.mktemp("cache")
    fill(folder, b"tensors")
    (folder / "weights.json").write_bytes(record)
    with pytest.raises(cache.DamagedError):
        cache.read(folder, "weights")


def test_a_failure_while_writing_leaves_the_old_weights(tmp_path: Path) -> None:
    fill(tmp_path, b"old")
    with pytest.raises(KeyError), cache.writing(tmp_path, wait=lambda: None) as scratch:
        (scratch / "weights.safetensors").write_bytes(b"half")
        raise KeyError
    assert cache.read(tmp_path, "weights").data == b"old"
    assert not list(tmp_path.glob("unfinished-*"))


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLICE_CACHE", "~/somewhere")
    assert cache.cache_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("SPLICE_CACHE")
    assert cache.cache_folder() == Path(platformdirs.user_cache_dir("splice-vit"))
