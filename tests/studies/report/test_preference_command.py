"""Preference sheets and tallies as commands."""

import json

from preference_sheet import answers_on, page_data, saved_answers

from splice.commands.cli import main

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
    files = [
        str(saved_answers(tmp_path / f"{s}.json", answers_on(page, lambda _: "left", s)))
        for s in "ab"
    ]
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
    assert len(page_data(page)["questions"]) == 7
    for pair in pairs:
        pair.structure.unlink()
    assert main(["report", "--two-alternative", *two, f"--output={page}"]) == 2
    assert "add --pairs PAIRS" in capsys.readouterr().err
