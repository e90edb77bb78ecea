"""What is set beside what: each group makes rows of two callables that do the same work, and their difference."""

import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import unisim

MEAN, STD = (
    np.array([0.48145466, 0.4578275, 0.40821073], np.float32),
    np.array([0.26862954, 0.26130258, 0.27577711], np.float32),
)


@dataclass
class Row:
    group: str
    work: str
    peer: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    difference: Callable[[], str]
    rounds: int | None = None


@dataclass
class Fact:
    """What is measured once and has no peer."""

    group: str
    work: str
    said: str


def photograph(width, height, seed=0):
    """A picture with edges and texture, so that codecs and filters do real work."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noisy = smooth + random.integers(-12, 13, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def equal_pixels(ours, theirs):
    return lambda: f"max difference {int(np.abs(ours().astype(int) - theirs().astype(int)).max())} levels"


def decode():
    for form, options in (("JPEG", {"quality": 90}), ("PNG", {}), ("WEBP", {"quality": 90})):
        for width, height in ((500, 375), (1920, 1080)):
            data = encoded(photograph(width, height), form, **options)

            def ours(data=data):
                return unisim.Image.decode(data).numpy() if hasattr(unisim.Image, "decode") else read(data)

            def theirs(data=data):
                return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

            yield Row(
                "decode", f"{form} {width}x{height}", "Pillow", ours, theirs, equal_pixels(ours, theirs)
            )


def read(data):
    return unisim.read_image(data).numpy()


def resize():
    for width, height in ((500, 375), (1920, 1080)):
        pillow = photograph(width, height)
        image = unisim.read_image(encoded(pillow, "PNG"))
        short = 224 / min(width, height)
        size = (max(224, int(width * short)), max(224, int(height * short)))

        def ours(image=image, size=size):
            return unisim.resize(image, size).numpy()

        def theirs(pillow=pillow, size=size):
            return np.asarray(pillow.resize(size, Image.Resampling.BICUBIC))

        yield Row(
            "resize",
            f"{width}x{height} to {size[0]}x{size[1]} bicubic",
            "Pillow",
            ours,
            theirs,
            equal_pixels(ours, theirs),
        )
    yield from preprocess()


def preprocess():
    """Resize, crop and normalise for CLIP: ours through an encoder, theirs Pillow and numpy."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = unisim.Encoder.load(clip_folder(folder, layers=1))
        for width, height in ((500, 375), (1920, 1080)):
            pillow = photograph(width, height)
            image = unisim.read_image(encoded(pillow, "PNG"))
            short = 224 / min(width, height)
            size = (max(224, int(width * short)), max(224, int(height * short)))

            def theirs(pillow=pillow, size=size):
                resized = pillow.resize(size, Image.Resampling.BICUBIC)
                left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
                pixels = np.asarray(resized.crop((left, top, left + 224, top + 224)), np.float32) / 255
                return ((pixels - MEAN) / STD).transpose(2, 0, 1)

            def ours(image=image):
                return encoder.preprocess([image])[0].numpy()

            def difference(ours=ours, theirs=theirs):
                return f"max difference {np.abs(ours() - theirs()).max():.1e}"

            yield Row(
                "resize",
                f"{width}x{height} to CLIP's 224x224 floats",
                "Pillow + numpy",
                ours,
                theirs,
                difference,
            )


