"""On a GPU: what it computes is what the CPU computes, runs can be repeated and resumed, memory ends.

All tests here are skipped where there is no GPU; `benchmarks/gpu.sh` runs them where there is one.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import small_run
import tiny
import torch
from PIL import Image

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import find_backbone
from splice.errors import RunError
from splice.method import lesson
from splice.method.settings import Settings
from splice.method.transfer import Transfer
from splice.running.outcome import Outcome
from splice.running.outputs import RunFolder
from splice.running.presets import load_preset
from splice.running.run import Run

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]
DEVICE = "cuda"
CLOSE = 1e-3
PAIR = tiny.picture(120, 160, 1), tiny.picture(140, 120, 2)
METHODS = pytest.mark.parametrize(
    "settings",
    [tiny.settings(steps=12), tiny.settings(steps=12, strength=0.5), tiny.paper(steps=12)],
    ids=["default", "half strength", "paper"],
)


@pytest.fixture(autouse=True)
def memory_given_back() -> Iterator[None]:
    yield
    torch.cuda.empty_cache()


@pytest.fixture
def exact(monkeypatch):
    """Convolutions in float32, where torch would take TF32; noise that a GPU draws otherwise is 0."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(lesson, "NOISE", 0.0)


def apart(found: torch.Tensor, right: torch.Tensor) -> float:
    """The largest difference, in units of the largest value."""
    return float((found.cpu() - right).abs().max() / right.abs().max())


def transfer_on(device: str, settings: Settings, **changes) -> Transfer:
    settings = settings.model_copy(update={"precision": "fp32", **changes})
    return Transfer(*PAIR, settings, tiny.frozen().to(device), device)


def small() -> FrozenViT:
    """As large as the default backbone, with random weights."""
    model = tiny.standard(img_size=224, embed_dim=384, depth=12, num_heads=6)
    return FrozenViT(model, find_backbone("dinov2_vits14"))


def test_features_are_the_cpus(exact):
    picture = tiny.picture(168, 224)[None]
    vit, blocks = small(), [3, 7, 12]
    wanted = dict.fromkeys(("cls", "tokens", "keys", "values", "attention"), blocks)
    right = vit(picture, **wanted)
    found = vit.to(DEVICE)(picture.to(DEVICE), **wanted)
    for kind in wanted:
        for block in blocks:
            assert apart(getattr(found, kind)[block], getattr(right, kind)[block]) < CLOSE


@METHODS
@pytest.mark.parametrize("step", [0, 6])
def test_a_step_is_the_cpus(exact, settings, step):
    """Its terms, and the gradients of all weights together."""
    gradients, terms = [], []
    for device in ("cpu", DEVICE):
        transfer = transfer_on(device, settings)
        # It starts with zeros, through which no gradient goes.
        last = transfer.learner.network.colours.weight
        last.data.copy_(0.1 * torch.randn(last.shape, generator=tiny.generator()))
        transfer.step = step
        losses = transfer.losses()
        losses["total"].backward()
        weights = transfer.learner.weights.values()
        gradients.append(torch.cat([w.grad.flatten().cpu() for w in weights if w.grad is not None]))
        terms.append({name: float(value.detach()) for name, value in losses.items()})
    assert terms[1] == pytest.approx(terms[0], rel=CLOSE, abs=1e-6)
    assert float((gradients[1] - gradients[0]).norm() / gradients[0].norm()) < CLOSE


@METHODS
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_a_run_can_be_repeated(settings, precision):
    pictures = []
    for _ in range(2):
        transfer = transfer_on(DEVICE, settings, precision=precision)
        losses = [step.losses["total"].item() for step in transfer.steps()]
        pictures.append((losses, transfer.output().cpu()))
    assert pictures[0][0] == pictures[1][0]
    assert torch.equal(pictures[0][1], pictures[1][1])


def test_a_run_of_usual_size_can_be_repeated():
    """At these sizes other kernels are chosen than for tiny ones."""
    settings = load_preset("default", {"size": "512", "steps": "12", "device": DEVICE})
    pair = tiny.picture(512, 640, 1), tiny.picture(512, 600, 2)
    vit = small().to(DEVICE)
    outputs = []
    for _ in range(2):
        transfer = Transfer(*pair, settings, vit, DEVICE)
        for _ in transfer.steps():
            pass
        outputs.append(transfer.output().cpu())
    assert torch.equal(*outputs)


def settings_of(files: small_run.SmallRun, preset: str) -> Settings:
    changes = {"backbone": "timm:test_vit", "weights": str(files.weights), "size": "64"}
    changes |= {"steps": "16", "device": DEVICE, "seen.short_side": "64"}
    changes |= {"meaning.short_side": "64", "meaning.channels": "8"}
    return load_preset(preset, changes)


def proceed(files: small_run.SmallRun, settings: Settings, path: Path, steps: int = 99) -> Outcome:
    """So many steps of the run in a folder, from where it was left."""
    done = []

    def stop() -> int | None:
        done.append(1)
        return 0 if len(done) == steps else None

    with RunFolder(path) as folder:
        run = Run(files.structure, files.appearance, settings, folder, resume=True)
        return run.proceed(stop=stop)


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_resumed_run_writes_the_same_bytes(tmp_path, preset):
    files = small_run.make(tmp_path)
    settings = settings_of(files, preset)
    assert proceed(files, settings, tmp_path / "whole").finished
    stopped = proceed(files, settings, tmp_path / "parts", 7)
    assert (stopped.finished, stopped.step) == (False, 7)
    assert proceed(files, settings, tmp_path / "parts").finished
    whole, parts = (Image.open(tmp_path / name / "output.png") for name in ("whole", "parts"))
    assert whole.tobytes() == parts.tobytes()


def test_too_little_memory_is_told_in_one_sentence(tmp_path):
    files = small_run.make(tmp_path)
    with Image.open(files.structure) as picture:
        picture.resize((1600, 1200)).save(files.structure)
    with Image.open(files.appearance) as picture:
        picture.resize((1600, 1200)).save(files.appearance)
    changes = {"backbone": "timm:test_vit", "weights": str(files.weights), "size": "1200"}
    settings = load_preset("default", {**changes, "device": DEVICE, "steps": "4"})
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 64 * 2**20) / total)
    try:
        with RunFolder(tmp_path / "run") as folder, pytest.raises(RunError) as caught:
            Run(files.structure, files.appearance, settings, folder).proceed()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    said = str(caught.value)
    assert "not enough memory on cuda" in said
    assert said.endswith(".")
    assert "\n" not in said
