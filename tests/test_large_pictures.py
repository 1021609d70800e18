"""Large pictures: learnt from in bounded views, painted in bands, and the small ones as ever."""

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from splice import bands, guided_filter, memory, objective
from splice.settings import MAX_SIZE, Views
from splice.transfer import Transfer
from splice.views import View, draw_view, entire, largest_middle

pytestmark = pytest.mark.robustness
SIDE = 48
PAIR = tiny.picture(120, 150, 1), tiny.picture(130, 110, 2)


@pytest.fixture
def small_parts(monkeypatch) -> None:
    """What is done to pictures of 2160 pixels, for those of 120."""
    monkeypatch.setattr(bands, "BAND_PIXELS", 1500)
    monkeypatch.setattr(memory, "PIXELS_IN_ONE_PIECE", 4000)
    monkeypatch.setattr(guided_filter, "GUIDED_SIDE", 32)
    monkeypatch.setattr(guided_filter, "CHANNELS_AT_ONCE", 3)


def bounded(**changes) -> Transfer:
    views = {"largest": SIDE, "entire_every": 2, "pool": 3}
    return Transfer(*PAIR, tiny.settings(views=views, **changes), tiny.frozen())


@given(short=st.integers(1, MAX_SIZE), long=st.integers(1, 9000), seed=st.integers(0, 9))
def test_views_of_any_size_show_nearly_all_unless_they_are_bounded(short, long, seed):
    for height, width in ((short, max(short, long)), (max(short, long), short)):
        view = draw_view(height, width, Views(), tiny.generator(seed))
        assert min(round(0.9 * height), width) <= view.height <= short


@given(height=st.integers(1, 9000), width=st.integers(1, 9000), seed=st.integers(0, 9))
def test_no_view_is_larger_than_the_bound(height, width, seed):
    view = draw_view(height, width, Views(largest=700), tiny.generator(seed))
    assert view.height == view.width <= 700
    assert view.top + view.height <= height
    assert view.left + view.width <= width
    middle = largest_middle(torch.empty(1, 3, height, width, device="meta"), 700)
    assert middle.height * middle.width <= 700**2
    if height * width <= 700**2:
        assert middle == View(0, 0, height, width)
    else:
        assert middle.height * middle.width > 0.9 * 700**2 or min(height, width) < 60
        assert abs(2 * middle.top + middle.height - height) <= 1
        assert abs(2 * middle.left + middle.width - width) <= 1


def test_bounded_views_lie_everywhere():
    views = Views(largest=40, crop=0.9)
    random = tiny.generator()
    covered = torch.zeros(100, 130)
    for _ in range(300):
        view = draw_view(100, 130, views, random)
        covered[view.top : view.top + 40, view.left : view.left + 40] += 1
    assert covered.min() > 0


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("kind", ["semantic", "image"])
def test_steps_learn_from_no_more_pixels_than_the_bound(kind):
    transfer = bounded(generator={"input": kind})
    seen = []
    transfer.painter.network.register_forward_hook(
        lambda _network, inputs, _output: seen.append(inputs[0].shape)
    )
    assert not any(step.skipped for step in transfer.steps())
    assert len(seen) >= 6
    assert max(shape[2] * shape[3] for shape in seen) <= SIDE**2
    painted = len(seen)
    assert transfer.picture().shape == PAIR[0].shape
    assert len(seen) == painted, "in bands, the network is never given the entire picture"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("kind", ["semantic", "image"])
def test_the_picture_in_bands_is_the_picture_in_one_piece(kind):
    transfer = bounded(generator={"input": kind})
    list(transfer.steps())
    picture = transfer.picture()
    whole = entire(PAIR[0][None])
    inputs = PAIR[0][None]
    if kind == "semantic":
        prepared = transfer.prepared
        conditions = prepared.conditions("structure", whole, transfer.dtype)
        ground = prepared.underpaintings["structure"].logits(whole)
        inputs = torch.cat([2 * objective.brightness(inputs) - 1, conditions, ground], 1)
    with torch.no_grad(), transfer.painter.averaged():
        expected = transfer.painter.network(inputs)[0]
    assert (picture - expected).abs().max() < 1e-4
    assert expected.std() > 0.01
    # No row differs more than others do: a seam would.
    by_row = (picture - expected).abs().mean((0, 2))
    assert by_row.max() < 1e-5


@pytest.mark.usefixtures("small_parts")
def test_the_same_seed_gives_the_same_large_picture():
    pictures = []
    for _ in range(2):
        transfer = bounded()
        list(transfer.steps())
        pictures.append(transfer.picture())
    assert torch.equal(*pictures)


def test_above_the_bound_memory_grows_with_the_picture_alone():
    views = Views(largest=512)
    learnt = memory.BYTES_LEARNT * 512**2
    for size, painted in ((1620, 1620 * 2160), (2160, 2160 * 2880)):
        needed = memory.needed_memory(size, size * 4 // 3, views) - memory.FIXED_BYTES
        painting = max(learnt, painted * memory.BYTES_PAINTED_IN_BANDS)
        assert needed == painted * memory.BYTES_KEPT + painting
    of_16_gib = 0.8 * 16 * 2**30
    assert memory.needed_memory(MAX_SIZE, MAX_SIZE * 4 // 3) < of_16_gib


def test_large_views_spare_memory_from_the_first_step_on(monkeypatch):
    transfer = Transfer(*PAIR, tiny.settings(), tiny.frozen())
    assert not transfer.sparing
    monkeypatch.setattr(memory, "SPARED_PIXELS", 110**2)
    transfer = Transfer(*PAIR, tiny.settings(steps=2), tiny.frozen())
    assert transfer.sparing
    assert transfer.painter.network.sparing
    assert transfer.vit.sparing
    assert [step.note for step in transfer.steps()] == ["", ""]
    bound = {"largest": 110, "pool": 1}
    assert not Transfer(*PAIR, tiny.settings(views=bound), tiny.frozen()).sparing
    both = bound | {"entire_every": 5}
    assert Transfer(*PAIR, tiny.settings(views=both), tiny.frozen()).sparing
