"""Manifests of pairs: their rows, and every way in which these are wrong."""

import json
import os
from pathlib import Path

import pytest
from pair_files import image_set, picture, refusal

from splice.errors import InputError
from splice.pictures.pairs import Pair, plan_pairs

# Manifests


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    image_set(tmp_path / "pictures", ["one", "two", "three"])
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_manifest(gallery: Path) -> None:
    manifest = write(
        gallery / "pairs.csv",
        "\ufeffstructure, appearance, name, steps, objective.nearest, preset\n"
        "pictures/one.png,pictures/two.png,first,300,,quick\n"
        "\n"
        'pictures/../pictures/two.png,"pictures/three.png",,,0.5,\n',
    )
    first, second = plan_pairs(manifest).pairs
    one, two = gallery / "pictures/one.png", gallery / "pictures/two.png"
    assert first == Pair("first", one, two, {"steps": 300, "preset": "quick"})
    assert second.name == "two--three" and second.settings == {"objective.nearest": 0.5}
    assert second.structure.samefile(two)


def test_json_lines_manifest(gallery: Path) -> None:
    rows = [
        {"structure": "pictures/one.png", "appearance": "pictures/two.png", "seed": 3},
        {
            "structure": str(gallery / "pictures/one.png"),
            "appearance": "pictures/three.png",
            "name": "täglich",
            "settings": {"objective": {"weight": 2}},
        },
    ]
    manifest = write(gallery / "pairs.jsonl", "\n\n".join(json.dumps(row) for row in rows))
    first, second = plan_pairs(manifest).pairs
    assert (first.name, first.settings) == ("one--two", {"seed": 3})
    assert (second.name, second.settings) == ("täglich", {"objective": {"weight": 2}})


def test_rows_that_are_wrong_are_told_together(gallery: Path) -> None:
    (gallery / "pictures" / "text.png").write_text("no picture")
    picture(gallery / "pictures" / "tiny.png", (8, 8))
    rows = [
        "structure,appearance,name",
        "pictures/one.png,pictures/two.png,good",
        "pictures/absent.png,pictures/two.png,a",
        "pictures/one.png,pictures/text.png,b",
        "pictures/one.png,pictures/tiny.png,c",
        "pictures/one.png,pictures,d",
        "pictures/one.png,,e",
        "pictures/one.png",
        "pictures/one.png,pictures/two.png,GOOD",
        "pictures/one.png,pictures/two.png,../up",
        "pictures/one.png,pictures/two.png,con",
        "/etc/passwd,pictures/two.png,f",
        "../elsewhere.png,pictures/two.png,g",
        "pictures/two.png,pictures/one.png,also good",
    ]
    manifest = write(gallery / "pairs.csv", "\n".join(rows))
    plan = plan_pairs(manifest, skip_bad=True)
    assert [pair.name for pair in plan.pairs] == ["good", "also good"]
    expected = {
        3: "does not exist",
        4: "not a picture",
        5: "at least 16",
        6: "is a folder",
        7: "no path of a picture under appearance",
        8: "1 cells where there are 3 columns",
        9: "'GOOD' is also that of pairs.csv line 2",
        10: "'../up'",
        11: "reserved",
        12: "outside",
        13: "outside",
    }
    assert len(plan.problems) == len(expected)
    for line, reason in expected.items():
        (problem,) = [text for text in plan.problems if text.startswith(f"pairs.csv line {line}:")]
        assert reason in problem and problem.endswith(".")
    text = refusal(manifest)
    assert text.startswith("11 problems") and "1 more" in text
    assert len(text.splitlines()) == 12


def test_wrong_json_lines(gallery: Path) -> None:
    good = json.dumps({"structure": "pictures/one.png", "appearance": "pictures/two.png"})
    lines = [good, "{", "[1]", '{"structure": 3, "appearance": "x"}', "[" * 100_000]
    lines += [good[:-1] + ', "name": 5}', good[:-1] + ', "settings": 5}']
    lines += [good[:-1] + ', "steps": 1, "settings": {"steps": 2}}']
    lines += [good[:-1].replace("one", "o\\u0000ne") + "}"]
    plan = plan_pairs(write(gallery / "pairs.jsonl", "\n".join(lines)), skip_bad=True)
    assert len(plan.pairs) == 1
    starts = [problem.split(":")[0] for problem in plan.problems]
    assert starts == [f"pairs.jsonl line {number}" for number in range(2, 10)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("pairs.csv", b"", "no column structure"),
        ("pairs.csv", b"left,right\na,b\n", "left, right"),
        ("pairs.csv", b"structure,appearance,structure\n", "twice"),
        ("pairs.csv", b"structure,appearance,\n", "without a name"),
        ("pairs.csv", b'structure,appearance\n"a,b\n', "CSV"),
        ("pairs.csv", b"structure,appearance\n\xff\xfe,b\n", "UTF-8"),
        ("pairs.csv", b"structure,appearance\n", "no pair"),
        ("pairs.csv", b"structure,appearance\n" + b"x" * 200_000 + b",b\n", "CSV"),
        ("pairs.jsonl", b"", "no pair"),
        ("pairs.txt", b"structure,appearance\n", ".jsonl"),
        ("pairs.json", b"[]", ".jsonl"),
    ],
)
def test_manifest_that_cannot_be_used(
    gallery: Path, name: str, content: bytes, reason: str
) -> None:
    (gallery / name).write_bytes(content)
    text = refusal(gallery / name, skip_bad=True)
    assert str(gallery / name) in text and reason in text and "\n" not in text


