"""A model at work: sizes, mixtures, modes, masks."""

import pytest
import small_domain
import tiny
import torch
import torch.nn.functional as F

from splice.domain.condition import Condition
from splice.domain.painting import Painter, mixed
from splice.errors import InputError
from splice.pictures.images import write_image


def _painter(scenes, **changes) -> Painter:
    vit = tiny.frozen()
    model, _ = small_domain.model(scenes, vit, **changes)
    return Painter(model, None if changes.get("condition") == "text" else vit)


def _files(scenes):
    return sorted((scenes / "train").glob("*.png"))


def test_a_picture_is_painted_at_its_own_size_in_one_pass(scenes):
    painter = _painter(scenes)
    condition = painter.look(_files(scenes)[0])
    picture = tiny.picture(37, 61)
    painted = painter.paint(picture, condition)
    assert painted.shape == picture.shape
    with torch.no_grad():
        assert torch.equal(painted, painter.model.network(picture[None], condition)[0])
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_a_large_picture_keeps_its_detail(scenes):
    """Stripes of one pixel, which its small copy does not have, are in the painting."""
    painter = _painter(scenes)
    condition = painter.look(_files(scenes)[0])
    smooth = F.interpolate(tiny.picture(8, 8)[None], (160, 160), mode="bicubic")[0].clamp(0.2, 0.8)
    striped = smooth + 0.1 * (-1.0) ** torch.arange(160)
    flat, fine = (painter.paint(each, condition) for each in (smooth, striped))
    assert flat.shape == fine.shape == smooth.shape
    across = [(each[:, :, 1:] - each[:, :, :-1]).abs().mean() for each in (flat, fine)]
    assert across[1] > 3 * across[0]
    small = painter.paint(striped, condition, 32)
    assert small.shape == smooth.shape
    assert not torch.equal(small, fine)


def test_other_looks_paint_other_pictures(scenes):
    painter = _painter(scenes)
    picture = tiny.picture(32, 32)
    one, other = (painter.look(file) for file in _files(scenes)[:2])
    assert not torch.equal(painter.paint(picture, one), painter.paint(picture, other))


def test_a_mixture_is_the_weighted_mean_of_sentences_and_of_words_most_alike():
    random = tiny.generator()

    def draw() -> Condition:
        words = torch.randn(1, 3, 5, generator=random)
        return Condition(
            torch.randn(1, 5, generator=random), words, torch.tensor([[True, True, False]])
        )

    first, second = draw(), draw()
    found = mixed([first, second], [0.6, 1.4])
    assert torch.allclose(found.sentence, 0.3 * first.sentence + 0.7 * second.sentence)
    assert found.present.tolist() == [[True, True]]
    for index in range(2):
        word = first.words[0, index]
        nearest = max(
            second.words[0, :2], key=lambda each, word=word: float(each @ word / each.norm())
        )
        assert torch.allclose(found.words[0, index], 0.3 * word + 0.7 * nearest)
    alone = mixed([first, second], [1.0, 0.0])
    assert torch.allclose(alone.sentence, first.sentence)
    assert torch.allclose(alone.words, first.words[:, :2])
    with pytest.raises(InputError, match="--mix sum to 0"):
        mixed([first, second], [1.0, -1.0])


@pytest.mark.parametrize(("condition", "parts"), [("cls", 2), ("parts", 2), ("parts", 1)])
def test_modes_are_the_groups_of_a_folder_the_largest_first(scenes, condition, parts, tmp_path):
    painter = _painter(scenes, condition=condition, parts=parts)
    random = tiny.generator(3)
    files = []
    for number in range(8):
        group = 0 if number in (2, 5) else 1
        picture = (
            tiny.picture(40, 40, group) + 0.01 * torch.rand(3, 40, 40, generator=random)
        ).clamp(0, 1)
        files.append(tmp_path / f"{number}.png")
        write_image(files[-1], picture)
    seen = []
    modes = painter.modes(files, 2, seen=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 8)
    assert seen[-1] == (8, 8)
    sentences = torch.cat([painter.look(file).sentence for file in files])
    large = [number for number in range(8) if number not in (2, 5)]
    if condition == "cls":
        assert torch.allclose(modes[0].sentence[0], sentences[large].mean(0), atol=1e-4)
        assert torch.allclose(modes[1].sentence[0], sentences[[2, 5]].mean(0), atol=1e-4)
    else:
        # Of two, both are as near to their mean.
        whole = sentences[large].mean(0)
        nearest = min(large, key=lambda each: float((sentences[each] - whole).norm()))
        assert torch.equal(modes[0].sentence[0], sentences[nearest])
        assert torch.equal(modes[0].words, painter.look(files[nearest]).words)
        assert modes[0].words.shape[1] == parts
        assert not torch.allclose(modes[0].words[:, 0], modes[0].sentence)
    with pytest.raises(InputError, match="--modes 9 needs as many pictures"):
        painter.modes(files, 9)


def test_masks_are_of_the_layer_spatial_alone(scenes):
    picture = tiny.picture(40, 52)
    spatial = _painter(scenes, layer="spatial")
    masks = spatial.masks(picture, spatial.look(_files(scenes)[0]))
    assert masks.shape == (len(spatial.model.network.channels), 40, 52)
    assert masks.min() >= 0
    assert masks.max() <= 1
    film = _painter(scenes)
    with pytest.raises(InputError, match="spatial"):
        film.masks(picture, film.look(_files(scenes)[0]))


def test_a_model_is_told_in_its_own_way(scenes):
    file = _files(scenes)[0]
    text = _painter(scenes, condition="text")
    with pytest.raises(InputError, match="told by captions; give --text"):
        text.look(file)
    with pytest.raises(InputError, match="knows no word of the caption 'zebra crossing'"):
        text.model.read(["zebra crossing"])
    assert len(text.model.read(["a zebra that is red"])) == 1
    pictures = _painter(scenes)
    with pytest.raises(InputError, match="reads no captions"):
        pictures.model.read(["a red ball"])
