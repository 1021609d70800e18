"""Settings and presets of an inversion."""

import pytest

from splice.errors import InputError
from splice.studies.inversion import load_inversion_preset


def test_noise_falls_in_the_papers_stages():
    paper = load_inversion_preset("inversion", {"feature": "cls"})
    assert paper.steps == 20_000 and paper.learning_rate == 0.01 and paper.decay == 0
    levels = {0: 10, 9_999: 10, 10_000: 2, 14_999: 2, 15_000: 0.5, 19_999: 0.5}
    assert {step: paper.noise_deviation(step) for step in levels} == levels
    for feature in ("keys", "tokens", "self-similarity"):
        assert load_inversion_preset("inversion", {"feature": feature}).noise_deviation(0) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"feature": "key"}, ["--feature", "key", "did you mean keys", "self-similarity"]),
        ({"blocks": ("0",)}, ["--block", "from 1", "all"]),
        ({"blocks": ("first",)}, ["--block", "all"]),
        ({"steps": "0"}, ["--steps", "0", "greater than or equal to 1"]),
        ({"steps": "many"}, ["--steps", "many"]),
        ({"size": "32"}, ["--size", "32", "80"]),
        ({"learning_rate": "-1"}, ["--learning-rate"]),
        ({"seeds": "0"}, ["--seeds"]),
    ],
)
def test_wrong_settings_are_named(changes, words):
    with pytest.raises(InputError) as caught:
        load_inversion_preset(changes=changes)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_presets_are_files_and_names(tmp_path):
    quick = load_inversion_preset()
    assert quick.steps < load_inversion_preset("inversion").steps
    mine = tmp_path / "mine.yaml"
    mine.write_text("feature: cls\nblocks: [3, 6]\nsteps: 7\n")
    read = load_inversion_preset(mine, {"steps": "9"})
    assert (read.feature, read.blocks, read.steps) == ("cls", (3, 6), 9)
    mine.write_text("step: 7\n")
    with pytest.raises(InputError, match=r"no setting step \(did you mean steps"):
        load_inversion_preset(mine)
    mine.write_text("noise: [{until: 0.9, deviation: 1}, {until: 0.5, deviation: 2}]\n")
    with pytest.raises(InputError, match="rising 'until'"):
        load_inversion_preset(mine)
    mine.write_text("- 1\n")
    with pytest.raises(InputError, match="lines of 'name: value'"):
        load_inversion_preset(mine)
    with pytest.raises(
        InputError, match=r"no preset inversion-quik .*did you mean inversion-quick"
    ):
        load_inversion_preset("inversion-quik")
    with pytest.raises(InputError, match="does not exist"):
        load_inversion_preset(tmp_path / "none.yaml")
