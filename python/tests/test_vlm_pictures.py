"""Pictures on their way into a vision-language model: tiles, pixels and rows, against transformers on small folders."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

import tiny_vlm_parts
import tiny_vlms
import unisim

# Width and height: multiples, primes, tiny, long, large. Of 36 x 45, on one tile of 44, Python's ceil makes a column more
# than the fraction would; of 49 x 147 only round(x, 7) makes a whole number.
SHAPES = [
    (75, 50),
    (40, 61),
    (133, 44),
    (51, 170),
    (60, 60),
    (44, 44),
    (1, 9),
    (300, 20),
    (20, 300),
    (263, 265),
]
SHAPES += [
    (500, 333),
    (56, 112),
    (21, 33),
    (64, 27),
    (97, 89),
    (1, 1),
    (600, 800),
    (85, 136),
    (264, 132),
    (7, 640),
]
GROUPS = [SHAPES[:2], SHAPES[2:5], [SHAPES[7], SHAPES[8], SHAPES[5], SHAPES[6]]]

# What float32 leaves of rows that transformers computes in float64, relative to their length.
ROWS = 1e-4


def noise(width, height):
    rng = np.random.default_rng(width * 10_007 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def apart(ours, theirs):
    """Relative distance of two sets of rows."""
    theirs = theirs.double()
    return float((ours.double() - theirs).norm() / theirs.norm())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each small folder, made when it is first asked for, with both readers of it."""
    known = {}

    def of(name):
        if name not in known:
            theirs = tiny_vlms.make(name, tmp_path_factory.mktemp("vlm") / name)
            known[name] = theirs, unisim.Vlm.load(theirs.folder)
        return known[name]

    return of


@pytest.mark.parametrize("name", tiny_vlms.NAMES)
def test_pixels_and_rows_are_those_of_transformers(made, name):
    theirs, ours = made(name)
    farthest = 0.0
    for shapes in [[shape] for shape in SHAPES] + GROUPS:
        pictures = [noise(*shape) for shape in shapes]
        expected = theirs.pixels(pictures)
        found = ours.preprocess(pictures)
        assert [tuple(x.shape) for x in found] == [x.shape for x in expected]
        for x, y in zip(found, expected, strict=True):
            assert np.abs(x.numpy() - y).max() <= 1e-6  # one rounding of a float of about 2.6
        rows = theirs.rows(pictures)
        features = ours.image_features(pictures)
        assert [tuple(x.shape) for x in features] == [tuple(y.shape) for y in rows]
        farthest = max([farthest, *(apart(x, y) for x, y in zip(features, rows, strict=True))])
    assert 0 < farthest < ROWS


def test_every_branch_of_the_tile_rules_occurs(made):
    """Counted on transformers' side, so that the shapes above are known to try each."""
    onevision, internvl = made("onevision")[0], made("internvl")[0]
    seen = Counter()
    for width, height in SHAPES:
        pixels = onevision.inputs([noise(width, height)])["pixel_values"][0]
        tiles = len(pixels) - 1
        rows = len(onevision.rows([noise(width, height)])[0])
        grid, kept = grid_of(width, height), rows - 9
        assert grid[0] * grid[1] == tiles
        map_ratio, ratio = grid[1] / grid[0], width / height
        seen["wider" if ratio > map_ratio else "higher" if ratio < map_ratio else "as the grid"] += 1
        seen["one tile" if tiles == 1 else "several tiles"] += 1
        # The whole map would have this many rows, newlines included.
        whole = 9 * tiles + 3 * grid[0]
        seen["whole map" if kept == whole else "less than the map"] += 1
        seen["shrunk" if unpadded(width, height, grid) > 1.1**2 * 9 * 9 else "not shrunk"] += 1
        count = len(internvl.inputs([noise(width, height)])["pixel_values"])
        seen["internvl, one" if count == 1 else "internvl, thumbnail"] += 1
    assert set(seen) == {
        "wider", "higher", "as the grid", "one tile", "several tiles", "whole map", "less than the map",
        "shrunk", "not shrunk", "internvl, one", "internvl, thumbnail",
    }  # fmt: skip
    assert min(seen.values()) >= 1, seen


def grid_of(width, height):
    grids = tiny_vlm_parts.grids()
    best = transformers.image_processing_utils.select_best_resolution((height, width), grids)
    return best[0] // tiny_vlm_parts.SIGLIP_SIDE, best[1] // tiny_vlm_parts.SIGLIP_SIDE


def unpadded(width, height, grid):
    rows, columns = 3 * grid[0], 3 * grid[1]
    map_of = transformers.models.llava_onevision.modeling_llava_onevision.unpad_image
    left = map_of(torch.zeros(1, rows, columns), (height, width))
    return left.shape[1] * left.shape[2]


