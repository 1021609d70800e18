"""What a machine without a network needs beside torch, carried in a folder.

Packing takes wheels of the packages that runs and tests import, for Linux on x86-64, and the embedded
weights in half precision, about 44 MB, laid out as the cache of weights that a run reads. Unpacking
takes those wheels alone that the machine lacks: what is installed there stays what is used.
"""

import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

WHEELS = {
    "annotated-types": "annotated_types",
    "beartype": "beartype",
    "execnet": "execnet",
    "filelock": "filelock",
    "hypothesis": "hypothesis",
    "iniconfig": "iniconfig",
    "jaxtyping": "jaxtyping",
    "kornia": "kornia",
    "kornia-rs": "kornia_rs",
    "packaging": "packaging",
    "platformdirs": "platformdirs",
    "pluggy": "pluggy",
    "psutil": "psutil",
    "pydantic": "pydantic",
    "pydantic-core": "pydantic_core",
    "pygments": "pygments",
    "pytest": "pytest",
    "pytest-timeout": "pytest_timeout",
    "pytest-xdist": "xdist",
    "pyyaml": "yaml",
    "safetensors": "safetensors",
    "sortedcontainers": "sortedcontainers",
    "tqdm": "tqdm",
    "typing-extensions": "typing_extensions",
    "typing-inspection": "typing_inspection",
    "wadler-lindig": "wadler_lindig",
}
"""Packages, with the module that shows that one is there."""

TOGETHER = (
    {"annotated-types", "pydantic", "pydantic-core", "typing-extensions", "typing-inspection"},
    {"iniconfig", "pluggy", "pytest"},
)
"""Packages of which a version takes few versions of the others: all come from one place."""

PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux1")
BACKBONE = "dinov2_vits14"


def pack(folder: Path, python: str, names: Sequence[str] = tuple(WHEELS)) -> None:
    """Fetch everything into a folder.

    Args:
        folder: made if missing; best one that git ignores.
        python: version of the interpreter that will run there, such as "3.12".
        names: of packages, where the machine is known to have the others.
    """
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(wheels)]
    command += ["--only-binary=:all:", f"--python-version={python}", "--implementation=cp"]
    command += [f"--platform={platform}_x86_64" for platform in PLATFORMS]
    subprocess.run([*command, *_pinned(names)], check=True)
    weights = _pack_weights(folder / "cache")
    carried = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {len(names)} wheels, {weights.name}, {carried / 2**20:.1f} MiB in all")


def unpack(folder: Path | None, site: Path) -> tuple[dict[str, str], list[str]]:
    """Lay what is missing here into a folder for packages.

    Args:
        folder: that was packed, or None.
        site: for the packages.

    Returns:
        Changes of the environment, and the packages that came out of the folder.
    """
    site.mkdir(parents=True)
    if folder is None:
        return {}, []
    lacking = {name for name, module in WHEELS.items() if not _is_there(module)}
    for group in TOGETHER:
        lacking |= group if lacking & group else set()
    taken = []
    for wheel in sorted((folder / "wheels").glob("*.whl")):
        name = wheel.name.split("-")[0].replace("_", "-").lower()
        if name in lacking:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
            taken.append(wheel.name)
    return {"SPLICE_CACHE": str((folder / "cache").resolve())}, taken


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _pinned(names: Sequence[str]) -> list[str]:
    """The packages, in the versions that this machine tests with, where it has them."""
    from importlib.metadata import PackageNotFoundError, version

    named = []
    for name in names:
        try:
            named.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            named.append(name)
    return named


def _pack_weights(folder: Path) -> Path:
    """The embedded weights in half precision, which a run reads as it reads its own cache."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import safetensors.torch
    import torch

    from splice.backbones.registry import find_backbone
    from splice.backbones.weights import cache
    from splice.backbones.weights.loading import fetch_embedded
    from splice.backbones.weights.progress import silent

    whole = fetch_embedded(find_backbone(BACKBONE), silent)
    state = safetensors.torch.load(whole.data)
    data = safetensors.torch.save({name: value.to(torch.float16) for name, value in state.items()})
    record = {**whole.record, "source": f"{whole.record['source']}, rounded to half precision"}
    with cache.writing(folder, lambda: None) as scratch:
        return cache.write(folder, scratch, BACKBONE, data, record).path
