"""How a run went: the curves of its losses, and its time lapse."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence
from small_features import flat

from splice.analysis.visualize import loss_curves, time_lapse
from splice.errors import InputError

# Curves and time lapses


def test_curves_show_the_values_on_a_logarithmic_axis():
    figure = loss_curves({"a": [3.0, 2.0, 1.0], "b": [1.0, 0.5, 0.25]}, title="t")
    (axes,) = figure.axes
    assert axes.get_yscale() == "log" and axes.get_title() == "t"
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["a"] == [[1, 3], [2, 2], [3, 1]]
    assert lines["b"] == [[1, 1], [2, 0.5], [3, 0.25]]
    assert Image.open(io.BytesIO(figure._repr_png_())).width > 500


def test_curves_take_zeros_gaps_and_chosen_steps():
    figure = loss_curves({"a": [0.0, float("nan"), 1.0]}, steps=[10, 20, 30])
    (axes,) = figure.axes
    assert axes.get_yscale() == "linear"
    points = axes.get_lines()[0].get_xydata()
    assert points[:, 0].tolist() == [10, 20, 30] and np.isnan(points[1, 1])
    loss_curves({})._repr_png_()
    with pytest.raises(ValueError, match="2 values at 1 steps"):
        loss_curves({"a": [1.0, 2.0]}, steps=[1])


def test_long_curves_are_smoothed_by_a_running_mean():
    values = np.random.default_rng(0).random(500) + 0.1
    (axes,) = loss_curves({"a": values.tolist()}).axes
    raw, smooth = (line.get_ydata() for line in axes.get_lines())
    np.testing.assert_allclose(raw, values)
    np.testing.assert_allclose(smooth[99], values[90:100].mean())
    np.testing.assert_allclose(smooth[3], values[:4].mean())


@pytest.mark.slow
def test_no_global_state_of_matplotlib_is_touched():
    code = (
        "import sys; from splice.analysis.visualize import loss_curves; "
        "loss_curves({'a': [1.0, 2.0]})._repr_png_(); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_time_lapse_plays_its_frames_and_rests_on_the_last(tmp_path):
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    path = tmp_path / "lapse.gif"
    frames = [flat(colours[0], 20, 20), flat(colours[1]), flat(colours[2])]
    time_lapse(frames, path, milliseconds=100, hold=900)
    with Image.open(path) as movie:
        assert movie.info["loop"] == 0
        shown = []
        for frame, colour in zip(ImageSequence.Iterator(movie), colours, strict=True):
            shown.append(frame.info["duration"])
            assert frame.size == (40, 30)
            got = np.array(frame.convert("RGB")).reshape(-1, 3).mean(0)
            np.testing.assert_allclose(got, colour, atol=3)
        assert shown == [100, 100, 900]
    assert [p.name for p in tmp_path.iterdir()] == ["lapse.gif"]
    with pytest.raises(ValueError, match="at least one frame"):
        time_lapse([], path)
    with pytest.raises(InputError):
        time_lapse(frames, tmp_path / "missing" / "lapse.gif")
