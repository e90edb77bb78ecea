"""DreamSim held to its formula in torch, over the encoders that transformers, open_clip and timm define."""

import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image

import tiny_tasks
import unisim
from encoder_models import MEAN, OPEN_CLIP_TOWER, STD, clip, open_clip_folder, timm_folder, vit
from unisim.cli.app import main

# float32 towers in another order of sums: unit rows agree to 1e-5, so their cosine to 2e-5 at most; measured 1.7e-7.
TOLERANCE = 2e-6
SIDE = 45
SQUASH = {"size": {"height": SIDE, "width": SIDE}, "do_center_crop": False, "resample": 3}


def change(file, **fields):
    content = json.loads(file.read_text()) | fields
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def make(folder, parts, normalize=True):
    listed = [{"folder": name, "feature": feature} for name, feature in parts]
    content = {"model_type": "dreamsim", "parts": listed, "normalize": normalize, "image_size": SIDE}
    (folder / "config.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    """Its folder, and what each part gives of pixels, as its own library computes it."""
    folder = tmp_path_factory.mktemp("dreamsim")
    for name in ("dino", "clip", "open_clip", "timm"):
        (folder / name).mkdir()
    dino = vit(folder / "dino", 31, size=(SIDE, SIDE), patch=9)
    change(folder / "dino/preprocessor_config.json", **SQUASH)
    hf = clip(folder / "clip", 32, image=SIDE, patch=9)
    change(folder / "clip/preprocessor_config.json", **SQUASH, crop_size=None)
    tower = OPEN_CLIP_TOWER | {"image_size": SIDE, "patch_size": 9}
    oc = open_clip_folder(folder / "open_clip", 33, vision=tower)
    preprocess = {"size": SIDE, "mean": MEAN, "std": STD, "resize_mode": "squash"}
    change(folder / "open_clip/open_clip_config.json", preprocess_cfg=preprocess)
    small = {"embed_dim": 48, "depth": 2, "num_heads": 4, "patch_size": 9}
    tm = timm_folder(folder / "timm", 34, "vit_tiny_patch16_224", image=SIDE, img_size=SIDE, **small)
    squash = json.loads((folder / "timm/config.json").read_text())["pretrained_cfg"]
    change(folder / "timm/config.json", pretrained_cfg=squash | {"crop_mode": "squash", "crop_pct": 1.0})
    features = {
        ("dino", "cls"): lambda x: dino.hidden_states(x)[-1][:, 0],
        ("timm", "cls"): lambda x: tm.hidden_states(x)[-1][:, 0],
        ("clip", "cls"): lambda x: hf.hidden_states(x)[-1][:, 0],
        ("dino", "embedding"): dino.images,
        ("clip", "embedding"): hf.images,
        ("open_clip", "embedding"): oc.images,
    }
    return folder, features


def picture(seed, size):
    """Coarse colours under fine grain, so that the filter shows."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (5, 4, 3), np.uint8)).resize(size, Image.BICUBIC)
    grain = generator.integers(-30, 31, (size[1], size[0], 3))
    return np.clip(np.asarray(coarse).astype(int) + grain, 0, 255).astype(np.uint8)


PICTURES = [picture(k, size) for k, size in enumerate([(90, 60), (45, 45), (61, 133), (30, 200), (90, 60)])]


def plain_rows(features, parts, pictures, normalize):
    """E(x) as the authors' code has it."""
    rows = []
    for one in pictures:
        square = np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.BICUBIC), np.float32) / 255
        pixels = (torch.from_numpy(square) - torch.tensor(MEAN)) / torch.tensor(STD)
        with torch.no_grad():
            given = [features[part](pixels.permute(2, 0, 1)[None])[0] for part in parts]
        row = torch.cat(given)
        if normalize:
            row = row - row.mean()
            row = row / row.norm()
        rows.append(row)
    return torch.stack(rows)


