"""The way to a Ray cluster: Ray imported, and joined or started by its address."""

import os
import signal
import socket
import threading
from typing import Any

from splice.errors import InputError, RunError

LOCAL = "local"
"""The address of a cluster that is started for this batch, on this machine alone."""


def import_ray() -> Any:
    """The module `ray`.

    Raises:
        RunError: Ray is not installed.
    """
    # No report of usage to Ray's makers, unless the user wants one.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise RunError(
            "--ray needs Ray; install it with: pip install 'splice-vit[ray]', here and on all nodes."
        ) from None
    return ray


def connect(ray: Any, address: str) -> None:
    """Join the cluster at an address, or start one.

    Args:
        ray: from `import_ray`.
        address: `local`, `auto`, or `HOST:PORT` of the cluster's head.

    Raises:
        RunError: no cluster answers, or none can be started.
        InputError: an address that does not work here.
    """
    if address.startswith("ray://"):
        raise InputError(
            f"--ray {address} is an address of Ray's client, which cannot stream results; run this "
            "command on a machine of the cluster, with --ray auto or its HOST:PORT."
        )
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address == LOCAL:
        options["include_dashboard"] = False
    elif address != "auto":
        _knock(address)
    ours = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
    except Exception as error:  # some of what it raises is nothing more special
        if address == LOCAL:
            raise RunError(f"Ray could not be started ({first_sentence(error)}).") from error
        raise _unreachable(address, first_sentence(error)) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)  # Ray puts its own in the place


def _knock(address: str) -> None:
    """Make sure that something listens there: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise InputError(f"--ray cannot be {address}: it should be HOST:PORT, auto or local.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5.0).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, getattr(error, "strerror", None) or str(error)) from error


def _unreachable(address: str, reason: str) -> RunError:
    return RunError(
        f"no Ray cluster answers at --ray {address} ({reason}); start one with "
        "'ray start --head', or use --ray local."
    )


def first_sentence(error: Exception) -> str:
    """What one of Ray's errors, which run to pages, says first."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0].strip().rstrip(".")[:200]
