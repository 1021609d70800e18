"""The blind preference sheet, which shows everything and tells nothing."""

import re

import html_pages
import pytest
from preference_sheet import NAMES, owner_of, page_data

from splice.errors import InputError
from splice.pictures.pairs import Pair
from splice.studies.report.sheet import QUESTION, draw_questions, token, write_sheet

# The sheet.


def test_sides_and_order_are_drawn_and_each_system_is_as_often_on_the_left(pairs, systems):
    for seed in range(20):
        questions = draw_questions(pairs, systems, seed=seed)
        assert sorted(q.pair.name for q in questions) == NAMES
        left = sum(question.systems[0] == "ours" for question in questions)
        assert left in (3, 4)
        for question in questions:
            for system, picture in zip(question.systems, question.pictures, strict=True):
                assert systems[system] in picture.parents
                assert question.pair.name in (picture.stem, picture.parent.name)
    drawn = [draw_questions(pairs, systems, seed=seed) for seed in range(8)]
    assert drawn[0] == draw_questions(pairs, systems, seed=0)
    assert len({tuple(q.pair.name for q in questions) for questions in drawn}) > 4
    assert len({tuple(q.systems for q in questions) for questions in drawn}) > 4
    some = draw_questions(pairs, systems, seed=0, count=3)
    assert len({question.pair.name for question in some}) == 3


def test_questions_that_cannot_be_asked(pairs, systems, tmp_path):
    (systems["theirs"] / f"{NAMES[0]}.jpg").unlink()
    asked = {question.pair.name for question in draw_questions(pairs, systems)}
    assert asked == set(NAMES[1:])
    with pytest.raises(InputError, match=r"--count is 7, but there are 6 pairs"):
        draw_questions(pairs, systems, count=7)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no pair of which both .*7 and 0"):
        draw_questions(pairs, {"ours": systems["ours"], "empty": tmp_path / "empty"})
    with pytest.raises(InputError, match="two systems"):
        draw_questions(pairs, {"ours": systems["ours"]})


def test_the_page_shows_everything_and_tells_nothing(pairs, systems, tmp_path):
    page = tmp_path / "sheet.html"
    questions = draw_questions(pairs, systems, seed=3)
    write_sheet(page, questions)
    data = page_data(page)
    assert QUESTION in html_pages.read(page).all("blockquote")[0].text
    for question, shown in zip(questions, data["questions"], strict=True):
        assert shown["pair"] == question.pair.name
        for address, system in zip(shown["sides"], question.systems, strict=True):
            assert owner_of(address, tmp_path) == system
            # Both in the size of the structure image: no size gives a system away.
            assert html_pages.picture(address, tmp_path).size == (80, 60)
        # In the page's own order, nothing but the pictures says whose they are.
        assert len(set(shown["tokens"])) == 2
    assert data["systems"] == ["ours", "theirs"]
    text = page.read_text()
    visible = re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+", "", text)
    assert visible.count("theirs") == 1
    assert str(tmp_path) not in visible
    assert not re.search(r"(src|href)=\"https?:", visible)


def test_the_name_of_a_pair_cannot_end_the_script(pairs, systems, tmp_path):
    name = "</script><b>x"
    evil = Pair(name, pairs[0].structure, pairs[0].appearance)
    questions = draw_questions(pairs, systems)
    question = type(questions[0])(evil, questions[0].systems, questions[0].pictures)
    write_sheet(tmp_path / "sheet.html", [question])
    assert page_data(tmp_path / "sheet.html")["questions"][0]["pair"] == name


def test_tokens_differ_by_sheet_pair_and_system():
    all_of = {token(s, p, n) for s in "ab" for p in "cd" for n in "ef"}
    assert len(all_of) == 8