ENSEMBLE = (("dino", "cls"), ("clip", "embedding"), ("open_clip", "embedding"))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    "parts",
    [
        ENSEMBLE,
        (("dino", "cls"),),
        (("clip", "embedding"),),
        (("open_clip", "embedding"),),
        (("timm", "cls"), ("clip", "cls")),
        (("open_clip", "embedding"), ("dino", "embedding")),
    ],
    ids=lambda parts: "+".join(f"{name}-{feature}" for name, feature in parts),
)
def test_distances_are_those_of_the_formula(ensemble, parts, normalize):
    folder, features = ensemble
    metric = unisim.metric(f"dreamsim:{make(folder, parts, normalize)}")
    assert not metric.higher_is_better
    rows = plain_rows(features, parts, PICTURES, normalize)
    theirs = 1 - torch.nn.functional.cosine_similarity(rows[0][None], rows, dim=-1)
    ours = metric([PICTURES[0]] * len(PICTURES), PICTURES)
    assert theirs[1:].min() > 1e-3
    assert (ours - theirs).abs().max() <= TOLERANCE
    assert ours[0] == 0


def test_centring_and_the_kind_of_feature_change_the_distance(ensemble):
    """Else a folder's fields could be read and not honoured."""
    folder, _ = ensemble
    x, y = PICTURES[0], PICTURES[2]
    found = {
        (parts, normalize): unisim.metric(f"dreamsim:{make(folder, parts, normalize)}")(x, y)
        for parts in (
            (("clip", "embedding"),),
            (("clip", "cls"),),
            (("dino", "cls"),),
            (("dino", "embedding"),),
        )
        for normalize in (True, False)
    }
    values = sorted(found.values())
    assert min(b - a for a, b in itertools.pairwise(values)) > 10 * TOLERANCE


