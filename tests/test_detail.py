"""The strength of detail against loops and closed forms."""

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from splice.detail import detail_energy, detail_term
from splice.errors import InputError
from splice.images import write_image

RANDOM = torch.Generator().manual_seed(3)


def noise(*size: int) -> Tensor:
    return torch.rand(1, 3, *size, generator=RANDOM)


def slow_energy(image: Tensor) -> np.ndarray:
    red, green, blue = image[0].double().numpy()
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    energies = []
    for channel in (light, red - light, blue - light):
        energy = np.zeros_like(channel)
        for row, column in np.ndindex(*channel.shape):
            rows, columns = (slice(max(0, place - 1), place + 2) for place in (row, column))
            energy[row, column] = (channel[row, column] - channel[rows, columns].mean()) ** 2
        energies.append(energy)
    return np.stack(energies)


def test_energy_is_what_the_surroundings_leave_over():
    image = noise(7, 9)
    np.testing.assert_allclose(detail_energy(image)[0].numpy(), slow_energy(image), atol=1e-6)


def test_slopes_have_no_detail_and_stripes_have_theirs():
    slope = torch.linspace(0, 1, 12).expand(1, 3, 12, 12)
    assert detail_energy(slope)[..., 1:-1, 1:-1].max() < 1e-12
    grey = torch.tensor([0.4, 0.6]).repeat(6).expand(1, 3, 12, 12)
    energy = detail_energy(grey)[0, :, 1:-1, 1:-1]
    # Of 0.4 0.6 0.4 the mean is 1.4 / 3, and of its mirror image 1.6 / 3.
    torch.testing.assert_close(energy[0], torch.full((10, 10), (0.2 / 1.5) ** 2))
    assert energy[1:].max() < 1e-12, "grey has no detail of colour"


@pytest.mark.parametrize(
    ("size", "cells"), [((24, 30), 6), ((24, 30), 5), ((9, 6), 16), ((2, 2), 1)]
)
def test_term_against_a_loop(size, cells):
    output, wanted = noise(*size), 0.2 * noise(*size)
    energies = slow_energy(output), wanted[0].double().numpy() ** 2
    side = max(1, min(size) // cells)
    step = max(1, side // 2)
    total = 0.0
    for channel in range(3):
        strengths: list[list[float]] = [[], []]
        for top in range(0, size[0] - side + 1, step):
            for left in range(0, size[1] - side + 1, step):
                for found, energy in zip(strengths, energies, strict=True):
                    mean = energy[channel, top : top + side, left : left + side].mean()
                    found.append(math.sqrt(mean + 1e-6))
        ours, theirs = map(np.array, strengths)
        total += np.abs(ours - theirs).mean() / (theirs.mean() + 0.01) / 3
    assert detail_term(output, wanted, cells).item() == pytest.approx(total, rel=1e-4)


def test_term_asks_for_strength_and_not_for_a_pattern():
    other = noise(64, 64)
    wanted = detail_energy(other).mean((2, 3), keepdim=True).sqrt().expand(1, 3, 64, 64)
    faint = (0.5 + 0.5 * (noise(64, 64) - 0.5)).requires_grad_()
    again, weak = detail_term(noise(64, 64), wanted, 2), detail_term(faint, wanted, 2)
    assert again < 0.05
    assert weak.item() == pytest.approx(0.5, abs=0.06)
    weak.backward()
    assert faint.grad is not None
    with torch.no_grad():
        assert detail_term(faint - 20 * faint.grad, wanted, 2) < weak


def test_flat_pictures_have_finite_gradients():
    flat = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    loss = detail_term(flat, torch.zeros(1, 3, 16, 16), 4)
    loss.backward()
    assert loss == 0 and flat.grad is not None and flat.grad.isfinite().all()


def test_benchmark_tells_how_hazy_pictures_are(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    benchmark = importlib.import_module("detail")
    image = noise(256, 300)[0]
    for name, picture in {
        "pairs/set/one/A/a.png": noise(64, 64)[0],
        "pairs/set/one/B/b.png": image,
        "outputs/set-one.png": 0.5 + (image - 0.5) / 2,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / name, picture)
    place = str(tmp_path / "outputs" / "{set}-{id}.png")
    benchmark.main(benchmark.Options(tmp_path / "pairs", (place,)))
    (line,) = capsys.readouterr().out.splitlines()
    assert line == f"{'set, 1 pairs':24} 0.50  0.50  0.50  0.50  {place}"
    with pytest.raises(InputError, match="no pair has all of them"):
        benchmark.main(benchmark.Options(tmp_path / "pairs", (f"{place}.jpg",)))
