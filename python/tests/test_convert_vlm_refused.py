"""What `unisim convert vlm` refuses, whatever the layout: tensors and keys that do not fit, hostile pickles and indices,
damaged files; each by name, and nothing is left behind."""

import json
import os

import pytest
import torch
from safetensors.torch import save_file

import original_folders as folders
import original_vlms as original
from unisim.cli.app import main

pytest_plugins = ["convert_vlm_command"]

TOWER = "model.vision_tower.vision_tower.vision_model."


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "original"


@pytest.fixture
def siglip(tmp_path):
    """SigLIP's folder, which says what the small tower is; and its model."""
    return tmp_path / "siglip", folders.siglip_folder(tmp_path / "siglip")


def change(name, how):
    def changed(config, tensors):
        tensors[name] = how(tensors[name]).contiguous()

    return changed


def drop(name):
    return lambda config, tensors: tensors.pop(name)


def extra(name, *shape):
    return lambda config, tensors: tensors.update({name: torch.ones(shape)})


def with_nan(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[-1] = torch.nan
    return tensor


BLOCK = "model.layers.1.self_attn."


@pytest.mark.parametrize(
    "broken, said",
    [
        (drop(f"{BLOCK}q_proj.bias"), f"tensor {BLOCK}q_proj.bias is missing, expected [48]"),
        (drop("model.image_newline"), "tensor model.image_newline is missing, expected [48]"),
        (
            drop(f"{TOWER}encoder.layers.1.mlp.fc1.weight"),
            "layers.1.mlp.fc1.weight is missing, expected [40, 32]",
        ),
        (
            extra("model.layers.2.mlp.up_proj.weight", 80, 48),
            "model.layers.2.mlp.up_proj.weight [80, 48] is not of",
        ),
        (extra(f"{TOWER}head.probe", 1, 1, 32), "head.probe [1, 1, 32] is not of this model"),
        (
            extra("model.dino_mm_projector.0.weight", 48, 32),
            "dino_mm_projector.0.weight [48, 32] is not of this",
        ),
        (extra(f"{BLOCK}q_proj.lora_A.weight", 16, 48), "q_proj.lora_A.weight [16, 48] is not of this model"),
        (change("model.norm.weight", lambda t: t[:40]), "tensor model.norm.weight is [40], expected [48]"),
        (
            change("model.norm.weight", lambda t: t.long()),
            "tensor model.norm.weight is I64, expected one of F32",
        ),
        (
            change("model.norm.weight", lambda t: t.double()),
            "tensor model.norm.weight is F64, expected one of F32",
        ),
        (change("model.norm.weight", with_nan), "tensor model.norm.weight holds NaN or infinity"),
        (change(f"{BLOCK}v_proj.weight", lambda t: t / 0), "v_proj.weight holds NaN or infinity"),
    ],
    ids=lambda value: value.split("/")[-1][:40] if isinstance(value, str) else "",
)
def test_tensors_that_do_not_fit_are_refused_by_name(folder, siglip, convert, broken, said):
    config, tensors = original.llava_qwen()
    broken(config, tensors)
    folders.qwen_tokenizer(folders.save(folder, config, tensors))
    code, _, err = convert(folder, "--vision", siglip[0])
    assert code == 1
    assert said in err and str(folder) in err


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end is true; supported is false"),
        ({"mm_use_im_patch_token": True}, "mm_use_im_patch_token is true"),
        ({"mm_projector_type": "linear"}, 'mm_projector_type is "linear"; supported is "mlp2x_gelu"'),
        ({"mm_vision_select_feature": "cls_patch"}, 'mm_vision_select_feature is "cls_patch"'),
        ({"mm_resampler_type": "spatial_pool"}, 'mm_resampler_type is "spatial_pool"; supported is nothing'),
        (
            {"mm_patch_merge_type": "maxpool2x2"},
            'mm_patch_merge_type is "maxpool2x2", expected flat, spatial or',
        ),
        ({"image_aspect_ratio": "anyres_max_9"}, "that is LLaVA-OneVision"),
        ({"mm_hidden_size": 1024}, "mm_hidden_size is 1024, expected 32, the width of the tower"),
        ({"use_sliding_window": True}, "use_sliding_window is true"),
        ({"use_pos_skipping": True}, "use_pos_skipping is true"),
        ({"hidden_act": "gelu"}, 'hidden_act is "gelu"; supported is "silu"'),
        ({"attention_bias": False}, "attention_bias is false; supported is true"),
        (
            {"rope_scaling": {"type": "yarn", "factor": 4}},
            'rope_scaling.type is "yarn", expected linear or dynamic',
        ),
        ({"rope_scaling": {"type": "linear", "factor": 2, "beta": 1}}, "unknown rope_scaling.beta"),
        ({"num_attention_heads": 5}, "5 heads do not divide the width 48"),
        ({"hidden_size": "48"}, 'hidden_size is "48", expected a whole number from 1'),
        ({"num_hidden_layers": True}, "num_hidden_layers is true, expected a whole number"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is"),
        ({"mm_mixture_of_eyes": 3}, "unknown mm_mixture_of_eyes: it might change what is computed"),
        ({"architectures": ["LlavaMistralForCausalLM"]}, "supported are llava_qwen"),
        ({"architectures": ["LlavaForConditionalGeneration"]}, "nothing to convert"),
        ({"architectures": ["LlavaLlamaForCausalLM"]}, "give the towers, --clip and --dino"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_keys_that_would_change_the_arithmetic_are_refused_by_name(folder, siglip, convert, keys, said):
    config, tensors = original.llava_qwen()
    folders.qwen_tokenizer(folders.save(folder, config | keys, tensors))
    code, _, err = convert(folder, "--vision", siglip[0])
    assert code == 1
    assert said in err and "config.json" in err


def test_shards_of_pickles_are_held_to_the_same_rules(folder, siglip, convert):
    config, tensors = original.llava_qwen()
    tensors["model.norm.weight"] = with_nan(tensors["model.norm.weight"])
    folders.qwen_tokenizer(folders.save(folder, config, tensors, "bin", 2))
    assert "tensor model.norm.weight holds NaN or infinity" in convert(folder, "--vision", siglip[0])[2]
    del tensors["model.norm.weight"]
    folders.save(folder, config, tensors, "bin", 2)
    assert "tensor model.norm.weight is missing, expected [48]" in convert(folder, "--vision", siglip[0])[2]


class Runs:
    def __reduce__(self):
        return os.system, ("touch PWNED",)


def test_code_in_a_pickle_does_not_run(folder, siglip, convert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, tensors = original.llava_qwen()
    folders.qwen_tokenizer(folders.save(folder, config, tensors | {"x": Runs()}, "bin"))
    code, _, err = convert(folder, "--vision", siglip[0])
    assert code == 1
    assert "pytorch_model.bin: not a checkpoint of plain tensors" in err
    assert not list(tmp_path.glob("**/PWNED"))


def test_python_files_beside_the_model_are_not_imported(folder, siglip, convert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, tensors = original.llava_qwen()
    config["auto_map"] = {"AutoConfig": "configuration_theirs.Config"}
    folders.qwen_tokenizer(folders.save(folder, config, tensors))
    for name in ("configuration_theirs.py", "tokenizer.py", "json.py", "torch.py"):
        (folder / name).write_text("open('PWNED', 'w')\n")
    assert convert(folder, "--vision", siglip[0])[0] == 0
    assert not list(tmp_path.glob("**/PWNED"))
    assert not list((tmp_path / "out").glob("*.py"))


@pytest.mark.parametrize(
    "index, said",
    [
        ({"weight_map": {"a": "../model.safetensors"}}, "a shard is named '../model.safetensors'"),
        ({"weight_map": {"a": "/etc/passwd"}}, "a shard is named '/etc/passwd'"),
        ({"weight_map": {"a": 3}}, "a shard is named 3"),
        ({"weight_map": []}, "weight_map is [], expected tensors and their files"),
        ({}, "weight_map is None"),
        ([], "found list, expected an object"),
    ],
)
def test_an_index_that_leads_elsewhere_is_refused(folder, convert, index, said):
    config, tensors = original.llava_qwen()
    folders.save(folder, config, tensors, shards=2)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert said in convert(folder)[2]


def test_an_index_and_its_files_must_agree(folder, convert):
    config, tensors = original.llava_qwen()
    folders.save(folder, config, tensors, shards=2)
    file = folder / "model.safetensors.index.json"
    index = json.loads(file.read_text())
    index["weight_map"]["model.more.weight"] = "model-00001-of-00002.safetensors"
    file.write_text(json.dumps(index))
    assert "tensor model.more.weight is not here" in convert(folder)[2]
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert convert(folder)[0] == 1
    name = "model.norm.weight"
    save_file({name: tensors[name]}, folder / "model-00002-of-00002.safetensors")
    save_file({name: tensors[name]}, folder / "model-00001-of-00002.safetensors")
    file.write_text(
        json.dumps(
            {
                "weight_map": {
                    name: "model-00001-of-00002.safetensors",
                    "a": "model-00002-of-00002.safetensors",
                }
            }
        )
    )
    assert f"tensor {name} is in two files" in convert(folder)[2]


def test_damaged_files_are_refused_by_name(folder, siglip, convert, tmp_path):
    assert "config.json" in convert(tmp_path / "nowhere")[2]
    config, tensors = original.llava_qwen()
    folders.save(folder, config, tensors)
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{nothing}")
    assert "model.safetensors" in convert(folder, "--vision", siglip[0])[2]
    (folder / "model.safetensors").unlink()
    assert (
        "no weights here, expected model.safetensors or its index"
        in convert(folder, "--vision", siglip[0])[2]
    )
    (folder / "config.json").write_text("[1]")
    assert "found list, expected an object" in convert(folder)[2]
    (folder / "config.json").write_text("{" * 20)
    assert "config.json" in convert(folder)[2]


def test_what_is_there_is_never_overwritten(folder, convert, tmp_path, capfd):
    config, tensors = original.llava_qwen()
    folders.save(folder, config, tensors)
    (tmp_path / "out").mkdir()
    assert main(["convert", "vlm", str(folder), "-o", str(tmp_path / "out")]) == 1
    assert "is there already" in capfd.readouterr().err


def test_options_of_another_layout_are_refused(folder, siglip, convert):
    config, tensors = original.llava_qwen()
    folders.save(folder, config, tensors)
    assert (
        "the layout is llava_qwen, which has no --clip, --alpha"
        in convert(folder, "--clip", ".", "--alpha", 0.5)[2]
    )
