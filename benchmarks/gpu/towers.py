"""G1: image towers with random weights, ours beside transformers': one line of JSON a row.

    python benchmarks/gpu/towers.py [--tiny] [--device cuda] [--seconds N]

Each model is made by transformers, saved, and loaded by both; bf16, pixels already on the device. A row says images per
second at one batch, and the smallest cosine of its rows to transformers' in fp32. Without a GPU (--device cpu --tiny) it
runs every line but gives no times.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers
from torch.nn import functional

import unisim

transformers.utils.logging.disable_progress_bar()

LEAST_COSINE = 0.9999
FARTHER = 1.5  # else we may be so many times as far from fp32 as transformers' own bf16
CLIP = {  # patch, side, width, layers, heads, projection
    "CLIP B/32": (32, 224, 768, 12, 12, 512),
    "CLIP B/16": (16, 224, 768, 12, 12, 512),
    "CLIP L/14": (14, 224, 1024, 24, 16, 768),
    "CLIP L/14-336": (14, 336, 1024, 24, 16, 768),
}
DINO = {"DINOv2 B/14": (14, 224, 768, 12, 12), "DINOv2 L/14": (14, 224, 1024, 24, 16)}
TINY_CLIP, TINY_DINO = {"CLIP tiny": (14, 28, 64, 2, 1, 32)}, {"DINOv2 tiny": (14, 28, 64, 2, 1)}


def clip_model(patch, side, width, layers, heads, projection):
    return transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads,
            patch_size=patch, image_size=side, projection_dim=projection,
        )
    )  # fmt: skip


def dino_model(patch, side, width, layers, heads):
    return transformers.Dinov2Model(
        transformers.Dinov2Config(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, patch_size=patch, image_size=side,
        )
    )  # fmt: skip


def saved(model, side, folder):
    model.save_pretrained(folder)
    preprocessor = {
        "do_resize": True, "size": {"shortest_edge": side}, "do_center_crop": True,
        "crop_size": {"height": side, "width": side}, "resample": 3, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_convert_rgb": True,
        "image_processor_type": "CLIPImageProcessor" if hasattr(model, "visual_projection") else "BitImageProcessor",
    }  # fmt: skip
    (Path(folder) / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def rows_of(model, pixels):
    out = model(pixel_values=pixels)
    return out.image_embeds if hasattr(out, "image_embeds") else out.last_hidden_state[:, 0]


def least_cosine(rows, exact):
    return functional.cosine_similarity(rows[: len(exact)].double().cpu(), exact.double().cpu()).min().item()


def say(**row):
    print(json.dumps({"group": "G1"} | row), flush=True)


class Towers:
    def __init__(self, device, tiny, seconds):
        self.device, self.tiny, self.timed = device, tiny, device == "cuda"
        self.batches = (1, 2) if tiny else (1, 8, 64, 256, 1024)
        self.ends = time.monotonic() + seconds
        self.well = True

    def left(self):
        return self.ends - time.monotonic()

    def median_ms(self, call):
        """Of twenty calls, of fewer where they would take over a second."""
        if not self.timed:
            return None

        def once():
            torch.cuda.synchronize()
            start = time.perf_counter()
            call()
            torch.cuda.synchronize()
            return 1e3 * (time.perf_counter() - start)

        once(), once()  # warm up
        rounds = max(5, min(20, int(1000 / once())))
        return sorted(once() for _ in range(rounds))[rounds // 2]

    def row(self, name, batch, who, call, exact, peer=None):
        """Prints one row; its least cosine. `peer` is transformers' own, which ours may not fall far behind."""
        row = {"work": f"{name} batch={batch}", "who": who, "items": batch, "ms": None}
        cosine = None
        try:
            cosine = least_cosine(call(), exact)
            row |= {"ms": self.median_ms(call), "least_cosine": cosine, "ok": True}
            if who == "unisim":
                row["ok"] = cosine >= LEAST_COSINE or (
                    peer is not None and 1 - cosine <= FARTHER * (1 - peer)
                )
        except (RuntimeError, MemoryError) as error:
            row |= {"ok": who != "unisim", "error": str(error).splitlines()[0][:200]}
        self.well = self.well and row["ok"]
        say(**row)
        return cosine

    def model(self, name, make, shape):
        """Both at every batch, then transformers' compiled at two: each costs a minute to make."""
        torch.manual_seed(1)
        reference, side = make(*shape).eval(), shape[1]
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            encoder = unisim.Encoder.load(
                saved(reference, side, folder), device=self.device, dtype="bfloat16", executor="fused"
            )
            say(work=name, who="unisim", executor=encoder.executor, ok=True)
            pixels = torch.randn(max(self.batches), 3, side, side, device=self.device)
            exact = rows_of(reference.to(self.device), pixels[:32])
            half = reference.to(torch.bfloat16)
            for batch in self.batches:
                if self.left() > 0:
                    self.beside(name, encoder, half, pixels[:batch], exact[:batch])
            for batch in (self.batches[0], self.batches[len(self.batches) // 2]):
                if self.left() > (60 if self.timed else 0):
                    self.compiled(name, half, pixels[:batch], exact[:batch])

    def beside(self, name, encoder, half, pixels, exact):
        batch, theirs = len(pixels), pixels.to(torch.bfloat16)
        peer = self.row(name, batch, "transformers", lambda: rows_of(half, theirs), exact)
        ours = lambda: encoder.embed_pixels(pixels, batch_size=batch, normalize=False)
        self.row(name, batch, "unisim", ours, exact, peer)

    def compiled(self, name, half, pixels, exact):
        torch.compiler.reset()
        options = {"mode": "max-autotune"} if self.timed else {"backend": "eager"}
        model, theirs = torch.compile(half, dynamic=False, **options), pixels.to(torch.bfloat16)
        self.row(name, len(pixels), "transformers compiled", lambda: rows_of(model, theirs), exact)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seconds", type=float, default=600)
    given = parser.parse_args()
    towers = Towers(given.device, given.tiny, given.seconds)
    models = [
        (clip_model, TINY_CLIP if given.tiny else CLIP),
        (dino_model, TINY_DINO if given.tiny else DINO),
    ]
    for make, shapes in models:
        for name, shape in shapes.items():
            if towers.left() > 0:
                towers.model(name, make, shape)
            else:
                say(work=name, who="unisim", ms=None, ok=True, skipped="out of time")
    return 0 if towers.well else 1


if __name__ == "__main__":
    sys.exit(main())
