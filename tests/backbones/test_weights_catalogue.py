"""What is told of weights that are here, and of those that are not."""

import pytest
from embedded_weights import NAME, embedded_cache, embedded_wheel  # noqa: F401

from splice.backbones.weights import check_weights, list_weights, weights_path
from splice.errors import InputError, RunError


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
