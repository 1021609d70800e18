"""The blind preference sheet, and the tally of its answers."""

import json
import math
import random
import re
from pathlib import Path

import html_pages
import numpy as np
import pytest
from PIL import Image

from splice.commands.cli import main
from splice.errors import InputError
from splice.pictures.pairs import Pair
from splice.studies.report.sheet import QUESTION, draw_questions, token, write_sheet
from splice.studies.report.tally import Choice, effective_number, read_answers, tally, wilson

COLOURS = {"ours": (220, 60, 40), "theirs": (30, 90, 200)}
NAMES = [f"pair {number}" for number in range(7)]


def _flat(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (80, 60)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def pairs(tmp_path) -> list[Pair]:
    return [
        Pair(
            name,
            _flat(tmp_path / "pairs" / name / "A" / "s.png", (10 * number, 0, 0)),
            _flat(tmp_path / "pairs" / name / "B" / "a.png", (0, 10 * number, 0), (60, 90)),
        )
        for number, name in enumerate(NAMES)
    ]


@pytest.fixture
def systems(tmp_path) -> dict[str, Path]:
    for name in NAMES:
        _flat(tmp_path / "ours" / name / "output.png", COLOURS["ours"])
        _flat(tmp_path / "theirs" / f"{name}.jpg", COLOURS["theirs"], (40, 30))
    return {system: tmp_path / system for system in COLOURS}


def _data(page: Path) -> dict:
    """What the page's script reads."""
    text = html_pages.read(page).all("script", id="data")[0].children[0]
    assert isinstance(text, str)
    return json.loads(text)


def _owner(address: str, folder: Path) -> str:
    """The system whose colour a picture has."""
    mean = np.asarray(html_pages.picture(address, folder), dtype=float).mean(axis=(0, 1))
    return min(COLOURS, key=lambda system: float(np.abs(mean - COLOURS[system]).sum()))


def _answers(page: Path, choose, session: str = "s") -> dict:
    """The file that the page would save, had `choose` pointed at sides."""
    data = _data(page)
    answers = []
    for question in data["questions"]:
        side = choose(question)
        chosen = question["tokens"][("left", "right").index(side)]
        answers.append(
            {"pair": question["pair"], "side": side, "chosen": chosen, "milliseconds": 2500}
        )
    kept = {name: data[name] for name in ("format", "sheet", "systems")}
    return {**kept, "session": session, "answers": answers}


def _saved(path: Path, answers: dict) -> Path:
    path.write_text(json.dumps(answers))
    return path


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
    data = _data(page)
    assert QUESTION in html_pages.read(page).all("blockquote")[0].text
    for question, shown in zip(questions, data["questions"], strict=True):
        assert shown["pair"] == question.pair.name
        for address, system in zip(shown["sides"], question.systems, strict=True):
            assert _owner(address, tmp_path) == system
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
    assert _data(tmp_path / "sheet.html")["questions"][0]["pair"] == name


# The tally.


def test_answers_come_back_to_their_systems(pairs, systems, tmp_path):
    page = tmp_path / "sheet.html"
    write_sheet(page, draw_questions(pairs, systems, seed=1))

    def likes_red(question: dict) -> str:
        owners = [_owner(address, tmp_path) for address in question["sides"]]
        # But for one pair.
        wanted = "theirs" if question["pair"] == NAMES[2] else "ours"
        return ("left", "right")[owners.index(wanted)]

    file = _saved(tmp_path / "answers.json", _answers(page, likes_red))
    choices = read_answers(file)
    assert {c.pair: c.preferred for c in choices} == {
        name: "theirs" if name == NAMES[2] else "ours" for name in NAMES
    }
    (result,) = tally(choices)
    assert (result.first, result.second, result.answers) == ("ours", "theirs", 7)
    assert result.share == pytest.approx(6 / 7)
    assert (result.seconds, result.pairs, result.sessions) == (2.5, 7, 1)
    assert result.effective == pytest.approx(7)  # each about a pair of its own
    (other,) = tally(choices, first="theirs")
    assert (other.first, other.share) == ("theirs", pytest.approx(1 / 7))
    assert (other.low, other.high) == (
        pytest.approx(1 - result.high),
        pytest.approx(1 - result.low),
    )


def test_always_the_left_picture_favours_nobody(pairs, systems, tmp_path):
    page = tmp_path / "sheet.html"
    write_sheet(page, draw_questions(pairs[:6], systems, seed=5))
    (result,) = tally(read_answers(_saved(tmp_path / "a", _answers(page, lambda _: "left"))))
    assert (result.share, result.left) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: a["answers"][0].update(chosen="f" * 20), "fits no picture"),
        (lambda a: a["answers"][0].update(side="up"), "fits no picture"),
        (lambda a: a["answers"][0].update(pair="another"), "fits no picture"),
        (lambda a: a.update(sheet="0" * 20), "fits no picture"),
        (lambda a: a.update(systems=["ours"]), "has been altered or damaged"),
        (lambda a: a["answers"][0].pop("milliseconds"), "has been altered or damaged"),
        (lambda a: a.update(answers=3), "has been altered or damaged"),
        (lambda a: a.update(format="splice preference answers 0"), "holds no answers"),
    ],
)
def test_files_that_have_been_altered(pairs, systems, tmp_path, change, complaint):
    write_sheet(tmp_path / "sheet.html", draw_questions(pairs, systems))
    answers = _answers(tmp_path / "sheet.html", lambda _: "left")
    change(answers)
    with pytest.raises(InputError, match=complaint):
        read_answers(_saved(tmp_path / "answers.json", answers))


