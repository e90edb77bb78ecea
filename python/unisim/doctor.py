"""Does this installation work? Facts about the machine, and small computations whose results are known."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Check:
    """One thing looked at: its name, whether it is as it should be, and what was found."""

    name: str
    ok: bool
    detail: str


def _check(name: str, look: Callable[[], str]) -> Check:
    """The check of a function that returns what it found, or raises."""
    try:
        return Check(name, True, look())
    except Exception as error:  # whatever is wrong is the finding
        return Check(name, False, f"{type(error).__name__}: {error}")


def machine() -> Iterator[Check]:
    """Versions, device, processor, cache folder."""
    from unisim.versions import versions

    for name, version in versions().items():
        yield Check(name, True, version)
    yield _check("processor", _processor)
    yield _check("CUDA device", _cuda)
    yield _check("cache", _cache)


def _processor() -> str:
    import torch

    return f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"


def _cuda() -> str:
    import torch

    from unisim import _core

    missing = _core.missing_for_cuda()
    if missing:
        return f"none: {missing}; the CPU computes"
    kernels = "the library's kernels" if _core.built_with_cuda else "LibTorch's operations: this build has no kernels"
    return f"{torch.cuda.get_device_name()}, by {kernels}"


def _cache() -> str:
    import os

    from unisim.cache import cache_folder

    folder = cache_folder()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    writable = os.access(existing, os.W_OK | os.X_OK)
    return f"{folder}{'' if writable else ' (read-only: unisim get cannot install)'}"


def self_test() -> Iterator[Check]:
    """Decode, resize and compare something small, and hold the results to numbers known beforehand."""
    yield _check("decode", _decode)
    yield _check("resize", _resize)
    yield _check("cosine", _cosine)
    yield _check("mine", _mine)
    for name in ("lpips-alex", "lpips-vgg"):
        from unisim.get import installed

        if installed(name):
            yield _check(name, partial(_lpips, name))


def made_png(rows: list[list[tuple[int, int, int]]]) -> bytes:
    """A PNG file of these pixels, made by hand."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2, 0, 0, 0)
    pixels = b"".join(b"\0" + bytes(value for pixel in row for value in pixel) for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    )


_PIXELS = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (9, 99, 199)]]


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise ValueError(f"{what}: found {found}, expected {expected}")


def _decode() -> str:
    import unisim

    image = unisim.resize(made_png(_PIXELS), (2, 2))  # which leaves it as it is
    _expect("pixels", image.numpy().tolist(), [[list(pixel) for pixel in row] for row in _PIXELS])
    return "a made PNG has its pixels"


def _resize() -> str:
    import unisim

    image = unisim.resize(made_png([[(0, 0, 0), (200, 100, 50)]]), (1, 1), resample="box")
    _expect("mean of two pixels", image.numpy().tolist(), [[[100, 50, 25]]])
    return "the mean of two pixels is right"


def _cosine() -> str:
    import torch

    import unisim

    found = unisim.cosine(torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0], [0.0, 0.0], [-3.0, -4.0]]))
    error = (found - torch.tensor([[0.96, 0.0, -1.0]])).abs().max().item()
    if not error <= 1e-6:
        raise ValueError(f"off by {error}")
    return "3-4-5 triangles agree"


def _mine() -> str:
    import torch

    import unisim

    alike, apart = torch.eye(3), torch.eye(3)
    alike[1] = alike[0]
    pairs = unisim.mine_blind_pairs(alike, apart)
    _expect("pairs", list(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)), [(0, 1)])
    return "the one pair alike to one side alone is found"


def _lpips(name: str) -> str:
    import numpy

    import unisim

    metric = unisim.metric(name)
    ramp = numpy.broadcast_to(numpy.arange(64, dtype=numpy.uint8)[:, None, None] * 4, (64, 64, 3)).copy()
    same, other = metric(ramp, ramp), metric(ramp, ramp[::-1].copy())
    if same != 0 or not 0 < other < 2:
        raise ValueError(f"distance to itself {same}, to its mirror {other}")
    return f"0 to itself, {other:.4f} to its mirror image"


def model(name: str) -> Iterator[Check]:
    """A model's files with their hashes, what it says about itself, and one embedding, or one question."""
    import unisim
    from unisim.model_folder import VLM_FAMILIES, describe
    from unisim.rows import hashes

    found = describe(name, Path(name))
    asked = found is not None and found.family in VLM_FAMILIES
    try:
        model = unisim.Vlm.load(name) if asked else unisim.Encoder.load(name)
    except Exception as error:
        yield Check(f"load {name}", False, f"{type(error).__name__}: {error}")
        return
    yield Check("folder", True, str(model.folder))
    for file, digest in hashes(Path(model.folder)).items():
        yield Check(file, True, f"sha256 {digest}")
    for fact, value in model.facts.items():
        # Without a template a question is refused until one is named: the folder is not as it should be.
        yield Check(fact, not (fact == "template" and value.startswith("unknown")), value)
    yield _check("choose", lambda: _choose(model)) if asked else _check("embed", lambda: _embed(model))


def _choose(vlm: Any) -> str:
    # As it stands, so that a folder whose template is not known is looked at too.
    choice = vlm.choose([made_png(_PIXELS)], "<image>\nIs it red?", ["Yes", "No"], template="raw")
    if not abs(sum(choice.probabilities) - 1) <= 1e-9:
        raise ValueError(f"probabilities sum to {sum(choice.probabilities)}")
    yes, no = choice.probabilities
    return f"of a made picture: Yes {yes:.4f}, No {no:.4f}, coverage {choice.coverage:.3g}"


def _embed(encoder: Any) -> str:
    row = encoder.embed_images([made_png(_PIXELS)])
    length = row.double().norm().item()
    _expect("shape", list(row.shape), [1, encoder.dim])
    if not abs(length - 1) <= 1e-3:
        raise ValueError(f"a row has length {length}, expected 1")
    return f"a row of {row.shape[1]}, length 1"
