"""The tally of a preference sheet's answers."""

import math
import random

import pytest
from preference_sheet import NAMES, answers_on, owner_of, saved_answers

from splice.errors import InputError
from splice.studies.report.sheet import draw_questions, write_sheet
from splice.studies.report.tally import Choice, effective_number, read_answers, tally, wilson

# The tally.


def test_answers_come_back_to_their_systems(pairs, systems, tmp_path):
    page = tmp_path / "sheet.html"
    write_sheet(page, draw_questions(pairs, systems, seed=1))

    def likes_red(question: dict) -> str:
        owners = [owner_of(address, tmp_path) for address in question["sides"]]
        # But for one pair.
        wanted = "theirs" if question["pair"] == NAMES[2] else "ours"
        return ("left", "right")[owners.index(wanted)]

    file = saved_answers(tmp_path / "answers.json", answers_on(page, likes_red))
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
    (result,) = tally(
        read_answers(saved_answers(tmp_path / "a", answers_on(page, lambda _: "left")))
    )
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
    answers = answers_on(tmp_path / "sheet.html", lambda _: "left")
    change(answers)
    with pytest.raises(InputError, match=complaint):
        read_answers(saved_answers(tmp_path / "answers.json", answers))


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
