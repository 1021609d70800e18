"""Files that are either whole or absent: written beside their final name, then renamed."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from splice.errors import InputError, RunError

# What the user can put right by naming another place; anything else happens while writing.
_WRONG_PLACE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that a reader, or a crash, never meets half of it.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and take the
    final name in one rename; an existing file is replaced only then. A symbolic link is
    followed: the file that it names is replaced. Whatever fails, the temporary file is removed.

    Args:
        path: the file to write; its folder must exist.
        write: is called once with the open binary file.

    Raises:
        InputError: the place cannot take the file (no such folder, no permission, a folder or
            a device of that name).
        RunError: writing failed (a full disk, a quota, an input/output error).
        Exception: whatever else `write` raises, unchanged.
    """
    final = _final_place(path)
    temporary = final.with_name(f".splice-{secrets.token_hex(8)}.tmp")
    done = False
    try:
        with _explained(path):
            # Unlike tempfile's, this mode leaves the permissions to the user's umask.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
            done = True
    finally:
        if not done:
            with contextlib.suppress(OSError):
                temporary.unlink()
    _sync_folder(final.parent)


def _final_place(path: str | Path) -> Path:
    """Follow links, and refuse what a rename would destroy: folders, devices, pipes."""
    try:
        final = Path(path).resolve()
        mode = final.lstat().st_mode
    except FileNotFoundError:
        final, mode = Path(path).resolve(), None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links is one or the other
        raise InputError(f"{path} cannot be written ({_reason(error)}); name another file.") from (
            error
        )
    if mode is not None and stat.S_ISDIR(mode):
        raise InputError(f"{path} cannot be written: it is a folder; name a file in it.")
    if mode is not None and not stat.S_ISREG(mode):
        raise InputError(f"{path} cannot be written: it is not a regular file; name another.")
    if not final.parent.is_dir():
        raise InputError(
            f"{path} cannot be written: there is no folder {final.parent}; create it first."
        )
    return final


@contextmanager
def _explained(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise RunError(
                f"{path} cannot be written: no space is left for it ({_reason(error)}); "
                "free some, or name a folder on another disk."
            ) from error
        if error.errno in _WRONG_PLACE:
            raise InputError(
                f"{path} cannot be written ({_reason(error)}); "
                "name a file in a folder that you may write to."
            ) from error
        raise RunError(f"{path} could not be written ({_reason(error)}).") from error


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last a power cut; file systems that cannot are left as they are."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
