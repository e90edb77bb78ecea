"""Pictures on their way into an encoder: preprocessing, real weights, files that cannot be read."""

import io
import json
import math

import numpy as np
import open_clip
import pytest
import timm.data
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file

import unisim
from encoder_folders import FOLDERS
from encoder_models import OPEN_CLIP_TOWER, open_clip_folder, timm_folder

SIZES = [(90, 61), (61, 90), (47, 47), (300, 31), (20, 25), (33, 200), (101, 150)]  # width, height


@pytest.fixture(scope="module")
def pictures():
    """Smooth colour with fine noise, in sizes smaller and larger than what the towers take."""
    made = []
    for i, (width, height) in enumerate(SIZES):
        y, x = np.mgrid[0:height, 0:width]
        waves = [127 * (1 + np.sin(x / (3 + c + i) + y / (5 + 2 * c))) for c in range(3)]
        noise = np.random.default_rng(i).integers(-30, 30, (height, width, 3))
        made.append(Image.fromarray(np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)))
    return made


def changed(folder, name, **fields):
    file = folder / name
    config = json.loads(file.read_text())
    config.update(fields)
    file.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


HUGGING_FACE = {
    "clip": ("clip-vision", {}),
    "clip-bilinear-odd": ("clip-vision", {"resample": 2, "size": {"shortest_edge": 53}}),
    "clip-crop-larger-than-resize": ("clip-vision", {"size": {"shortest_edge": 31}}),
    "clip-lanczos-unscaled": (
        "clip-vision",
        {"resample": 1, "do_rescale": False, "image_mean": [120, 118, 104], "image_std": [60, 61, 62]},
    ),
    "clip-numbers": ("clip-vision", {"size": 44, "crop_size": 42}),
    "clip-rescaled-only": ("clip-vision", {"do_normalize": False, "rescale_factor": 0.0039}),
    "clip-exact": ("clip-vision", {"size": {"height": 50, "width": 45}}),
    "clip-unresized": ("clip-vision", {"do_resize": False}),
    "bit": ("dinov2", {}),
    "bit-defaults": ("dinov2", {"image_mean": None, "image_std": None, "resample": None}),
    "siglip": ("siglip-vision", {}),
    "siglip-nearest": ("siglip-vision", {"resample": 0}),
    "vit": ("vit-oblong", {"resample": None}),
    "vit-box": ("vit-oblong", {"resample": 4}),
    "vit-hamming-fast": ("vit-oblong", {"resample": 5, "image_processor_type": "ViTImageProcessorFast"}),
}


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_pixels_are_those_of_the_pillow_processor(name, tmp_path, pictures):
    kind, fields = HUGGING_FACE[name]
    FOLDERS[kind](tmp_path)
    changed(tmp_path, "preprocessor_config.json", **fields)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    theirs = processor(pictures, return_tensors="pt").pixel_values
    ours = unisim.Encoder.load(tmp_path).preprocess(pictures)
    # One rounding of values up to 255 / 60 in float.
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 1e-6 * max(1, theirs.abs().max().item() / 4)


def test_a_processor_that_transformers_5_saves_whole_is_read(tmp_path, pictures):
    FOLDERS["clip-vision"](tmp_path)
    before = unisim.Encoder.load(tmp_path).preprocess(pictures)
    file = tmp_path / "preprocessor_config.json"
    (tmp_path / "processor_config.json").write_text(
        json.dumps({"image_processor": json.loads(file.read_text()), "processor_class": "CLIPProcessor"})
    )
    file.unlink()
    assert torch.equal(unisim.Encoder.load(tmp_path).preprocess(pictures), before)


OPEN_CLIP = {
    "shortest": {},
    "shortest-bilinear": {"interpolation": "bilinear"},
    "shortest-oblong": {"size": [36, 54], "interpolation": "bilinear"},
    "squash": {"resize_mode": "squash"},
    "longest": {"resize_mode": "longest", "fill_color": 77},
    "longest-oblong": {"size": [36, 54], "resize_mode": "longest"},
}


@pytest.mark.parametrize("name", OPEN_CLIP)
def test_pixels_are_those_of_open_clip(name, tmp_path, pictures):
    fields = {"size": [45, 45], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]} | OPEN_CLIP[name]
    open_clip_folder(tmp_path, 1, vision=OPEN_CLIP_TOWER | {"image_size": fields["size"], "patch_size": 9})
    changed(tmp_path, "open_clip_config.json", preprocess_cfg=fields)
    transform = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**fields), is_train=False
    )
    theirs = torch.stack([transform(picture) for picture in pictures])
    assert (unisim.Encoder.load(tmp_path).preprocess(pictures) - theirs).abs().max() <= 1e-6