def clip_folder(folder, layers=12):
    """CLIP ViT-B/32's shape with seeded random weights, image tower alone."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=layers,
        num_attention_heads=12,
        patch_size=32,
    )
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    return folder


def tokenize():
    from tokenizers import Tokenizer

    lines = [
        f"a photograph of {k} red cups on the kitchen table, taken in {1900 + k} by someone else's camera"
        for k in range(500)
    ]
    for name, file in tokenizer_files().items():
        mine, peer = unisim.Tokenizer.load(file), Tokenizer.from_file(str(file))

        def ours(mine=mine):
            return [mine.encode(line) for line in lines]

        def theirs(peer=peer):
            return [peer.encode(line).ids for line in lines]

        def difference(ours=ours, theirs=theirs):
            return (
                f"{sum(a != b for a, b in zip(ours(), theirs(), strict=True))} of {len(lines)} lines differ"
            )

        yield Row(
            "tokenize", f"{name}, {len(lines)} lines, one at a time", "tokenizers", ours, theirs, difference
        )


def tokenizer_files():
    """The tokenizer.json files of the test data, where they are."""
    import os

    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("UNISIM_TEST_DATA", root.parent / "shared" / "data")) / "tokenizers"
    files = {file.parent.name: file for file in sorted(folder.glob("*/tokenizer.json"))}
    if not files:
        print("tokenize: skipped, no tokenizer.json at hand (set UNISIM_TEST_DATA)")
    return files


def embed():
    from transformers import CLIPVisionModelWithProjection

    with tempfile.TemporaryDirectory() as folder:
        clip_folder(folder)
        encoder = unisim.Encoder.load(folder)
        model = CLIPVisionModelWithProjection.from_pretrained(folder).eval()
        for batch in (1, 8):
            pixels = torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(1))

            def ours(pixels=pixels):
                return encoder.embed_pixels(pixels)

            def theirs(pixels=pixels):
                with torch.inference_mode():
                    return torch.nn.functional.normalize(model(pixel_values=pixels).image_embeds, dim=1)

            def difference(ours=ours, theirs=theirs):
                return f"least cosine {torch.nn.functional.cosine_similarity(ours(), theirs()).min():.7f}"

            yield Row(
                "embed", f"ViT-B/32 fp32, batch {batch}", "transformers eager", ours, theirs, difference
            )


def cosine():
    random = torch.Generator().manual_seed(2)
    a, b = torch.randn(2000, 768, generator=random), torch.randn(1500, 768, generator=random)

    def ours():
        return unisim.cosine(a, b)

    def theirs():
        return torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T

    def difference():
        exact = (
            torch.nn.functional.normalize(a.double(), dim=1)
            @ torch.nn.functional.normalize(b.double(), dim=1).T
        )
        return f"error to double: ours {(ours() - exact).abs().max():.0e}, theirs {(theirs() - exact).abs().max():.0e}"

    yield Row("cosine", "2000 x 1500 rows of 768", "torch fp32 product", ours, theirs, difference)


def pairs():
    random = torch.Generator().manual_seed(3)
    n = 4000
    base = torch.randn(n // 2, 384, generator=random)
    alike = torch.cat([base, base + 0.2 * torch.randn(n // 2, 384, generator=random)])
    apart = torch.randn(n, 384, generator=random)

    def ours():
        found = unisim.mine_blind_pairs(alike, apart)
        return list(zip(found.i.tolist(), found.j.tolist(), strict=True))

    def theirs():
        a, b = (torch.nn.functional.normalize(rows, dim=1) for rows in (alike, apart))
        hits = []
        for top in range(0, n, 512):
            kept = (a[top : top + 512] @ a[top:].T > 0.95) & (b[top : top + 512] @ b[top:].T < 0.6)
            i, j = kept.nonzero(as_tuple=True)
            hits += [(x + top, y + top) for x, y in zip(i.tolist(), j.tolist(), strict=True) if x < y]
        return sorted(hits)

    def difference():
        return f"{len(set(ours()) ^ set(theirs()))} pairs differ of {len(ours())}"

    yield Row(
        "pairs", f"{n} images, 384 + 384 dimensions", "torch fp32, blocked triangle", ours, theirs, difference
    )


TRANSFORMERS_START = """
import sys, torch
from PIL import Image
from transformers import AutoImageProcessor, CLIPVisionModelWithProjection
model = CLIPVisionModelWithProjection.from_pretrained(sys.argv[1]).eval()
processor = AutoImageProcessor.from_pretrained(sys.argv[1], backend="pil")
with torch.inference_mode():
    model(**processor(Image.open(sys.argv[2]), return_tensors="pt")).image_embeds.numpy()
"""


def start():
    """A whole process: from nothing to the embedding of one image."""
    with tempfile.TemporaryDirectory() as folder:
        model = clip_folder(Path(folder) / "model")
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        picture = pictures / "one.png"
        photograph(500, 375).save(picture)
        unisim_command = Path(sys.executable).with_name("unisim")

        def ours():
            command = [unisim_command, "embed", model, pictures, "-o", Path(folder) / "one.npy", "--quiet"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        def theirs():
            command = [sys.executable, "-c", TRANSFORMERS_START, model, picture]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        yield Row(
            "start", "process start to one B/32 embedding", "transformers", ours, theirs, lambda: "", rounds=5
        )


GROUPS = {
    "decode": decode,
    "resize": resize,
    "tokenize": tokenize,
    "embed": embed,
    "cosine": cosine,
    "pairs": pairs,
    "start": start,
}