def test_alone_or_in_a_list_or_call_by_call_the_bits_are_the_same(ensemble):
    folder, _ = ensemble
    metric = unisim.metric(f"dreamsim:{make(folder, ENSEMBLE)}")
    many = PICTURES * 30  # more than a stretch, and items that come again
    seen = []
    together = metric(many, many[1:] + many[:1], progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (150, 150)
    assert seen == sorted(seen)
    for x, y, score in zip(PICTURES, PICTURES[1:], together.tolist(), strict=False):
        assert metric(x, y) == metric(y, x) == score
    assert metric.rank(PICTURES[0], PICTURES[1:] + PICTURES[:1])[0] == 4
    reference = [PICTURES[1]] * 3
    seen.clear()
    metric(reference, reference, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (3, 3)


def test_texts_and_attributes_and_layers_are_refused(ensemble):
    name = f"dreamsim:{make(ensemble[0], ENSEMBLE)}"
    metric = unisim.metric(name)
    with pytest.raises(ValueError, match="it compares pictures"):
        metric(PICTURES[0], unisim.Text("a red cup"))
    with pytest.raises(ValueError, match="it compares pictures"):
        metric.attribute(PICTURES[:1], "quality")
    with pytest.raises(ValueError, match="has no layer or pool"):
        unisim.metric(f"{name},layer=1")
    with pytest.raises(ValueError, match="needs a model: dreamsim:FOLDER"):
        unisim.metric("dreamsim")


CONFIGS = {
    "another model_type": ({"model_type": "lpips"}, NotImplementedError, "model_type"),
    "no normalize": ({"normalize": None}, ValueError, "normalize"),
    "no image_size": ({"image_size": None}, ValueError, "image_size"),
    "another size": ({"image_size": 44}, ValueError, "not resized to 44 x 44"),
    "no parts": ({"parts": []}, ValueError, "a list of 1 to 16"),
    "an unknown field": ({"stride": 14}, NotImplementedError, "stride"),
    "an unknown feature": (
        {"parts": [{"folder": "dino", "feature": "patch"}]},
        NotImplementedError,
        "cls, embedding",
    ),
    "no feature": ({"parts": [{"folder": "dino"}]}, ValueError, r"parts\[0\].feature"),
    "a field of a part": (
        {"parts": [{"folder": "dino", "feature": "cls", "weight": 2}]},
        NotImplementedError,
        r"parts\[0\].weight",
    ),
    "a folder elsewhere": (
        {"parts": [{"folder": "../dino", "feature": "cls"}]},
        ValueError,
        "a folder inside this",
    ),
    "the folder above": ({"parts": [{"folder": "..", "feature": "cls"}]}, ValueError, "a folder inside this"),
    "this folder": ({"parts": [{"folder": "", "feature": "cls"}]}, ValueError, "a folder inside this"),
    "no such folder": ({"parts": [{"folder": "dyno", "feature": "cls"}]}, ValueError, "no such folder"),
}


@pytest.mark.parametrize("fields, kind, said", CONFIGS.values(), ids=CONFIGS)
def test_a_config_that_is_not_honoured_is_refused(ensemble, fields, kind, said):
    folder = make(ensemble[0], ENSEMBLE)
    change(folder / "config.json", **fields)
    with pytest.raises(kind, match=said):
        unisim.metric(f"dreamsim:{folder}")


def test_a_part_that_crops_or_filters_otherwise_is_refused(ensemble):
    folder = make(ensemble[0], (("dino", "cls"),))
    file = folder / "dino/preprocessor_config.json"
    kept = file.read_text()
    try:
        for fields, said in (
            ({"resample": 2}, "resized with filter 2"),
            (
                {"do_center_crop": True, "crop_size": SIDE, "size": {"height": 52, "width": 52}},
                "without a crop",
            ),
            ({"do_center_crop": True, "crop_size": SIDE, "size": {"shortest_edge": SIDE}}, "without a crop"),
        ):
            file.write_text(kept)
            change(file, **fields)
            with pytest.raises(ValueError, match=said):
                unisim.metric(f"dreamsim:{folder}")
    finally:
        file.write_text(kept)


def test_compare_prints_the_distance(ensemble, tmp_path, capfd):
    folder = make(ensemble[0], ENSEMBLE)
    files = [tmp_path / f"{k}.png" for k in range(2)]
    for file, pixels in zip(files, PICTURES, strict=False):
        Image.fromarray(pixels).save(file)
    capfd.readouterr()
    assert main(["compare", f"dreamsim:{folder}", *map(str, files), "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["scores"][0]["score"] == unisim.metric(f"dreamsim:{folder}")(PICTURES[0], PICTURES[1])
    assert not said["higher_is_better"]


def tiny_task(tmp_path):
    data = tiny_tasks.pictures(tmp_path / "data", ["a.png", "b.png", "c.png"])
    items = [tiny_tasks.pair("a.png", "b.png", "c.png", 0), tiny_tasks.pair("b.png", "a.png", "c.png", 1)]
    return unisim.Task.load(tiny_tasks.written(tmp_path / "task", data, "img-2afc", items), data), data


def test_an_evaluation_has_the_distances_of_the_pairs(ensemble, tmp_path):
    task, data = tiny_task(tmp_path)
    metric = unisim.metric(f"dreamsim:{make(ensemble[0], ENSEMBLE)}")
    found = unisim.evaluate(task, metric)
    expected = [metric(data / "a.png", data / name) for name in ("b.png", "c.png")]
    assert found.items[0].scores == expected
    assert found.items[0].chosen == expected.index(min(expected))  # a distance: less is more alike


def test_a_store_keeps_rows_until_a_part_or_the_config_changes(ensemble, tmp_path):
    task, _ = tiny_task(tmp_path)

    def run(normalize=True):
        metric = unisim.metric(f"dreamsim:{make(ensemble[0], ENSEMBLE, normalize)}")
        found = unisim.evaluate(task, metric, store=tmp_path / "store")
        return found.computed, found.found, found.accuracy

    first = run()
    assert first[0] == 3  # a row for each picture, not one for each pair
    assert run() == (0, first[0], first[2])
    assert run(normalize=False)[:2] == (first[0], 0)
    file = ensemble[0] / "dino/preprocessor_config.json"
    kept = file.read_text()
    change(file, image_std=[0.3, 0.3, 0.3])
    assert run()[:2] == (first[0], 0)
    file.write_text(kept)
    assert run()[:2] == (0, first[0])
