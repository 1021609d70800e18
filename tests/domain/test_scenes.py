"""The generated domain: what is rendered, what is written about it, and how success is counted."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from splice.domain.pictures import find_domain
from splice.domain.scene_scores import (
    CHANCE,
    colour_of,
    count_scenes,
    overlap,
    pattern_of,
)
from splice.domain.scenes import (
    COLOURS,
    GROUNDS,
    PATTERNS,
    Scene,
    Thing,
    captions,
    draw_scene,
    mask_of,
    read_scenes,
    render,
    write_scenes,
)
from splice.errors import InputError

SIZE = 64
BALL = Thing("ball", "on the left", 0.25, 0.5, 0.16)
SCENE = Scene((BALL,), "red", "plain", "grey", 0.3, 11.0)


def test_a_ball_covers_the_pixels_within_its_radius():
    mask = mask_of(BALL, SIZE)
    for row in range(SIZE):
        for column in range(SIZE):
            x, y = (column + 0.5) / SIZE - BALL.x, (row + 0.5) / SIZE - BALL.y
            away = (x * x + y * y) ** 0.5 - BALL.radius
            if abs(away) > 0.75 / SIZE:  # else the pixel is cut by the outline
                assert mask[row, column] == (away < 0), (row, column)


def test_a_picture_has_the_colours_of_its_scene():
    picture = render(SCENE, SIZE)
    red, grey = (torch.tensor(value) for value in (COLOURS["red"], GROUNDS["grey"]))
    middle = picture[:, SIZE // 2, SIZE // 4]
    assert torch.allclose(middle / middle.norm(), red / red.norm(), atol=0.02)
    far = picture[:, SIZE // 2, -2]
    assert torch.allclose(far, grey, atol=0.05)


def test_stripes_alternate_across_their_direction_alone():
    box = Thing("box", "in the middle", 0.5, 0.5, 0.3)
    scene = replace(SCENE, things=(box,), pattern="striped", angle=0.0, fineness=8.0)
    inside = render(scene, SIZE)[1, 16:48, 16:48]  # green tells white from red
    assert inside.std(1).min() > 0.2  # along a row, stripes come and go
    assert (inside - inside.mean(0)).abs().max() < 0.15  # down a column only the shade changes


def test_captions_say_colour_pattern_kind_place_and_ground():
    for index in range(60):
        scene = draw_scene(3, index)
        said = captions(scene)
        assert len(set(said)) == 3
        for caption in said:
            for word in (scene.colour, scene.pattern, scene.ground):
                assert word in caption.split() or f"{word}," in caption.split()
            for thing in scene.things:
                assert thing.place in caption
                assert thing.kind in caption
            others = set(COLOURS) - {scene.colour}
            assert not others & set(caption.replace(",", "").split())


def test_scenes_are_drawn_alike_and_evenly():
    assert draw_scene(1, 5) == draw_scene(1, 5) != draw_scene(2, 5)
    scenes = [draw_scene(0, index) for index in range(600)]
    for names, attribute in ((COLOURS, "colour"), (PATTERNS, "pattern"), (GROUNDS, "ground")):
        for name in names:
            share = sum(getattr(scene, attribute) == name for scene in scenes) / len(scenes)
            assert abs(share - 1 / len(names)) < 0.06, name
    for scene in scenes:
        if len(scene.things) == 2:
            first, second = scene.things
            assert second.x - first.x > first.radius + second.radius


def test_rendered_scenes_are_counted_as_what_they_are():
    scenes = [draw_scene(9, index) for index in range(50)]
    found = count_scenes([render(scene, SIZE) for scene in scenes], scenes, scenes)
    assert found.things == sum(len(scene.things) for scene in scenes)
    assert found.colour == 1
    assert found.pattern > 0.97
    assert found.overlap > 0.94


def test_other_looks_than_those_asked_for_are_not_counted():
    scenes = [draw_scene(9, index) for index in range(30)]
    pictures = [render(scene, SIZE) for scene in scenes]
    colours, patterns = list(COLOURS), list(PATTERNS)
    asked = [
        replace(
            scene,
            colour=colours[(colours.index(scene.colour) + 1) % len(colours)],
            pattern=patterns[(patterns.index(scene.pattern) + 1) % len(patterns)],
        )
        for scene in scenes
    ]
    found = count_scenes(pictures, scenes, asked)
    assert found.colour == 0
    assert found.pattern < 0.03
    assert (CHANCE.colour, CHANCE.pattern) == (1 / 6, 1 / 3)


def test_a_grey_thing_has_no_colour_and_a_flat_one_is_plain():
    picture = torch.full((3, SIZE, SIZE), 0.5)
    assert colour_of(picture, BALL) is None
    assert pattern_of(picture, BALL) == "plain"


def test_overlap_falls_when_the_thing_is_elsewhere():
    moved = replace(SCENE, things=(replace(BALL, x=BALL.x + 0.5 * BALL.radius),))
    # Two equal discs half a radius apart share 0.685 of a disc.
    shared = 0.685 / (2 - 0.685)
    assert overlap(render(SCENE, SIZE), SCENE) > 0.97
    assert abs(overlap(render(moved, SIZE), SCENE) - shared) < 0.06
    away = replace(SCENE, things=(replace(BALL, x=0.75),))
    assert overlap(render(away, SIZE), SCENE) < 0.1


def test_a_folder_of_scenes_is_a_domain_with_captions(tmp_path):
    write_scenes(tmp_path, train=3, test=2, size=32, seed=4)
    domain = find_domain(tmp_path, captioned=True)
    assert [picture.name for picture in domain.pictures] == [
        f"train/00000{index}.png" for index in range(3)
    ]
    assert domain.split == "train"
    scenes = read_scenes(tmp_path)
    assert len(scenes) == 5
    for index, picture in enumerate(domain.pictures):
        assert scenes[picture.name] == draw_scene(4, index)
        assert picture.captions == captions(draw_scene(4, index))
        with Image.open(picture.file) as image:
            assert image.size == (32, 32)
    assert len(find_domain(tmp_path, split="test").pictures) == 2


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no scenes\.jsonl"):
        read_scenes(tmp_path)
    (tmp_path / "scenes.jsonl").write_text('{"name": "a"}\n')
    with pytest.raises(InputError, match="damaged"):
        read_scenes(tmp_path)
