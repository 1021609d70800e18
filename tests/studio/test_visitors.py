"""Visitors: each for themselves, and nothing of theirs left when they go."""

import base64
import io
import threading

import pytest
import small_run
from PIL import Image

from splice.errors import InputError, RunError
from splice.method.settings import Settings
from splice.studio import visitors as module
from splice.studio.turns import Turns
from splice.studio.visitors import Visitors


@pytest.fixture
def small(tmp_path) -> small_run.SmallRun:
    (tmp_path / "given").mkdir()
    return small_run.make(tmp_path / "given")


@pytest.fixture
def here(tmp_path) -> Visitors:
    return Visitors(tmp_path / "visitors")


def test_each_has_a_folder_of_their_own_whose_name_says_nothing(here):
    ada, bob = here.of("ada"), here.of("bob")
    assert ada is here.of("ada") and ada is not bob
    assert ada.folder != bob.folder
    assert "ada" not in ada.folder.name and len(ada.folder.name) >= 16
    with pytest.raises(RunError, match="load it again"):
        here.of(None)


def test_a_wish_needs_both_pictures(here, small):
    ada = here.of("ada")
    with pytest.raises(InputError, match="the picture that has the shapes"):
        ada.wish("default", Settings())
    ada.drop("structure", small.structure, "s.png")
    with pytest.raises(InputError, match="the picture that has the look"):
        ada.wish("default", Settings())
    ada.drop("appearance", small.appearance, "a.jpg")
    wish = ada.wish("default", Settings(steps=3))
    assert (wish.structure.name, wish.appearance.name) == ("s.png", "a.jpg")
    assert wish.settings.steps == 3


def test_a_bad_picture_takes_the_place_of_the_good_one(here, small, tmp_path):
    ada = here.of("ada")
    ada.drop("structure", small.structure, "s.png")
    bad = tmp_path / "bad.png"
    bad.write_text("no")
    with pytest.raises(InputError):
        ada.drop("structure", bad, "bad.png")
    assert "structure" not in ada.pictures


def test_another_picture_leaves_that_of_a_run_at_work_alone(here, small):
    ada = here.of("ada")
    first = ada.drop("structure", small.structure, "s.png")
    ada.drop("structure", small.appearance, "s.png")
    assert first.file.read_bytes() == small.structure.read_bytes()


def test_what_is_brushed_belongs_to_the_picture_it_was_brushed_over(here, small):
    ada = here.of("ada")
    buffer = io.BytesIO()
    Image.new("RGBA", (9, 7), (255, 0, 0, 255)).save(buffer, "PNG")
    strokes = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    with pytest.raises(InputError, match="drop the structure image first"):
        ada.brush("structure", strokes)
    ada.drop("structure", small.structure, "same.png")
    ada.drop("appearance", small.appearance, "same.png")
    for role in ("structure", "appearance"):
        ada.brush(role, strokes)
    wish = ada.wish("default", Settings())
    names = [wish.structure_mask.name, wish.appearance_mask.name]
    assert names == ["structure-mask-same.png", "appearance-mask-same.png"]
    ada.drop("structure", small.structure, "other.png")
    ada.brush("appearance", "data:image/png;base64," + _clear())
    wish = ada.wish("default", Settings())
    assert (wish.structure_mask, wish.appearance_mask) == (None, None)


def _clear() -> str:
    buffer = io.BytesIO()
    Image.new("RGBA", (9, 7)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_who_goes_ends_their_run_and_leaves_nothing(here, small):
    ada, bob = here.of("ada"), here.of("bob")
    bob.drop("structure", small.structure, "s.png")
    ada.drop("structure", small.structure, "s.png")
    began = threading.Event()

    def work(turn):
        began.set()
        while not turn.left:
            threading.Event().wait(0.005)

    with Turns() as turns:
        turn = ada.turn = turns.join("ada", work)
        assert began.wait(20) and ada.busy
        here.leave("ada")
        assert turn.ended and not ada.busy
    assert not ada.folder.exists()
    with Image.open(bob.pictures["structure"].file) as still_there:
        assert still_there.size == (96, 72)
    assert len(here) == 1
    here.leave("ada")  # twice does no harm
    here.leave(None)


def test_what_came_from_two_visitors_goes_with_the_last(here, tmp_path):
    shared, own = tmp_path / "shared.png", tmp_path / "own.png"
    for file in (shared, own):
        file.write_bytes(b"x")
    here.of("ada").uploads |= {shared, own}
    here.of("bob").uploads |= {shared}
    here.leave("ada")
    assert shared.exists() and not own.exists()
    here.leave("bob")
    assert not shared.exists()


def test_the_gallery_has_an_end(here, small, monkeypatch):
    monkeypatch.setattr(module, "MOST_PAINTED", 2)
    ada = here.of("ada")
    ada.drop("structure", small.structure, "s.png")
    ada.drop("appearance", small.appearance, "a.jpg")
    made = []
    for _ in range(3):
        painting = ada.begin(ada.wish("default", Settings()))
        painting.folder.mkdir()
        ada.remember(painting)
        ada.remember(painting)
        made.append(painting)
    assert ada.painted == [made[2], made[1]]
    assert [painting.folder.exists() for painting in made] == [False, True, True]
