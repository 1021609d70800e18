"""Domains on disk, in the layouts of the sets that others use."""

import pickle
from pathlib import Path

import pytest
from PIL import Image

from splice.domain.pictures import MODEL, find_domain, held_out, summary
from splice.errors import InputError
from splice.running.outputs import CHECKPOINT


def _picture(file: Path, side: int = 20) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), "red").save(file)


def _text(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))


def _names(domain) -> list[str]:
    return [picture.name for picture in domain.pictures]


def test_afhq_is_its_train_part_unless_another_is_asked_for(tmp_path):
    for part, count in (("train", 3), ("val", 2)):
        for kind in ("cat", "dog", "wild"):
            for number in range(count):
                _picture(tmp_path / part / kind / f"flickr_{kind}_{number:06d}.jpg")
    domain = find_domain(tmp_path)
    assert domain.split == "train"
    assert len(domain.pictures) == 9
    assert _names(domain)[0] == "train/cat/flickr_cat_000000.jpg"
    assert summary(domain) == {"train/cat": 3, "train/dog": 3, "train/wild": 3}
    assert len(find_domain(tmp_path, split="val").pictures) == 6
    with pytest.raises(InputError, match="no such part; there are: train, val"):
        find_domain(tmp_path, split="test")


def test_flickr_mountains_is_a_plain_folder(tmp_path):
    for number in (10, 2, 33):
        _picture(tmp_path / f"{number:04d}.jpg")
    (tmp_path / "urls.txt").write_text("nothing of ours")
    domain = find_domain(tmp_path)
    assert domain.split is None
    assert _names(domain) == ["0002.jpg", "0010.jpg", "0033.jpg"]
    assert all(picture.captions == () for picture in domain.pictures)


def test_any_tree_is_a_domain_but_hidden_files_are_not(tmp_path):
    for name in ("a/b/c.png", "z.webp", ".hidden.png", "__MACOSX/x.png", ".git/y.png", "a/d.PNG"):
        _picture(tmp_path / name)
    assert _names(find_domain(tmp_path)) == ["a/b/c.png", "a/d.PNG", "z.webp"]


def _cub(root: Path) -> None:
    """CUB as AttnGAN lays it out: pictures, texts and lists of names in three trees."""
    kinds = ("001.Black_footed_Albatross", "002.Laysan_Albatross")
    for kind in kinds:
        bird = kind.partition(".")[2]
        for number in (46, 59):
            name = f"{bird}_00{number}"
            _picture(root / "CUB_200_2011" / "images" / kind / f"{name}.jpg")
            _text(root / "text" / kind / f"{name}.txt", f"a bird of {bird} {number}", "it is black")
    for part, number in (("train", 46), ("test", 59)):
        names = [f"{kind}/{kind.partition('.')[2]}_00{number}" for kind in kinds]
        (root / part).mkdir()
        # The lists of the published set are of Python 2, in its first protocol.
        (root / part / "filenames.pickle").write_bytes(pickle.dumps(names, protocol=0))


def test_cub_has_its_captions_and_parts_in_other_trees(tmp_path):
    _cub(tmp_path)
    domain = find_domain(tmp_path, captioned=True)
    assert domain.split == "train"
    assert _names(domain) == [
        "CUB_200_2011/images/001.Black_footed_Albatross/Black_footed_Albatross_0046.jpg",
        "CUB_200_2011/images/002.Laysan_Albatross/Laysan_Albatross_0046.jpg",
    ]
    assert domain.pictures[0].captions == ("a bird of Black_footed_Albatross 46", "it is black")
    assert [p.file.stem[-2:] for p in find_domain(tmp_path, split="test").pictures] == ["59", "59"]


def test_oxford_flowers_have_their_captions_by_class(tmp_path):
    for number in range(1, 4):
        _picture(tmp_path / "jpg" / f"image_{number:05d}.jpg")
        folder = tmp_path / "text_c10" / f"class_{number % 2:05d}"
        _text(folder / f"image_{number:05d}.txt", *(f"flower {number} {n}" for n in range(10)))
    domain = find_domain(tmp_path, captioned=True)
    assert len(domain.pictures) == 3
    assert domain.pictures[2].captions == tuple(f"flower 3 {n}" for n in range(10))


def test_a_list_of_names_can_name_no_code(tmp_path):
    _cub(tmp_path)

    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "touched",)

    (tmp_path / "train" / "filenames.pickle").write_bytes(pickle.dumps([Evil()]))
    with pytest.raises(InputError, match=r"filenames\.pickle is no list of picture names"):
        find_domain(tmp_path)
    assert not (tmp_path / "touched").exists()


