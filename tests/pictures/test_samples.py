"""The pictures that come with the project are ready to run."""

from pathlib import Path

from PIL import Image

from splice.pictures.pairs import plan_pairs

# The pictures that come with the project

SAMPLES = Path(__file__).parents[2] / "datasets" / "samples"


def test_samples_are_ready_to_run() -> None:
    plan = plan_pairs(SAMPLES)
    assert [pair.name for pair in plan.pairs] == ["mountains", "prairie", "sunset"]
    credit = (SAMPLES / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for who in ("CC-BY-4.0", "Aitzol Berasategi", "CC0 1.0", "Kurt Kaiser", "Dohduhdah"):
        assert who in credit
    for path in SAMPLES.rglob("*.jpg"):
        with Image.open(path) as photograph:
            assert max(photograph.size) <= 1024
            assert not photograph.getexif() and "icc_profile" not in photograph.info
            size = f"{photograph.width} \N{MULTIPLICATION SIGN} {photograph.height}"
        (row,) = [line for line in credit.splitlines() if str(path.relative_to(SAMPLES)) in line]
        assert size in row
