"""Large pictures: learnt from at a bounded size, painted in bands, and the small ones as ever."""

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from splice.method import bands, lesson, painting, sparing
from splice.method.setting_values import MAX_SIZE
from splice.method.settings import Settings
from splice.method.transfer import Transfer
from splice.method.views import draw_view
from splice.pictures import guided_filter
from splice.running import memory

pytestmark = pytest.mark.robustness
PAIR = tiny.picture(120, 150, 1), tiny.picture(130, 110, 2)
METHODS = [
    pytest.param(tiny.settings, id="painting"),
    pytest.param(tiny.paper, id="paper"),
]


@pytest.fixture
def small_parts(monkeypatch) -> None:
    """What is done to pictures of 2160 pixels, for those of 120."""
    monkeypatch.setattr(bands, "BAND_PIXELS", 1500)
    monkeypatch.setattr(sparing, "PIXELS_IN_ONE_PIECE", 4000)
    monkeypatch.setattr(guided_filter, "GUIDED_SIDE", 32)
    monkeypatch.setattr(guided_filter, "CHANNELS_AT_ONCE", 3)


def make(settings: Settings) -> Transfer:
    return Transfer(*PAIR, settings, tiny.frozen())


@given(short=st.integers(1, MAX_SIZE), long=st.integers(1, 9000), seed=st.integers(0, 9))
def test_views_of_any_size_show_nearly_all(short, long, seed):
    for height, width in ((short, max(short, long)), (max(short, long), short)):
        view = draw_view(height, width, tiny.generator(seed))
        assert min(round(0.9 * height), width) <= view.height == view.width <= short
        assert 0 <= view.top <= height - view.height
        assert 0 <= view.left <= width - view.width


@pytest.mark.parametrize("painted", [48, 80])
def test_steps_learn_from_a_piece_and_from_all_that_is_painted(painted, monkeypatch):
    monkeypatch.setattr(lesson, "PIECE", 40)
    monkeypatch.setattr(lesson, "SIZES", (1.0, 1.0))
    monkeypatch.setattr(painting, "SHARES", (1.0, 1.0))
    transfer = make(tiny.settings(painted=painted, steps=2))
    seen = []
    transfer.learner.network.register_forward_hook(
        lambda _network, inputs, _output: seen.append(tuple(inputs[0].shape[-2:]))
    )
    assert not any(step.skipped for step in transfer.steps())
    assert seen[1::2] == [(painted, painted * 150 // 120)] * 2
    for height, width in seen[::2]:  # the lesson
        assert abs(height - 40 * 130 / 110) <= 1
        assert abs(width - 40) <= 1
    assert transfer.output().shape == PAIR[0].shape


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("settings", METHODS)
def test_the_picture_in_bands_is_the_picture_in_one_piece(settings):
    transfer = make(settings(steps=2))
    list(transfer.steps())
    painted = []
    transfer.learner.network.register_forward_hook(lambda *_: painted.append(1))
    picture = transfer.picture()
    assert picture.shape == PAIR[0].shape
    assert not painted, "in bands, the network is never given the entire picture"
    with torch.no_grad(), transfer.learner.averaged():
        inputs = transfer.method.inputs(0, PAIR[0].shape[-2])
        expected = transfer.learner.network(inputs)[0]
    assert (picture - expected).abs().max() < 1e-4
    assert expected.std() > 0.001
    # No row differs more than others do: a seam would.
    by_row = (picture - expected).abs().mean((0, 2))
    assert by_row.max() < 1e-5


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("settings", METHODS)
def test_the_same_seed_gives_the_same_large_picture(settings):
    pictures = []
    for _ in range(2):
        transfer = make(settings(steps=2))
        list(transfer.steps())
        pictures.append(transfer.picture())
    assert torch.equal(*pictures)


def test_above_what_is_painted_memory_grows_with_what_is_delivered_alone():
    settings = Settings(painted=256)
    sizes = [(1620, 2160), (2160, 2880)]
    small, large = (memory.needed_memory(*size, settings) for size in sizes)
    grown = memory.BYTES_DELIVERED * (2160 * 2880 - 1620 * 2160)
    assert large - small == pytest.approx(grown, rel=1e-6)
    # The picture, and a piece of the appearance image, which is here all of it.
    learnt = memory.BYTES_LEARNT * 256 * 256 * 4 / 3 * 2
    fixed = memory.FIXED_BYTES + memory.BYTES_DELIVERED * 1620 * 2160
    assert small == pytest.approx(fixed + learnt, rel=1e-6)
    of_16_gib = 0.8 * 16 * 2**30
    assert memory.needed_memory(MAX_SIZE, MAX_SIZE * 4 // 3) < of_16_gib


def test_the_published_method_needs_memory_for_every_pixel():
    """A view and the entire picture, at first with all that is inside the generator."""
    settings = tiny.paper()
    kinds = {(400, 500): memory.BYTES_LEARNT, (1200, 1500): memory.BYTES_LEARNT_SPARINGLY}
    for (height, width), each in kinds.items():
        learnt = each * (height * width + height**2)
        expected = memory.FIXED_BYTES + memory.BYTES_DELIVERED * height * width + learnt
        assert memory.needed_memory(height, width, settings) == expected


def test_large_paintings_spare_memory_from_the_first_step_on(monkeypatch):
    assert not make(tiny.settings()).sparing
    monkeypatch.setattr(sparing, "SPARED_PIXELS", 110**2)
    transfer = make(tiny.settings(steps=2))
    assert transfer.sparing
    assert transfer.learner.network.sparing
    assert transfer.full_vit.sparing
    assert transfer.method.vit.sparing
    assert [step.note for step in transfer.steps()] == ["", ""]
    assert not make(tiny.settings(painted=50)).sparing, "50 × 63 pixels, and a lesson"
    assert make(tiny.paper(painted=90)).sparing
    # A view and the entire picture count together.
    monkeypatch.setattr(sparing, "SPARED_PIXELS", 120 * 150 + 120**2 - 1)
    assert make(tiny.paper()).sparing
    monkeypatch.setattr(sparing, "SPARED_PIXELS", 120 * 150 + 120**2)
    assert not make(tiny.paper()).sparing