TIMM = {
    "center": {},
    "center-oblong": {"input_size": [3, 32, 64]},
    "squash": {"crop_mode": "squash", "crop_pct": 1.0, "interpolation": "bilinear"},
    "squash-cropped": {"crop_mode": "squash", "crop_pct": 0.83},
    "border": {"crop_mode": "border", "crop_pct": 0.9, "interpolation": "lanczos"},
    "defaults": {"crop_pct": None, "interpolation": None, "mean": None, "std": None, "crop_mode": None},
}


@pytest.mark.parametrize("name", TIMM)
def test_pixels_are_those_of_timm(name, tmp_path, pictures):
    image = TIMM[name].get("input_size", [3, 48, 48])[1:]
    timm_folder(
        tmp_path, 1, "vit_tiny_patch16_224", image=image, img_size=image, embed_dim=48, depth=1, num_heads=3
    )
    pretrained = json.loads((tmp_path / "config.json").read_text())["pretrained_cfg"] | TIMM[name]
    changed(tmp_path, "config.json", pretrained_cfg={k: v for k, v in pretrained.items() if v is not None})
    config = timm.data.resolve_data_config(pretrained_cfg=pretrained)
    transform = timm.data.create_transform(**config, is_training=False)
    theirs = torch.stack([transform(picture) for picture in pictures])
    assert (unisim.Encoder.load(tmp_path).preprocess(pictures) - theirs).abs().max() <= 1e-6


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dinov2")
    FOLDERS["dinov2"](folder)
    return unisim.Encoder.load(folder)


def test_a_picture_may_be_given_in_every_form(dinov2, pictures, tmp_path):
    picture = pictures[0]
    picture.save(tmp_path / "a.png")
    encoded = io.BytesIO()
    picture.save(encoded, "png")
    rows = dinov2.embed_images(
        [picture, np.asarray(picture), str(tmp_path / "a.png"), tmp_path / "a.png", encoded.getvalue()]
    )
    assert all(torch.equal(row, rows[0]) for row in rows)


def test_no_pictures_give_no_rows(dinov2):
    assert dinov2.embed_images([]).shape == (0, 48)
    assert dinov2.embed_files([])[0].shape == (0, 48)
    assert dinov2.preprocess([]).shape == (0, 3, 70, 70)
    assert dinov2.embed_pixels(torch.zeros(0, 3, 70, 70)).shape == (0, 48)
    assert dinov2.patch_tokens([]).shape == (0, 25, 48)


def test_rows_do_not_depend_on_their_batch(dinov2, pictures):
    one = dinov2.embed_images(pictures, batch_size=1)
    for batch_size in (2, 3, 100, None):
        assert torch.equal(dinov2.embed_images(pictures, batch_size=batch_size), one)
    pixels = dinov2.preprocess(pictures)
    for form in (
        pixels,
        pixels.double(),
        pixels.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
        pixels.numpy(),
    ):
        assert torch.equal(dinov2.embed_pixels(form), one)


def test_bad_files_change_nothing_for_the_others(dinov2, pictures, tmp_path):
    good, files = [], []
    for i, picture in enumerate(pictures):
        files.append(tmp_path / f"{i}.png")
        picture.save(files[-1])
        good.append(files[-1])
        files.append(tmp_path / f"{i}.bad")
        if i % 3 == 0:
            files[-1].write_bytes(good[-1].read_bytes()[:60])
        elif i % 3 == 1:
            files[-1].write_text("no picture")
    seen = []
    rows, index, failures = dinov2.embed_files(files, batch_size=3, progress=lambda *at: seen.append(at))
    assert index == list(range(0, len(files), 2))
    assert [failed[0] for failed in failures] == [str(file) for file in files[1::2]]
    assert all(file in error for file, error in failures)
    assert torch.equal(rows, dinov2.embed_files(good, batch_size=3)[0])
    assert torch.equal(rows, dinov2.embed_images(pictures))
    assert seen[-1] == (len(files), len(files)) and seen == sorted(seen)


