"""patchify from its PTX: from bytes through shared memory, from bytes of large patches, from float planes."""

import struct
from dataclasses import dataclass

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import BF16, KINDS, refused


@dataclass
class Patches:
    """src/kernels_images.h has the same."""

    items: int
    height: int
    width: int
    top: int
    left: int
    crop_height: int
    crop_width: int
    patch_height: int
    patch_width: int

    def grid(self):
        return self.crop_height // self.patch_height, self.crop_width // self.patch_width

    def packed(self):
        return struct.pack("<9q", *vars(self).values())

    def cut(self, x):
        """[items, height, width, channels] to [patches, channels * patch_height * patch_width]."""
        (down, across), high, wide = self.grid(), self.patch_height, self.patch_width
        x = x[:, self.top : self.top + down * high, self.left : self.left + across * wide]
        x = x.reshape(self.items, down, high, across, wide, -1)
        return x.transpose(0, 1, 3, 5, 2, 4).reshape(self.items * down * across, -1)


SHAPES = [
    Patches(1, 4, 4, 0, 0, 4, 4, 4, 4), Patches(2, 13, 17, 1, 2, 11, 14, 3, 5),
    Patches(1, 32, 40, 0, 3, 32, 35, 8, 8), Patches(1, 9, 30, 2, 1, 7, 28, 7, 14),
]  # fmt: skip
PIXELS = np.random.default_rng(1).integers(0, 256, 100000).astype(np.uint8)
TABLE = np.random.default_rng(2).normal(size=(3, 256)).astype(np.float32)


def from_bytes(module, kind, p, *, group=None, shift=0, padding=0):
    """(rows, the definition); a group of None: as a patch too large for shared memory."""
    (down, across), wide = p.grid(), 3 * p.patch_height * p.patch_width
    pixels = PIXELS[: p.items * p.height * p.width * 3].reshape(p.items, p.height, p.width, 3)
    memory, count = Memory(), p.items * down * across
    stride = wide + padding
    source, out = memory.put(pixels, shift), memory.new((count, stride), kind.dtype)
    args = [source, p.packed(), memory.put(TABLE), rows(out, count, wide, stride)]
    aligned = stride * kind.size % 16 == 0
    if group is None:
        module.launch(memory, f"patchify_large<{kind}>", count, 64, 0, [*args, aligned])
    else:
        shared = p.patch_height * -(-(3 * group * p.patch_width + 15) // 16) * 16
        blocks = p.items * down * -(-across // group)
        module.launch(memory, f"patchify_groups<{kind}>", blocks, 256, shared, [*args, group, aligned])
    values = np.stack([TABLE[c][pixels[..., c]] for c in range(3)], axis=-1)
    return memory.get(out)[:, :wide], kind.bits(p.cut(values))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("p", SHAPES, ids=lambda p: f"{p.patch_height}x{p.patch_width}")
def test_bytes_become_the_table_s_numbers_patch_by_patch(kind, p):
    for group, shift, padding in [(p.grid()[1], 0, 0), (1, 5, 3), (2, 1, 1), (None, 3, 0)]:
        out, want = from_bytes(
            compile("cuda/patchify.cu"), kind, p, group=group, shift=shift, padding=padding
        )
        assert (out == want).all()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("p", SHAPES, ids=lambda p: f"{p.patch_height}x{p.patch_width}")
@pytest.mark.parametrize("channels, shift", [(1, 0), (3, 4)])
def test_planes_are_cut_into_patches(kind, p, channels, shift):
    planes = np.random.default_rng(3).normal(size=(p.items, channels, p.height, p.width)).astype(np.float32)
    count, wide = p.items * p.grid()[0] * p.grid()[1], channels * p.patch_height * p.patch_width
    memory = Memory()
    out = memory.new((count, wide), kind.dtype)
    args = [
        memory.put(planes, shift),
        channels,
        p.packed(),
        rows(out, count, wide, wide),
        wide * kind.size % 16 == 0,
    ]
    compile("cuda/patchify.cu").launch(memory, f"patchify_planes<{kind}>", count, 64, 0, args)
    assert (memory.get(out) == kind.bits(p.cut(planes.transpose(0, 2, 3, 1)))).all()


FAULTS = {
    "a byte beside its place": (r"(st\.shared\.u8[^;]*\[%r\d+)\]", r"\1+1]"),
    "another byte of a word": (r"(prmt\.b32[^;]*), 8452;", r"\1, 8448;"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_is_seen(fault):
    module = compile("cuda/patchify.cu").edited(*FAULTS[fault])

    def differs():
        out, want = from_bytes(module, BF16, SHAPES[1], group=2, shift=1)
        return not (out == want).all()

    assert refused(differs)