@pytest.mark.parametrize("name", tiny_vlms.NAMES)
def test_two_pictures_that_change_places_are_told_apart(made, name):
    theirs, ours = made(name)
    pictures = tiny_vlms.pictures(2)
    prompt = "<image>\n<image>\nWhich is sharper?"
    rows = [theirs.logits(theirs.ids(prompt, x), x)[-1].softmax(-1) for x in (pictures, pictures[::-1])]
    assert (rows[0] - rows[1]).abs().max() > 1e-3
    first, second = ours.image_features(pictures)
    turned = ours.image_features(pictures[::-1])
    assert torch.equal(turned[0], second) and torch.equal(turned[1], first)


# ---- spellings, and what is not there ------------------------------------------------------------------------------


def renamed(source, folder, rename):
    shutil.copytree(source, folder)
    tensors = {rename(name): tensor for name, tensor in load_file(source / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def older(name):
    """transformers 4's folders: CLIP's and SigLIP's towers have a part more in their names."""
    return name.replace("vision_tower.", "vision_tower.vision_model.", 1) if "encoder.layers" in name or (
        name.startswith("vision_tower.") and "encoder." not in name and "cls_token" not in name
    ) else name  # fmt: skip


def class_spelling(name):
    """As the classes have named their parts since 4.52."""
    if name == "language_model.lm_head.weight":
        return "lm_head.weight"
    if name.startswith("language_model.model."):
        return "model.language_model." + name.removeprefix("language_model.model.")
    return "model." + name


def class_spelling_of_older(name):
    return class_spelling(older(name))


WITH_MODEL = ("llava", "interleave", "onevision")  # towers with vision_model. in older names


@pytest.mark.parametrize("name", ("llava", "interleave", "onevision", "internvl", "internvl_phi3"))
def test_every_spelling_of_the_names_gives_the_same_bits(made, name, tmp_path):
    theirs, ours = made(name)
    pictures = tiny_vlms.pictures(2)
    spellings = [class_spelling, *((older, class_spelling_of_older) if name in WITH_MODEL else ())]
    prompt = "<image><image>Which?"
    expected, logits = ours.image_features(pictures), ours.logits(pictures, prompt)
    for k, spelling in enumerate(spellings):
        folder = renamed(theirs.folder, tmp_path / str(k), spelling)
        assert set(load_file(folder / "model.safetensors")) != set(
            load_file(theirs.folder / "model.safetensors")
        )
        again = unisim.Vlm.load(folder)
        for x, y in zip(again.image_features(pictures), expected, strict=True):
            assert torch.equal(x, y)
        assert torch.equal(again.logits(pictures, prompt), logits)


def without(source, folder, *parts, **more):
    shutil.copytree(source, folder)
    tensors = load_file(source / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not any(part in name for part in parts)}
    assert not parts or len(kept) < len(tensors)
    save_file(kept | more, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_blocks_behind_the_chosen_one_and_the_last_norm_are_not_needed(made, tmp_path):
    theirs, ours = made("llava")
    picture = tiny_vlms.pictures(1)
    less = unisim.Vlm.load(without(theirs.folder, tmp_path / "less", "encoder.layers.3.", "post_layernorm"))
    assert torch.equal(less.image_features(picture)[0], ours.image_features(picture)[0])


@pytest.mark.parametrize(
    "name, missing, said",
    [
        ("llava", "multi_modal_projector.", "projector"),
        ("llava", "vision_tower.", "image tower"),
        ("llava", "encoder.layers.2.mlp.fc1.bias", "encoder.layers.2.mlp.fc1.bias"),
        ("onevision", "image_newline", "image_newline"),
        ("interleave_newline", "image_newline", "image_newline"),
        ("internvl", "multi_modal_projector.layer_norm.bias", "layer_norm.bias"),
        ("internvl", "lambda_1", "lambda_1"),
        ("mof_interleaved", "second_multi_modal_projector.", "second_multi_modal_projector"),
        ("mof_additive", "second_vision_tower.", "second_vision_tower"),
    ],
)
def test_a_part_that_is_missing_is_named(made, name, missing, said, tmp_path):
    with pytest.raises(ValueError, match="is missing") as error:
        unisim.Vlm.load(without(made(name)[0].folder, tmp_path / "less", missing))
    assert said in str(error.value)


@pytest.mark.parametrize(
    "name, tensor",
    [
        ("llava", "vision_tower.encoder.layers.1.layer_scale"),
        ("llava", "image_newline"),
        ("llava", "multi_modal_projector.layer_norm.weight"),
        ("mof_additive", "second_multi_modal_projector.linear_1.weight"),
        ("internvl", "vision_tower.layernorm.weight"),
        ("interleave", "vision_towers.patch"),
    ],
)
def test_a_tensor_that_has_no_place_is_refused(made, name, tensor, tmp_path):
    folder = without(made(name)[0].folder, tmp_path / "more", **{tensor: torch.ones(48)})
    with pytest.raises(ValueError, match="has no place"):
        unisim.Vlm.load(folder)


# ---- what folders may say besides ----------------------------------------------------------------------------------


def edited(source, folder, file, *path, **more):
    shutil.copytree(source, folder)
    json_of = json.loads((folder / file).read_text())
    inner = json_of
    for key in path:
        inner = inner[key]
    inner |= more
    (folder / file).write_text(json.dumps(json_of))
    return folder


def test_llavas_own_processor_squares_pictures_first(made, tmp_path):
    theirs, _ = made("llava")
    kind = {"image_processor_type": "LlavaImageProcessor", "do_pad": True}
    folder = edited(theirs.folder, tmp_path / "padded", "processor_config.json", "image_processor", **kind)
    side = tiny_vlm_parts.CLIP_SIDE
    processor = LlavaImageProcessorPil(
        do_pad=True, size={"shortest_edge": side}, crop_size={"height": side, "width": side},
        image_mean=tiny_vlm_parts.MEAN, image_std=tiny_vlm_parts.STD,
    )  # fmt: skip
    ours = unisim.Vlm.load(folder)
    for shape in SHAPES:
        picture = noise(*shape)
        expected = np.asarray(processor(images=[picture])["pixel_values"][0])
        assert np.abs(ours.preprocess([picture])[0][0].numpy() - expected).max() <= 1e-6


def test_several_layers_with_the_class_token_stand_side_by_side(made, tmp_path):
    theirs, _ = made("llava")
    config = transformers.LlavaConfig.from_pretrained(theirs.folder)
    config.vision_feature_layer, config.vision_feature_select_strategy = [-2, 1, 4], "full"
    config.multimodal_projector_bias = False
    model = tiny_vlm_parts.randomize(transformers.LlavaForConditionalGeneration(config), 3)
    shutil.copytree(theirs.folder, tmp_path / "several")
    model.save_pretrained(tmp_path / "several")
    pictures = tiny_vlms.pictures(2)
    with torch.no_grad():
        pixels = torch.from_numpy(np.concatenate(theirs.pixels(pictures))).double()
        expected = model.double().get_image_features(pixels).pooler_output
    for x, y in zip(unisim.Vlm.load(tmp_path / "several").image_features(pictures), expected, strict=True):
        assert x.shape == (10, 48)
        assert apart(x, y) < ROWS


def test_positions_of_internvl_are_resized_to_another_tile(made, tmp_path):
    theirs, _ = made("internvl")
    size = {"height": 84, "width": 84}
    folder = edited(theirs.folder, tmp_path / "larger", "processor_config.json", "image_processor", size=size)
    ours = unisim.Vlm.load(folder)
    picture = noise(75, 50)
    inputs = theirs.image_processor(images=[picture], crop_to_patches=True, size=size, return_tensors="pt")
    with torch.no_grad():
        rows = theirs.model.get_image_features(inputs["pixel_values"].double()).pooler_output.flatten(0, 1)
    found = ours.image_features([picture])[0]
    assert found.shape == rows.shape == (9 * len(inputs["pixel_values"]), 48)
    assert apart(found, rows) < ROWS


@pytest.mark.parametrize("name", ("onevision", "internvl", "mof_additive"))
def test_rows_in_bfloat16_are_as_near_as_those_of_transformers(made, name):
    theirs, _ = made(name)
    pictures = tiny_vlms.pictures(3)
    ours = unisim.Vlm.load(theirs.folder, dtype="bfloat16")
    ratios = []
    for picture in pictures:
        exact = theirs.rows([picture])[0]
        found = ours.image_features([picture])[0]
        assert found.dtype == torch.bfloat16
        ratios.append(apart(found, exact))
    # Three blocks and a projector of numbers with eight bits each.
    assert 1e-4 < max(ratios) < 0.03


def test_bits_depend_on_the_picture_alone_but_for_onevision(made):
    for name in ("llava", "internvl", "interleave_newline", "mof_interleaved"):
        ours = made(name)[1]
        pictures = [noise(*shape) for shape in SHAPES[:3]]
        together = ours.image_features(pictures)
        for picture, rows in zip(pictures, together, strict=True):
            assert torch.equal(ours.image_features([picture])[0], rows)
    ours = made("onevision")[1]
    assert (
        len(ours.image_features([noise(75, 50)])[0]) > len(ours.image_features([noise(75, 50)] * 2)[0]) == 10
    )