@pytest.mark.robustness
@pytest.mark.timeout(30)
def test_manifest_that_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pairs.csv")
    assert "regular file" in refusal(tmp_path / "pairs.csv")


def test_paths_may_not_leave_the_folder_by_links(tmp_path: Path) -> None:
    outside = picture(tmp_path / "outside" / "secret.png")
    inside = tmp_path / "inside"
    picture(inside / "own.png")
    (inside / "file.png").symlink_to(outside)
    (inside / "folder").symlink_to(outside.parent)
    (inside / "allowed.png").symlink_to(inside / "own.png")
    rows = ["structure,appearance", "own.png,file.png", "own.png,folder/secret.png"]
    rows += ["own.png,../outside/secret.png", f"own.png,{outside}", "own.png,folder/../own.png"]
    rows += ["own.png,allowed.png", "own.png,./x/../own.png"]
    manifest = write(inside / "pairs.csv", "\n".join(rows))
    (inside / "x").mkdir()
    plan = plan_pairs(manifest, skip_bad=True)
    # folder/.. is the folder beside the link's target, where there is no own.png.
    assert [problem.split(":")[0] for problem in plan.problems] == [
        f"pairs.csv line {number}" for number in (2, 3, 4, 5, 6)
    ]
    assert all("outside" in problem for problem in plan.problems)
    assert [pair.appearance.name for pair in plan.pairs] == ["allowed.png", "own.png"]
    assert len(plan_pairs(manifest, allow_outside=True, skip_bad=True).pairs) == 6


def test_manifest_that_is_a_link(tmp_path: Path) -> None:
    image_set(tmp_path / "real", ["one", "two"])
    write(tmp_path / "elsewhere.csv", "structure,appearance\none.png,two.png\n")
    (tmp_path / "real" / "pairs.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert len(plan_pairs(tmp_path / "real" / "pairs.csv").pairs) == 1


def test_names_that_rows_share_are_numbered(gallery: Path) -> None:
    rows = ["structure,appearance,name"] + ["pictures/one.png,pictures/two.png,"] * 3
    rows += ["pictures/one.png,pictures/two.png,one--two-2"]
    plan = plan_pairs(write(gallery / "pairs.csv", "\n".join(rows)))
    names = [pair.name for pair in plan.pairs]
    assert names == ["one--two", "one--two-3", "one--two-4", "one--two-2"]


def test_names_that_clash_in_the_other_direction(gallery: Path) -> None:
    rows = ["structure,appearance,name", "pictures/one.png,pictures/two.png,x"]
    rows += ["pictures/one.png,pictures/two.png,x-BtoA"]
    manifest = write(gallery / "pairs.csv", "\n".join(rows))
    assert len(plan_pairs(manifest).pairs) == 2
    assert "'x-BtoA' is that of another" in refusal(manifest, direction="both")


def test_settings_are_checked_up_front(gallery: Path) -> None:
    rows = ["structure,appearance,steps"]
    rows += [f"pictures/one.png,pictures/two.png,{steps}" for steps in ("5", "-1", "")]

    def check(values: object) -> None:
        assert isinstance(values, dict)
        if values["steps"] < 0:
            raise InputError("steps is -1; give at least 1.")

    manifest = write(gallery / "pairs.csv", "\n".join(rows))
    plan = plan_pairs(manifest, check_settings=check, skip_bad=True)
    assert [pair.settings for pair in plan.pairs] == [{"steps": 5}, {}]
    assert plan.problems == ("pairs.csv line 3: steps is -1; give at least 1.",)


@pytest.mark.slow
@pytest.mark.robustness
def test_a_manifest_of_ten_thousand_rows(tmp_path: Path) -> None:
    image_set(tmp_path / "pictures", [f"{number:03}" for number in range(100)])
    rows = ["structure,appearance,seed"]
    rows += [
        f"pictures/{number % 100:03}.png,pictures/{number // 100:03}.png,{number}"
        for number in range(10_000)
    ]
    plan = plan_pairs(write(tmp_path / "pairs.csv", "\n".join(rows)))
    assert len(plan.pairs) == len({pair.name for pair in plan.pairs}) == 10_000
    assert plan.pairs[1234].settings == {"seed": 1234}