def test_captions_lie_beside_pictures_or_where_they_are_said_to(tmp_path):
    for name in "abc":
        _picture(tmp_path / "photos" / f"{name}.png")
    _text(tmp_path / "photos" / "a.txt", "  beside   the picture ", "", "twice")
    _text(tmp_path / "said" / "a.txt", "elsewhere")
    _text(tmp_path / "said" / "b.txt", "of b")
    domain = find_domain(tmp_path / "photos")
    assert [p.captions for p in domain.pictures] == [("beside the picture", "twice"), (), ()]
    domain = find_domain(tmp_path / "photos", captions=tmp_path / "said", captioned=True)
    assert [p.captions for p in domain.pictures] == [("elsewhere",), ("of b",)]
    assert len(domain.problems) == 1
    assert "c.png has no captions" in domain.problems[0]


def test_bytes_of_no_encoding_are_passed_over(tmp_path):
    for name in "ab":
        _picture(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_bytes(b"a grey\xef\xbf\xbd bird \xff here\n")
    assert find_domain(tmp_path).pictures[0].captions == ("a grey bird here",)


def test_captions_without_words_are_none(tmp_path):
    for name in "abcd":
        _picture(tmp_path / f"{name}.png")
    _text(tmp_path / "a.txt", ".", "a red ball", "_ - !")
    _text(tmp_path / "b.txt", "...", "?")
    _text(tmp_path / "c.txt", "7")
    _text(tmp_path / "text" / "b.txt", "of b, elsewhere")
    domain = find_domain(tmp_path)
    said = [("a red ball",), ("of b, elsewhere",), ("7",), ()]
    assert [picture.captions for picture in domain.pictures] == said
    (tmp_path / "text" / "b.txt").write_text("!\n")
    domain = find_domain(tmp_path, captioned=True)
    assert _names(domain) == ["a.png", "c.png"]
    assert "b.png has no captions" in domain.problems[0]


@pytest.mark.parametrize("file", [MODEL, CHECKPOINT])
def test_what_trainings_write_within_a_domain_is_not_of_it(tmp_path, monkeypatch, file):
    for name in ("a/b.png", "c.png"):
        _picture(tmp_path / name)
    output = tmp_path / "models" / "new"
    assert _names(find_domain(tmp_path, output=output)) == ["a/b.png", "c.png"]
    for folder in (output, tmp_path / "models" / "old"):
        _picture(folder / "previews.png")
        (folder / file).write_bytes(b"")
    assert _names(find_domain(tmp_path, output=output)) == ["a/b.png", "c.png"]
    assert _names(find_domain(tmp_path)) == ["a/b.png", "c.png"]
    # A folder that is asked for is taken whatever is in it.
    _picture(output / "losses.png")
    assert _names(find_domain(output)) == ["losses.png", "previews.png"]
    monkeypatch.chdir(tmp_path)
    assert _names(find_domain(Path(), output=Path("models/new"))) == ["a/b.png", "c.png"]


def test_an_output_folder_with_pictures_of_the_domain_is_refused(tmp_path):
    for name in ("a/b.png", "c.png", "d.png"):
        _picture(tmp_path / name)
    with pytest.raises(InputError, match=r"--output .*a holds pictures of the domain"):
        find_domain(tmp_path, output=tmp_path / "a")
    with pytest.raises(InputError, match="is the folder of the pictures itself; give another one"):
        find_domain(tmp_path, output=tmp_path / "a" / "..")
    assert len(find_domain(tmp_path / "a" / "..", output=tmp_path / "e").pictures) == 3
    _picture(tmp_path.with_name(f"{tmp_path.name}-beside") / "f.png")
    beside = tmp_path.with_name(f"{tmp_path.name}-beside")
    assert len(find_domain(tmp_path, output=beside).pictures) == 3


def test_what_cannot_be_read_is_told_and_left_out(tmp_path):
    for name in "abc":
        _picture(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_text("no picture")
    domain = find_domain(tmp_path)
    assert _names(domain) == ["a.png", "c.png"]
    assert len(domain.problems) == 1
    assert "b.png is not a picture" in domain.problems[0]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no pictures that can be read"):
        find_domain(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        find_domain(tmp_path / "nowhere")


def test_held_out_pictures_lie_evenly(tmp_path):
    for number in range(12):
        _picture(tmp_path / f"{number:02d}.png")
    domain = find_domain(tmp_path)
    learnt, kept = held_out(domain, 3)
    assert kept == [2, 6, 10]
    assert sorted(learnt + kept) == list(range(12))
    assert held_out(domain, 0) == (list(range(12)), [])
    with pytest.raises(InputError, match="--held-out 11 leaves fewer than two"):
        held_out(domain, 11)
