"""Weights from a model hub, which here is a small server on this machine."""

import hashlib
import http.server
import inspect
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch

import splice
from splice.backbones.registry import find_backbone
from splice.backbones.weights import check_weights, fetch_weights, list_weights, weights_path
from splice.backbones.weights.hub import answers, fetch, repository
from splice.errors import RunError

TINY = "timm:test_vit.r160_in1k"
REPOSITORY = "timm/test_vit.r160_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROOT = Path(splice.__file__).parents[1]


@pytest.fixture(scope="module")
def tiny() -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_vit.r160_in1k", num_classes=10).eval()


class Hub(http.server.ThreadingHTTPServer):
    """As much of a model hub as downloading a file needs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.refusal: tuple[int, str] = (404, "RepoNotFound")
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        data = self.server.files.get(self.path)
        if data is None:
            status, code = self.server.refusal
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def serve(hub: Hub, data: bytes, name: str = "model.safetensors") -> None:
    hub.files[f"/{REPOSITORY}/resolve/main/{name}"] = data


@pytest.mark.slow
@torch.no_grad()
def test_a_download_is_reported_kept_and_loaded_offline(hub: Hub, tiny, tmp_path) -> None:
    data = safetensors.torch.save(tiny.state_dict())
    serve(hub, data)
    # Where the hub's client looks by itself, so that a fresh process finds it there.
    cache = tmp_path / "huggingface" / "hub"
    reports = []
    provenance = fetch_weights(
        TINY,
        hub_endpoint=hub.address,
        hub_cache=cache,
        progress=lambda *report: reports.append(report),
    )
    assert provenance.sha256 == hashlib.sha256(data).hexdigest()
    assert provenance.source == f"{REPOSITORY} at {COMMIT} in the model hub"
    assert provenance.licence == "apache-2.0"
    assert Path(provenance.file).read_bytes() == data
    assert reports[0] == (f"fetching {REPOSITORY}", 0, None)
    if "tqdm_class" in inspect.signature(huggingface_hub.hf_hub_download).parameters:
        assert reports[1] == (f"fetching {REPOSITORY}", 0, len(data))
        assert reports[-1] == (f"fetching {REPOSITORY}", len(data), len(data))

    hub.asked.clear()
    assert fetch_weights(TINY, hub_endpoint=hub.address, hub_cache=cache) == provenance
    assert not hub.asked
    assert weights_path(TINY, hub_cache=cache) == Path(provenance.file)
    check = check_weights(TINY, hub_cache=cache)
    assert check.intact and check.expected == provenance.sha256

    # Offline, in a process of its own, as the client reads its settings when imported.
    pixels = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    torch.save(pixels, tmp_path / "pixels.pt")
    code = (
        "import sys, torch; from splice.backbones.registry import find_backbone;"
        "from splice.backbones.weights import load_vit; folder = sys.argv[1];"
        f"vit, provenance = load_vit(find_backbone({TINY!r}));"
        "tokens = vit.forward_features(torch.load(folder + '/pixels.pt'));"
        "torch.save(tokens, folder + '/tokens.pt'); print(provenance.sha256)"
    )
    offline = os.environ | {"HF_HOME": str(cache.parent), "HF_ENDPOINT": "http://127.0.0.1:9"}
    offline.pop("HF_HUB_CACHE", None)
    command = [sys.executable, "-c", code, str(tmp_path)]
    printed = subprocess.run(
        command, check=True, cwd=ROOT, env=offline, capture_output=True, text=True
    )
    assert printed.stdout.strip() == provenance.sha256
    dynamic = timm.create_model("test_vit.r160_in1k", num_classes=10, dynamic_img_size=True).eval()
    dynamic.load_state_dict(tiny.state_dict())
    expected = dynamic.forward_features(pixels)
    torch.testing.assert_close(torch.load(tmp_path / "tokens.pt"), expected, rtol=0, atol=1e-5)


def test_a_repository_with_a_torch_file_alone(hub: Hub, tiny, tmp_path) -> None:
    torch.save(tiny.state_dict(), tmp_path / "saved.bin")
    serve(hub, (tmp_path / "saved.bin").read_bytes(), "pytorch_model.bin")
    hub.refusal = (404, "EntryNotFound")
    path = fetch(find_backbone(TINY), print, endpoint=hub.address, cache_dir=tmp_path / "hub")
    assert path.name == "pytorch_model.bin"


@pytest.mark.parametrize(
    ("refusal", "part"),
    [
        ((404, "RepoNotFound"), f"the model hub has no {REPOSITORY}"),
        ((404, "EntryNotFound"), "holds neither model.safetensors nor pytorch_model.bin"),
        ((403, "GatedRepo"), "accept it and log in"),
        ((400, "Whatever"), f"{REPOSITORY} could not be fetched from the model hub"),
    ],
)
def test_a_hub_that_refuses(hub: Hub, refusal, part: str, tmp_path) -> None:
    hub.refusal = refusal
    with pytest.raises(RunError, match=part) as caught:
        fetch_weights(TINY, hub_endpoint=hub.address, hub_cache=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.robustness
def test_a_damaged_copy_is_noticed_and_fetched_again(hub: Hub, tiny, tmp_path) -> None:
    data = safetensors.torch.save(tiny.state_dict())
    serve(hub, data)
    path = Path(fetch_weights(TINY, hub_endpoint=hub.address, hub_cache=tmp_path).file)
    path.resolve().write_bytes(data[:-1] + b"\xff")
    assert not check_weights(TINY, hub_cache=tmp_path).intact
    fetch_weights(TINY, hub_endpoint=hub.address, hub_cache=tmp_path)
    assert check_weights(TINY, hub_cache=tmp_path).intact


# The hub's own client would take 23 seconds to give up.
@pytest.mark.timeout(15)
@pytest.mark.robustness
def test_no_hub_gives_one_sentence_soon(tmp_path) -> None:
    with pytest.raises(RunError) as caught:
        fetch_weights("dino_vits16", hub_endpoint="http://127.0.0.1:9", hub_cache=tmp_path)
    message = str(caught.value)
    assert message.startswith("the model hub cannot be reached, and the weights of dino_vits16")
    assert "--weights" in message and "dinov2_vits14" in message and "\n" not in message


@pytest.mark.timeout(15)
@pytest.mark.robustness
def test_a_hub_that_accepts_and_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert not answers(f"http://127.0.0.1:{silent.getsockname()[1]}", seconds=0.2)


def test_what_answers(hub: Hub) -> None:
    assert answers(hub.address)  # 404 is an answer
    assert not answers("http://127.0.0.1:9")
    assert not answers("http://name.invalid")
    assert not answers("nonsense")


def test_where_the_registry_is_in_the_hub() -> None:
    for state in list_weights():
        config = timm.get_pretrained_cfg(state.backbone.timm_id)
        assert repository(state.backbone) == config.hf_hub_id
    assert repository(find_backbone(TINY)) == REPOSITORY
