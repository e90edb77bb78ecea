"""Torch on the work of kernels_on_device.cpp, eager and compiled: one line of JSON a row, named by the same words.

    python benchmarks/gpu/peers.py [--tiny] [--device cuda] [GROUP...]

Without a GPU (--device cpu --tiny) it runs every line but gives no times.
"""

import argparse
import json
import sys
import time

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Bench:
    """Where and how long to measure; prints a row as soon as it has it."""

    def __init__(self, device, seconds):
        self.device = device
        self.timed = device == "cuda"
        self.ends = time.monotonic() + seconds
        torch.manual_seed(1)

    def median_ms(self, call, rounds=25):
        for _ in range(3 if self.timed else 0):
            call()
        if not self.timed:
            call()
            return None
        marks = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(rounds)]
        for start, end in marks:
            start.record()
            call()
            end.record()
        torch.cuda.synchronize()
        return sorted(start.elapsed_time(end) for start, end in marks)[rounds // 2]

    def row(self, group, work, who, call, **counts):
        if time.monotonic() > self.ends:
            result = {"ms": None, "ok": True, "skipped": "out of time"}
        else:
            try:
                result = {"ms": self.median_ms(call), "ok": True}
            except (
                RuntimeError,
                NotImplementedError,
            ) as error:  # a backend that this device or build has not
                result = {"ms": None, "ok": True, "skipped": str(error).splitlines()[0][:200]}
        print(json.dumps({"group": group, "work": work, "who": who} | counts | result), flush=True)

    def both(self, group, work, call, *given, **counts):
        """Eager, then compiled: without a GPU the compiler only traces."""
        self.row(group, work, "torch", lambda: call(*given), **counts)
        options = {"mode": "max-autotune-no-cudagraphs"} if self.timed else {"backend": "eager"}
        compiled = torch.compile(call, dynamic=False, **options)
        self.row(group, work, "torch compiled", lambda: compiled(*given), **counts)
        torch.compiler.reset()


def pairs(bench, tiny):
    """Thresholded products in row blocks of the upper triangle, and the bare product of the same shape."""
    rows = 150 if tiny else 32768
    for width in (128,) if tiny else (768, 192, 128):
        x = functional.normalize(torch.rand(rows, width, device=bench.device) - 0.5).half()
        flop, shape = rows * rows * width, f"rows={rows} width={width}"

        def above(x=x, step=4096):
            return [
                torch.nonzero(torch.triu(x[k : k + step] @ x[k:].T > 0.9, diagonal=1))
                for k in range(0, len(x), step)
            ]

        bench.row("G4", f"pairs f16 {shape}", "torch in blocks", above, flop=flop)
        bench.row("G4", f"pairs f16 {shape}", "product alone", lambda x=x: x @ x.T, flop=2 * flop)
        q = (x.float() * 127).round().to(torch.int8)
        bench.row(
            "G4", f"pairs int8 {shape}", "product alone", lambda q=q: torch._int_mm(q, q.T), flop=2 * flop
        )


def pictures(bench, tiny):
    """Resize with antialias, crop, normalise, patches: torchvision's and torch's own."""
    from torchvision.transforms import v2

    mean, std = (torch.tensor(v, device=bench.device).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))

    def patches(x, patch=14):
        x = (x.float() / 255 - mean) / std
        n, c, h, w = x.shape
        x = x.view(n, c, h // patch, patch, w // patch, patch).permute(0, 2, 4, 1, 3, 5)
        return x.reshape(n * (h // patch) * (w // patch), -1).bfloat16()

    for width, height, items, side in (
        [(45, 36, 2, 28)] if tiny else [(500, 375, 64, 224), (1920, 1080, 16, 224)]
    ):
        x = torch.randint(0, 256, (items, 3, height, width), dtype=torch.uint8, device=bench.device)
        resize = v2.Resize(side, v2.InterpolationMode.BICUBIC, antialias=True)
        crop = v2.CenterCrop(side)
        high, wide = height * side // min(width, height), width * side // min(width, height)

        def torchvision(x=x, resize=resize, crop=crop):
            return patches(crop(resize(x)))

        def interpolate(x=x, high=high, wide=wide, crop=crop):
            y = functional.interpolate(x.float(), (high, wide), mode="bicubic", antialias=True)
            return patches(crop(y.round().clamp(0, 255)))

        work = f"pictures {width}x{height} items={items}"
        bench.row("G5", work, "torchvision", torchvision, items=items)
        bench.row("G5", work, "torch interpolate", interpolate, items=items)


def mixtures(bench, tiny):
    tokens, width = (9, 40) if tiny else (32 * 576, 4096)
    a, b = (torch.randn(tokens, width, device=bench.device).bfloat16() for _ in range(2))
    one, shape = a.numel() * 2, f"bf16 tokens={tokens} width={width}"
    out = torch.empty_like(a)
    bench.row("G7", f"copy {shape}", "torch", lambda: out.copy_(a), bytes=2 * one)
    bench.both("G7", f"additive_mof {shape}", lambda a, b: 0.3 * a + 0.7 * b, a, b, bytes=3 * one)
    bench.both(
        "G7",
        f"interleaved_mof {shape}",
        lambda a, b: torch.stack((a, b), 1).flatten(0, 1),
        a,
        b,
        bytes=4 * one,
    )
    bench.both("G7", f"cosine_rows {shape}", functional.cosine_similarity, a, b, bytes=2 * one)


def attentions(bench, tiny):
    cases = [(1, 2, 50, 64)] if tiny else [(64, 16, t, d) for t in (50, 197, 257, 577, 729) for d in (64, 72)]
    backends = {
        "SDPA flash": SDPBackend.FLASH_ATTENTION,
        "SDPA cuDNN": SDPBackend.CUDNN_ATTENTION,
        "SDPA efficient": SDPBackend.EFFICIENT_ATTENTION,
    }
    for items, heads, tokens, width in cases:
        q, k, v = (
            torch.randn(items, tokens, heads, width, device=bench.device).bfloat16().transpose(1, 2)
            for _ in range(3)
        )
        work = f"attention bf16 items={items} heads={heads} tokens={tokens} width={width}"
        flop = 4 * items * heads * tokens * tokens * width
        for who, backend in backends.items():

            def call(q=q, k=k, v=v, backend=backend):
                with sdpa_kernel(backend):
                    return functional.scaled_dot_product_attention(q, k, v)

            bench.row("G9", work, who, call, flop=flop)
    packed = [(2, 2, 1, 40, 5, 64)] if tiny else [(16, 32, 8, 1500, own, 96) for own in (1, 64, 512)]
    for items, heads, kv_heads, prefix, own, width in packed:
        q, k, v = (
            torch.randn(items, n, tokens, width, device=bench.device).bfloat16()
            for n, tokens in ((heads, own), (kv_heads, prefix + own), (kv_heads, prefix + own))
        )  # torch has a copy of the prefix for each item
        work = f"packed attention bf16 items={items} heads={heads}/{kv_heads} prefix={prefix} own={own} width={width}"
        flop = 4 * items * heads * own * (prefix + (own + 1) / 2) * width
        mask = causal_lower_right(own, prefix + own)

        def call(q=q, k=k, v=v, mask=mask):
            return functional.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)

        bench.row("G9", work, "SDPA", call, flop=flop)


GROUPS = {"G4": pairs, "G5": pictures, "G7": mixtures, "G9": attentions}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], help="none: all")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seconds", type=float, default=600)
    given = parser.parse_args()
    bench = Bench(given.device, given.seconds)
    for group in given.groups or GROUPS:
        GROUPS[group](bench, given.tiny)
    return 0


if __name__ == "__main__":
    sys.exit(main())