def test_files_that_hold_no_answers(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_answers(tmp_path / "nowhere.json")
    (tmp_path / "a.json").write_text("<html>")
    with pytest.raises(InputError, match="is not JSON"):
        read_answers(tmp_path / "a.json")
    with pytest.raises(InputError, match="hold no answers"):
        tally([])


def _choice(pair: str, session: str, preferred: str = "a") -> Choice:
    return Choice(("a", "b"), preferred, pair, session, True, 1.0)


def test_one_opening_of_a_sheet_counts_once():
    once = [_choice("x", "s"), _choice("y", "s"), _choice("x", "t")]
    assert tally(once)[0].answers == 3
    with pytest.raises(InputError, match="given twice"):
        tally([*once, _choice("x", "s")])


def test_each_two_systems_are_counted_for_themselves():
    others = Choice(("a", "c"), "c", "x", "u", False, 3.0)
    results = tally([_choice("x", "s"), _choice("x", "t", "b"), others])
    assert [(r.first, r.second, r.share) for r in results] == [("a", "b", 0.5), ("a", "c", 0.0)]


@pytest.mark.parametrize(("share", "number"), [(0.0, 5.0), (0.3, 10.0), (0.8, 37.5), (1.0, 2.0)])
def test_wilson_s_ends_are_where_the_normal_test_turns(share, number):
    """Both ends p solve |share - p| = z sqrt(p (1 - p) / n): found here by bisection."""
    z = 1.959963984540054

    def beyond(p: float) -> bool:
        return abs(share - p) > z * math.sqrt(p * (1 - p) / number)

    for found, outside in zip(wilson(share, number), (0.0, 1.0), strict=True):
        inside = share
        for _ in range(80):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if beyond(middle) else (middle, outside)
        assert found == pytest.approx(inside, abs=1e-9)


def test_independent_answers_are_worth_themselves():
    answers = [(str(number), number % 3 == 0) for number in range(30)]
    assert effective_number(answers) == pytest.approx(30)
    assert effective_number([("x", True), ("x", False)]) == 2


def test_copies_of_an_answer_are_worth_one():
    """Ten pairs, each answered alike by k people: worth about ten, whatever k is."""
    for copies in (2, 5, 40):
        answers = [(str(p), p < 4) for p in range(10) for _ in range(copies)]
        exact = 10 * copies * 9 / (10 * copies - 1)
        assert effective_number(answers) == pytest.approx(exact)
    assert effective_number([(str(p), True) for p in range(10) for _ in range(3)]) == 10


def test_the_interval_holds_the_truth_as_often_as_it_says_though_pairs_differ():
    """Pairs with shares of their own, five answers on each: 95 % of intervals hold the mean."""
    generator = random.Random(0)
    held = plain = 0
    trials = 400
    for trial in range(trials):
        choices = []
        for pair in range(30):
            share = generator.choice((0.1, 0.95))
            choices += [
                _choice(f"{trial}-{pair}", str(s), "a" if generator.random() < share else "b")
                for s in range(5)
            ]
        (result,) = tally(choices)
        held += result.low <= 0.525 <= result.high
        low, high = wilson(result.share, float(result.answers))
        plain += low <= 0.525 <= high
    assert held / trials == pytest.approx(0.95, abs=0.04)
    assert plain / trials < 0.85  # as if all answers were independent: too sure


# The commands.


def test_from_folders_to_a_count(pairs, systems, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two = [f"{name}={folder}" for name, folder in systems.items()]
    command = ["report", "--two-alternative", *two, f"--pairs={tmp_path / 'pairs'}"]
    assert main([*command, "--count=5", "--seed=2"]) == 0
    said = capsys.readouterr()
    assert said.out == "preference.html\n"
    assert "5 questions" in said.err
    page = tmp_path / "preference.html"
    files = [str(_saved(tmp_path / f"{s}.json", _answers(page, lambda _: "left", s))) for s in "ab"]
    assert main(["report", "--tally", *files, "--json=tally.json"]) == 0
    text = capsys.readouterr().out
    (counted,) = json.loads((tmp_path / "tally.json").read_text())
    assert counted["answers"] == 10
    assert counted["share"] in (0.4, 0.6)
    assert f"ours is preferred to theirs in {counted['share']:.1%} of 10 answers" in text
    assert "on 5 pairs, by 2 people" in text and "left chosen in 100%" in text


def test_without_pairs_they_are_those_of_our_runs(pairs, systems, tmp_path, capsys):
    for pair in pairs:
        record = {
            "finished": True,
            "structure": {"file": str(pair.structure)},
            "appearance": {"file": str(pair.appearance)},
        }
        (systems["ours"] / pair.name / "run.json").write_text(json.dumps(record))
    two = [f"{name}={folder}" for name, folder in systems.items()]
    page = tmp_path / "page.html"
    assert main(["report", "--two-alternative", *two, f"--output={page}", "--quiet"]) == 0
    assert len(_data(page)["questions"]) == 7
    for pair in pairs:
        pair.structure.unlink()
    assert main(["report", "--two-alternative", *two, f"--output={page}"]) == 2
    assert "add --pairs PAIRS" in capsys.readouterr().err


def test_tokens_differ_by_sheet_pair_and_system():
    all_of = {token(s, p, n) for s in "ab" for p in "cd" for n in "ef"}
    assert len(all_of) == 8