def test_a_run_ends_when_progress_throws(dinov2, pictures, tmp_path):
    class Stop(Exception):
        pass

    def stop(done, total):
        raise Stop

    files = [tmp_path / f"{i}.png" for i in range(20)]
    for file in files:
        pictures[0].save(file)
    with pytest.raises(Stop):
        dinov2.embed_files(files, batch_size=2, progress=stop)
    with pytest.raises(Stop):
        dinov2.embed_images(pictures, progress=stop)


REFUSED = {
    "three dimensions": (lambda e: e.embed_pixels(torch.zeros(3, 70, 70)), "3 dimensions, expected 4"),
    "integers": (lambda e: e.embed_pixels(torch.zeros(1, 3, 70, 70, dtype=torch.uint8)), "floating"),
    "four channels": (lambda e: e.embed_pixels(torch.zeros(1, 4, 70, 70)), "3, height, width"),
    "not finite": (lambda e: e.embed_pixels(torch.full((1, 3, 70, 70), math.nan)), "NaN"),
    "a layer too many": (
        lambda e: e.embed_pixels(torch.zeros(1, 3, 70, 70), layer=4),
        "layer is 4, expected 0 to 3",
    ),
    "a layer below none": (lambda e: e.patch_tokens([], layer=-1), "layer is -1"),
    "an unknown pool": (lambda e: e.embed_images([], pool="max"), "max"),
    "no batch": (lambda e: e.embed_images([], batch_size=0), "batch_size"),
    "texts": (lambda e: e.embed_texts(["a"]), "no text tower"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_model_cannot_do_is_said(name, dinov2):
    call, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        call(dinov2)


def test_options_of_load_are_checked(tmp_path):
    FOLDERS["dinov2"](tmp_path)
    for options, error, said in (
        ({"executor": "best"}, ValueError, "executor"),
        ({"dtype": "float8"}, ValueError, "float8"),
        ({"dtype": "float16"}, ValueError, "float16 is for CUDA"),
        ({"device": "tpu"}, ValueError, "tpu"),
        ({"device": "meta"}, ValueError, "meta"),
    ):
        with pytest.raises(error, match=said):
            unisim.Encoder.load(tmp_path, **options)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="NVIDIA driver"):
            unisim.Encoder.load(tmp_path, device="cuda")
    with pytest.raises(ValueError, match="no-such-model"):
        unisim.Encoder.load("no-such-model")
    encoder = unisim.Encoder.load(tmp_path, executor="aten")
    assert (encoder.executor, encoder.device, encoder.dtype) == ("aten", "cpu", "float32")
    assert (encoder.name, encoder.family) == (tmp_path.name, "dinov2")
    assert "shortest edge to 80, bicubic" in encoder.facts["preprocessing"]


def photographs(data, count=6):
    return sorted(data("photos/kodak24").iterdir())[:count]


def test_real_dinov2_gives_the_rows_of_transformers(data):
    folder = data("models/dinov2_vits14_saliency")
    files = photographs(data)
    images = [Image.open(file).convert("RGB") for file in files]
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor(images, return_tensors="pt").pixel_values
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    encoder = unisim.Encoder.load(folder)
    assert (encoder.preprocess(files) - pixels).abs().max() <= 1e-6
    with torch.no_grad():
        theirs = torch.nn.functional.normalize(model(pixels).pooler_output, dim=-1)
    rows = encoder.embed_files(files)[0]
    assert (rows - theirs).abs().max() <= 1e-5
    half = unisim.Encoder.load(folder, dtype="bfloat16").embed_files(files)[0]
    assert (half * rows).sum(1).min() >= 0.999


def test_real_vit_gives_the_rows_of_timm(data):
    folder = data("models/vit_tiny_patch16_224")
    files = photographs(data)
    config = json.loads((folder / "config.json").read_text())
    transform = timm.data.create_transform(
        **timm.data.resolve_data_config(pretrained_cfg=config["pretrained_cfg"])
    )
    pixels = torch.stack([transform(Image.open(file).convert("RGB")) for file in files])
    model = timm.create_model(config["architecture"])
    model.load_state_dict(load_file(folder / "model.safetensors"))
    model.reset_classifier(0)
    encoder = unisim.Encoder.load(folder)
    assert (encoder.preprocess(files) - pixels).abs().max() <= 1e-6
    with torch.no_grad():
        theirs = torch.nn.functional.normalize(model.eval()(pixels), dim=-1)
    rows = encoder.embed_files(files)[0]
    assert (rows - theirs).abs().max() <= 1e-5
    half = unisim.Encoder.load(folder, dtype="bfloat16").embed_files(files)[0]
    assert (half * rows).sum(1).min() >= 0.999
