"""Writing pictures and files: whole or not at all."""

import errno
import os
import resource
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import make_loop, put
from told import assert_one_sentence

from splice.errors import InputError, RunError
from splice.pictures.images import read_image, to_pil, write_atomically, write_image

pytestmark = pytest.mark.robustness


# Writing


def test_png_gives_back_every_level(tmp_path: Path) -> None:
    levels = torch.arange(256).reshape(16, 16)
    image = torch.stack([levels, levels.T, 255 - levels]) / 255
    write_image(tmp_path / "levels.png", image)
    torch.testing.assert_close(read_image(tmp_path / "levels.png"), image, rtol=0, atol=1e-7)


def test_writing_is_deterministic_and_leaves_nothing_else(tmp_path: Path) -> None:
    image = torch.rand(3, 40, 30)
    for suffix in ("png", "jpg", "jpeg"):
        for name in ("first", "second"):
            write_image(tmp_path / f"{name}.{suffix}", image)
        first, second = (tmp_path / f"{name}.{suffix}" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert len(list(tmp_path.iterdir())) == 6
    assert (read_image(tmp_path / "first.jpg") - image).abs().mean() < 0.02


def test_values_are_rounded_and_clipped() -> None:
    image = torch.tensor([-1.0, 0.49 / 255, 0.51 / 255, 254.6 / 255, 7.0]).expand(3, 1, 5)
    np.testing.assert_array_equal(np.asarray(to_pil(image))[0, :, 0], [0, 0, 1, 255, 255])


def test_picture_that_needs_gradients_is_written(tmp_path: Path) -> None:
    write_image(tmp_path / "graph.png", torch.rand(3, 16, 16, requires_grad=True))
    assert read_image(tmp_path / "graph.png").shape == (3, 16, 16)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_values_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    image = torch.zeros(3, 16, 16)
    image[0, 0, 0] = bad
    with pytest.raises(RunError, match="not finite"):
        write_image(tmp_path / "bad.png", image)
    assert not list(tmp_path.iterdir())


def test_unknown_suffix(tmp_path: Path) -> None:
    for name in ("picture.tga", "picture", ".png"):
        with pytest.raises(InputError) as caught:
            write_image(tmp_path / name, torch.zeros(3, 16, 16))
        assert_one_sentence(caught.value, str(tmp_path / name), ".png")


def test_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = put(tmp_path, "kept.txt", b"old")

    def fail(file: object) -> None:
        file.write(b"new, half")  # type: ignore[attr-defined]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.txt"]


def test_new_file_has_the_users_permissions(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", lambda file: file.write(b"x"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = put(tmp_path / "real", "file.txt", b"old")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    write_atomically(link, lambda file: file.write(b"new"))
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    put(tmp_path, "file", b"x")
    os.mkfifo(tmp_path / "pipe.png")
    make_loop(tmp_path / "loop.png")
    for name in ("folder.png", "file/in.png", "absent/in.png", "pipe.png", "loop.png"):
        with pytest.raises(InputError) as caught:
            write_image(tmp_path / name, torch.zeros(3, 16, 16))
        assert_one_sentence(caught.value, str(tmp_path / name))
    with pytest.raises(InputError, match="too long"):
        write_image(tmp_path / ("n" * 300 + ".png"), torch.zeros(3, 16, 16))
    names = {entry.name for entry in tmp_path.iterdir()}
    assert names == {"folder.png", "file", "pipe.png", "loop.png", "other"}


def test_device_is_not_replaced() -> None:
    with pytest.raises(InputError, match="regular"):
        write_atomically("/dev/null", lambda file: file.write(b"x"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_folder_without_permission(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(InputError, match="may write"):
        write_image(closed / "picture.png", torch.zeros(3, 16, 16))


def test_no_space(tmp_path: Path) -> None:
    path = put(tmp_path, "kept.png", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(RunError) as caught:
            write_image(path, torch.rand(3, 64, 64))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_one_sentence(caught.value, str(path), "no space")
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_errors_of_the_writer_are_explained(tmp_path: Path, number: int) -> None:
    def fail(file: object) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(RunError) as caught:
        write_atomically(tmp_path / "file", fail)
    assert_one_sentence(caught.value, str(tmp_path / "file"), os.strerror(number))
    assert not list(tmp_path.iterdir())
