"""Pairs from every kind of source, on real folders and files."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from splice.errors import InputError
from splice.pictures.pairs import Pair, Plan, pair_of_files, plan_pairs
from splice.pictures.pairs.pair import folded, name_problem, safe_name


def picture(path: Path, size: tuple[int, int] = (20, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "teal").save(path)
    return path


def image_set(folder: Path, names: Sequence[str]) -> list[Path]:
    return [picture(folder / f"{name}.png") for name in names]


def stems(plan: Plan) -> list[tuple[str, str]]:
    return [(pair.structure.stem, pair.appearance.stem) for pair in plan.pairs]


def refusal(*args: object, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        plan_pairs(*args, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_importing_needs_no_torch() -> None:
    code = "import sys, splice.pictures.pairs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Two files


def test_two_files(tmp_path: Path) -> None:
    structure, appearance = picture(tmp_path / "a cow.png"), picture(tmp_path / "spots.jpg")
    pair = pair_of_files(structure, str(appearance))
    assert pair == Pair("a cow--spots", structure, appearance)
    assert pickle.loads(pickle.dumps(pair)) == pair
    with pytest.raises(InputError, match="does not exist"):
        pair_of_files(structure, tmp_path / "missing.png")


# Pair folders


def pair_folder(folder: Path) -> Path:
    picture(folder / "A" / "horse.jpg")
    picture(folder / "B" / "zebra.png")
    (folder / "A" / ".DS_Store").write_bytes(b"x")
    (folder / "B" / "source.txt").write_text("from a friend")
    return folder


def test_pair_folder(tmp_path: Path) -> None:
    folder = pair_folder(tmp_path / "stripes")
    (pair,) = plan_pairs(folder).pairs
    assert pair == Pair("stripes", folder / "A" / "horse.jpg", folder / "B" / "zebra.png")


def test_pair_folder_that_is_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pair_folder(tmp_path / "stripes"))
    (pair,) = plan_pairs(".").pairs
    assert pair.name == "stripes" and pair.structure.is_absolute()


def test_folder_of_pair_folders(tmp_path: Path) -> None:
    for name in ("cows", "birds", ".hidden"):
        pair_folder(tmp_path / name)
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("pairs")
    assert [pair.name for pair in plan_pairs(tmp_path).pairs] == ["birds", "cows"]
    assert [pair.name for pair in plan_pairs(tmp_path, count=1).pairs] == ["birds"]


def test_direction(tmp_path: Path) -> None:
    folder = pair_folder(tmp_path / "stripes")
    forth = ("stripes", "horse", "zebra")
    back = ("stripes-BtoA", "zebra", "horse")
    for direction, expected in (("AtoB", [forth]), ("BtoA", [back]), ("both", [forth, back])):
        found = plan_pairs(folder, direction=direction).pairs
        assert [(p.name, p.structure.stem, p.appearance.stem) for p in found] == expected
    assert "AtoB, BtoA, both" in refusal(folder, direction="sideways")


def test_incomplete_pair_folders_are_told_together(tmp_path: Path) -> None:
    pair_folder(tmp_path / "good")
    picture(pair_folder(tmp_path / "crowded") / "A" / "second.png")
    picture(tmp_path / "half" / "A" / "alone.png")
    (pair_folder(tmp_path / "hollow") / "B" / "zebra.png").unlink()
    (pair_folder(tmp_path / "broken") / "B" / "zebra.png").write_text("no picture")
    text = refusal(tmp_path)
    assert text.startswith("4 problems") and len(text.splitlines()) == 5
    for part in ("holds 2 pictures", "no folder B", "holds no pictures", "not a picture"):
        assert part in text
    plan = plan_pairs(tmp_path, skip_bad=True)
    assert [pair.name for pair in plan.pairs] == ["good"] and len(plan.problems) == 4
    assert all(problem in text for problem in plan.problems)


def test_nothing_left_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    (pair_folder(tmp_path / "broken") / "B" / "zebra.png").write_text("no picture")
    assert "not a picture" in refusal(tmp_path, skip_bad=True)


def test_folder_without_anything(tmp_path: Path) -> None:
    text = refusal(tmp_path)
    assert str(tmp_path) in text and "A/" in text and ".csv" in text
    assert "does not exist" in refusal(tmp_path / "absent")
    assert "not a manifest" in refusal(picture(tmp_path / "picture.png"))


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


# Image sets


@pytest.fixture
def afhq(tmp_path: Path) -> Path:
    for split, number in (("train", 6), ("val", 4)):
        for label in ("cat", "dog", "wild"):
            image_set(tmp_path / split / label, [f"{label}_{n}" for n in range(number)])
    return tmp_path


def label(path: Path) -> str:
    return path.parent.name


def test_afhq_pairs_within_each_class(afhq: Path) -> None:
    plan = plan_pairs(afhq, pairing="random")
    assert len(plan.pairs) == 12
    assert all("val" in pair.structure.parts for pair in plan.pairs)
    for pair in plan.pairs:
        assert label(pair.structure) == label(pair.appearance)
        assert pair.structure != pair.appearance
        assert pair.name.startswith(label(pair.structure) + "-")
    # Each picture is once structure and once appearance.
    for side in ("structure", "appearance"):
        assert len({getattr(pair, side) for pair in plan.pairs}) == 12
    assert len(plan_pairs(afhq, pairing="random", split="train").pairs) == 18
    assert plan_pairs(afhq / "val", pairing="random").pairs == plan.pairs
    few = plan_pairs(afhq, pairing="random", count=3).pairs
    assert sorted(label(pair.structure) for pair in few) == ["cat", "dog", "wild"]
    assert "train" in refusal(afhq, pairing="random", split="test")


def test_one_class_onto_another(afhq: Path) -> None:
    plan = plan_pairs(
        afhq / "val" / "cat", pairing="random", appearances=afhq / "train" / "dog", count=20
    )
    assert {(label(p.structure), label(p.appearance)) for p in plan.pairs} == {("cat", "dog")}
    assert len(set(stems(plan))) == 20
    assert set(Counter(pair.structure for pair in plan.pairs).values()) == {5}
    back = plan_pairs(
        afhq / "val" / "cat", pairing="random", appearances=afhq / "train" / "dog", direction="BtoA"
    )
    assert {(label(p.structure), label(p.appearance)) for p in back.pairs} == {("dog", "cat")}


def test_random_pairing_depends_on_the_seed_alone(tmp_path: Path) -> None:
    image_set(tmp_path, [f"{number:02}" for number in range(30)])
    first = stems(plan_pairs(tmp_path, pairing="random", count=10, seed=1))
    assert first == stems(plan_pairs(tmp_path, pairing="random", count=10, seed=1))
    assert first != stems(plan_pairs(tmp_path, pairing="random", count=10, seed=2))
    # A longer plan goes on where a shorter one ends.
    assert stems(plan_pairs(tmp_path, pairing="random", count=25, seed=1))[:10] == first


def test_all_pairs_of_a_set(tmp_path: Path) -> None:
    image_set(tmp_path, "abcde")
    found = stems(plan_pairs(tmp_path, pairing="random", count=20))
    assert set(found) == {(a, b) for a in "abcde" for b in "abcde" if a != b}
    assert "only 20" in refusal(tmp_path, pairing="random", count=21)


def test_pairs_are_uniformly_random(tmp_path: Path) -> None:
    image_set(tmp_path, "abcd")
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(600):
        seen.update(stems(plan_pairs(tmp_path, pairing="random", count=1, seed=seed)))
    # 12 pairs, 50 expected of each: chi-squared with 11 degrees, 31.3 at one in a thousand.
    chi_squared = sum((number - 50) ** 2 / 50 for number in seen.values())
    assert len(seen) == 12 and chi_squared < 31.3


def test_one_picture_is_no_pair(tmp_path: Path) -> None:
    image_set(tmp_path, "a")
    assert "no pair" in refusal(tmp_path, pairing="random")
    assert "only 0" in refusal(tmp_path, pairing="random", count=1)


def test_a_bad_picture_of_a_set_is_never_paired(tmp_path: Path) -> None:
    image_set(tmp_path, "abc")
    (tmp_path / "d.png").write_text("no picture")
    assert "d.png is not a picture" in refusal(tmp_path, pairing="random")
    plan = plan_pairs(tmp_path, pairing="random", skip_bad=True)
    assert {stem for pair in stems(plan) for stem in pair} == set("abc")
    assert len(plan.problems) == 1


def test_pictures_that_share_a_stem(tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "bmp"):
        picture(tmp_path / f"same.{suffix}")
    plan = plan_pairs(tmp_path, pairing="random", count=6)
    assert {pair.name for pair in plan.pairs} == {
        "same--same",
        *(f"same--same-{number}" for number in range(2, 7)),
    }


def test_set_needs_a_pairing_and_pairs_need_none(tmp_path: Path) -> None:
    image_set(tmp_path / "set", "ab")
    assert "random or nearest" in refusal(tmp_path / "set")
    assert "random, nearest" in refusal(tmp_path / "set", pairing="best")
    assert "at least 1" in refusal(tmp_path / "set", pairing="random", count=0)
    folder = pair_folder(tmp_path / "stripes")
    for option in ({"pairing": "random"}, {"split": "val"}, {"appearances": tmp_path / "set"}):
        assert "is for image sets" in refusal(folder, **option)


# Nearest neighbours, against a plain loop


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_nearest_pairing(tmp_path: Path, rank: int) -> None:
    paths = image_set(tmp_path, [f"{number:02}" for number in range(12)])
    vectors = np.random.default_rng(0).normal(size=(12, 5)) * np.arange(1, 13)[:, None]

    def embed(pictures: Sequence[Path]) -> np.ndarray:
        return np.stack([vectors[int(path.stem)] for path in pictures])

    plan = plan_pairs(tmp_path, pairing="nearest", embed=embed, count=12 * rank)
    assert len(plan.pairs) == 12 * rank
    for pair in plan.pairs[12 * (rank - 1) :]:
        own = vectors[int(pair.structure.stem)]
        others = [path for path in paths if path != pair.structure]
        cosines = {
            path: own
            @ vectors[int(path.stem)]
            / np.linalg.norm(own)
            / np.linalg.norm(vectors[int(path.stem)])
            for path in others
        }
        assert pair.appearance == sorted(others, key=lambda path: -cosines[path])[rank - 1]


def test_nearest_across_sets(tmp_path: Path) -> None:
    image_set(tmp_path / "left", ["10", "19", "30"])
    image_set(tmp_path / "right", ["11", "29"])

    def embed(pictures: Sequence[Path]) -> np.ndarray:
        angles = np.array([float(path.stem) for path in pictures]) / 20
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    plan = plan_pairs(
        tmp_path / "left", pairing="nearest", appearances=tmp_path / "right", embed=embed
    )
    assert dict(stems(plan)) == {"10": "11", "19": "11", "30": "29"}


@pytest.mark.parametrize("shape", [(3,), (2, 4), (3, 4, 1)])
def test_embeddings_of_the_wrong_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image_set(tmp_path, "abc")
    text = refusal(tmp_path, pairing="nearest", embed=lambda pictures: np.ones(shape))
    assert str(shape) in text
    bad = np.full((3, 4), np.nan)
    assert "finite" in refusal(tmp_path, pairing="nearest", embed=lambda pictures: bad)
    assert "needs a function" in refusal(tmp_path, pairing="nearest")


# Names


@settings(max_examples=200, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_becomes_a_safe_name(text: str) -> None:
    name = safe_name(text)
    assert name_problem(name) is None
    assert safe_name(name) == name
    if name_problem(text) is None and folded(text) == folded(name):
        assert len(name) <= len(text) or name.startswith("_")


@settings(max_examples=50, derandomize=True)
@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30))
def test_safe_names_make_folders(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / safe_name(text)).mkdir()
        assert len(list(Path(folder).iterdir())) == 1


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "a/b", "a\\b", "-o", ".x", "x.", "nul", "NUL.txt", "a\nb", "é" * 99],
)
def test_unsafe_names(name: str) -> None:
    assert name_problem(name)
    assert name_problem(safe_name(name)) is None


def test_long_names_stay_apart() -> None:
    long = "x" * 300
    assert safe_name(long + "a") != safe_name(long + "b")
    assert len(safe_name(long).encode()) <= 120


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    plain = picture(tmp_path / "plain.png")
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(plain.read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    for pair in plan_pairs(tmp_path, pairing="random").pairs:
        assert name_problem(pair.name) is None


# The pictures that come with the project

SAMPLES = Path(__file__).parents[2] / "datasets" / "samples"


def test_samples_are_ready_to_run() -> None:
    plan = plan_pairs(SAMPLES)
    assert [pair.name for pair in plan.pairs] == ["mountains", "sunset"]
    credit = (SAMPLES / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "CC-BY-4.0" in credit and "Aitzol Berasategi" in credit
    for path in SAMPLES.rglob("*.jpg"):
        with Image.open(path) as photograph:
            assert max(photograph.size) <= 1024
            assert not photograph.getexif() and "icc_profile" not in photograph.info
            size = f"{photograph.width} \N{MULTIPLICATION SIGN} {photograph.height}"
        (row,) = [line for line in credit.splitlines() if str(path.relative_to(SAMPLES)) in line]
        assert size in row
