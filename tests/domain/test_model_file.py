"""Models as files: the same model from them, the same bytes, and one sentence on what is none."""

import json

import pytest
import safetensors.torch
import small_domain
import tiny
import torch

from splice.domain.model_file import from_bytes, load_model, save_model, to_bytes
from splice.errors import InputError


@pytest.mark.parametrize(
    ("condition", "layer"), [("cls", "film"), ("parts", "attention"), ("text", "bilinear")]
)
def test_a_model_read_back_paints_the_same(scenes, condition, layer, tmp_path):
    vit = tiny.frozen()
    model, store = small_domain.model(scenes, vit, condition=condition, layer=layer)
    save_model(tmp_path / "model.safetensors", model)
    again = load_model(tmp_path)
    structure, appearance = store.middle(0)[None], store.middle(1)[None]
    pictures = []
    for each in (model, again):
        told = (
            each.read(["a red striped ball"])
            if condition == "text"
            else each.condition_of(appearance, vit)
        )
        with torch.no_grad():
            pictures.append(each.network(structure, told))
    assert torch.equal(*pictures)
    assert again.settings == model.settings
    assert to_bytes(again) == to_bytes(model)


def test_a_budget_that_no_network_meets_is_refused(scenes):
    with pytest.raises(InputError, match=r"--parameters 10000 or --rank 256: .* has at least"):
        small_domain.model(scenes, layer="spatial", parameters=10_000, rank=256)


def test_every_damaged_byte_is_found(scenes, tmp_path):
    model, _ = small_domain.model(scenes)
    data = to_bytes(model)
    file = tmp_path / "model.safetensors"
    for place in torch.randint(len(data), (12,), generator=tiny.generator()).tolist():
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        file.write_bytes(damaged)
        with pytest.raises(InputError, match=r"model\.safetensors (is|was) .*; give a model"):
            load_model(file)
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="is damaged, or no model at all"):
        load_model(file)


def test_what_is_no_model_gets_one_sentence(tmp_path):
    file = tmp_path / "other.safetensors"
    with pytest.raises(InputError, match="there is no model"):
        load_model(file)
    with pytest.raises(InputError, match=r"holds no model\.safetensors; 'splice train' makes one"):
        load_model(tmp_path)
    safetensors.torch.save_file({"a": torch.zeros(2)}, file)
    with pytest.raises(InputError, match="is a file of tensors, but no model of a domain"):
        load_model(file)
    file.write_text("hello")
    with pytest.raises(InputError, match="is damaged, or no model at all"):
        load_model(file)


def test_a_model_of_a_later_version_is_told_as_such(scenes):
    model, _ = small_domain.model(scenes)
    data = to_bytes(model)
    length = int.from_bytes(data[:8], "little")
    entry = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["splice_domain_model"])
    content = json.loads(entry["content"])
    assert content["format"] == 3
    assert content["settings"]["layer"] == "film"

    import hashlib

    tensors = safetensors.torch.load(data)
    text = json.dumps({**content, "format": 4, "splice": "9.0"}, sort_keys=True)
    # The checksum as the module's docstring tells it.
    hasher = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        hasher.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        hasher.update(tensor.numpy().tobytes())
    later = json.dumps({"content": text, "sha256": hasher.hexdigest()})
    with pytest.raises(ValueError, match=r"was written by Splice 9\.0"):
        from_bytes(safetensors.torch.save(tensors, {"splice_domain_model": later}))
