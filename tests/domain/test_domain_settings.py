"""Settings of a domain's training: what they take, and what is said of what they do not."""

import pytest

from splice.domain.conditioning import registry
from splice.domain.settings import LAYERS, DomainSettings, domain_settings, setting_paths
from splice.errors import InputError


def test_every_layer_can_be_chosen():
    assert set(LAYERS) == set(registry.LAYERS)
    for layer in LAYERS:
        assert domain_settings({"layer": layer}).layer == layer


def test_settings_are_changed_by_their_paths_as_text_or_as_they_are():
    found = domain_settings(
        {"steps": "12", "terms.contrast": 0.5, "text.joint": "true", "terms.cls_depths": "0.5,1"}
    )
    assert found.steps == 12
    assert found.terms.contrast == 0.5
    assert found.terms.appearance == DomainSettings().terms.appearance
    assert found.text.joint
    assert found.terms.cls_depths == (0.5, 1.0)


def test_every_setting_has_a_path_and_says_what_it_means():
    paths = setting_paths()
    values = DomainSettings().model_dump()
    flat = {
        f"{name}.{inner}" if isinstance(value, dict) else name
        for name, value in values.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    assert set(paths) == flat
    for path, (default, meaning) in paths.items():
        assert meaning, path
        if default is not None and not isinstance(default, tuple):
            assert domain_settings({path: str(default)}) == DomainSettings(), path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stps": 3}, r"there is no setting stps \(did you mean steps"),
        ({"layer": "fulm"}, "--layer cannot be fulm: it should be 'concatenation', 'attention'"),
        ({"batch": "1"}, "--batch cannot be 1: it should be greater than or equal to 2"),
        ({"terms.contrast": "-1"}, "--terms.contrast cannot be -1"),
        ({"learning_rate": "fast"}, "--learning-rate cannot be fast: it should be a valid number"),
        ({"text.width": 17}, "--text.width cannot be 17: it should be a multiple of 2"),
        (
            {f"terms.{name}": 0 for name in ("appearance", "structure", "identity", "pixels")},
            "--terms.appearance should be above 0, or the weight of another term that counts with the "
            "condition cls, else nothing is learnt",
        ),
        ({"size": 32, "seen": 224}, "--seen should be at most four times the size, 128"),
    ],
)
def test_wrong_settings_are_told_in_a_sentence(changes, said):
    with pytest.raises(InputError, match=said):
        domain_settings(changes)


def test_captions_or_the_contrast_alone_can_be_learnt_from():
    nothing = {f"terms.{name}": 0 for name in ("appearance", "structure", "identity", "pixels")}
    assert domain_settings({**nothing, "condition": "text"}).terms.words > 0
    assert domain_settings({**nothing, "terms.contrast": 1}).terms.contrast == 1
    nothing |= {f"terms.{name}": 0 for name in ("words", "sentences", "pictures")}
    with pytest.raises(InputError, match="condition text, else nothing is learnt"):
        domain_settings({**nothing, "condition": "text"})
