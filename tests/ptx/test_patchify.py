"""patchify from its PTX: from bytes and from float planes, through shared memory or not."""

import struct
from dataclasses import dataclass

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import BF16, KINDS, beside, refused


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
TABLE = np.random.default_rng(2).normal(size=(3, 256)).astype(np.float32)


def cut(module, kind, p, source, pixel_bytes, channels, *, group, shift, padding, table=None):
    """The rows made of bytes (with a table) or of float planes; group None: as a patch too large to stage."""
    (down, across), wide = p.grid(), channels * p.patch_height * p.patch_width
    memory, count, stride = Memory(), p.items * down * across, wide + padding
    values = memory.put(table) if table is not None else 0
    given = struct.pack("<QQi4x", memory.put(source, shift), values, channels)
    out = memory.new((count, stride), kind.dtype, shift=padding * kind.size)
    args = [given, p.packed(), rows(out, count, wide, stride)]
    number = "unsigned char" if table is not None else "float"
    if group is None:
        module.launch(memory, f"patchify_large<{kind}, {number}>", count, 64, 0, args)
    else:
        lines = p.patch_height * (1 if table is not None else channels)
        shared = lines * -(-(pixel_bytes * group * p.patch_width + 15) // 16) * 16
        shared += 4 * table.size if table is not None else 0
        blocks = p.items * down * -(-across // group)
        module.launch(memory, f"patchify_groups<{kind}, {number}>", blocks, 256, shared, [*args, group])
    result = memory.get(out)
    assert (result[:, wide:].view(np.uint8) == 0xFF).all()
    return result[:, :wide]


def from_bytes(module, kind, p, *, group=None, shift=0, padding=0):
    """(rows, the definition)"""
    pixels = np.random.default_rng(1).integers(0, 256, (p.items, p.height, p.width, 3)).astype(np.uint8)
    out = cut(module, kind, p, pixels, 3, 3, group=group, shift=shift, padding=padding, table=TABLE)
    values = np.stack([TABLE[c][pixels[..., c]] for c in range(3)], axis=-1)
    return out, kind.bits(p.cut(values))


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
@pytest.mark.parametrize("channels", [1, 3])
def test_planes_are_cut_into_patches(kind, p, channels):
    planes = np.random.default_rng(3).normal(size=(p.items, channels, p.height, p.width)).astype(np.float32)
    want = kind.bits(p.cut(planes.transpose(0, 2, 3, 1)))
    for group, shift, padding in [(p.grid()[1], 0, 0), (1, 4, 3), (None, 8, 1)]:
        settings = {"group": group, "shift": shift, "padding": padding}
        out = cut(compile("cuda/patchify.cu"), kind, p, planes, 4, channels, **settings)
        assert (out == want).all()


FAULTS = {
    "a byte beside its place": beside(r"st\.shared\.u8", 1),
    "another byte of a pixel": beside(r"ld\.shared\.u8", 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_is_seen(fault):
    module = compile("cuda/patchify.cu").edited(*FAULTS[fault])

    def differs():
        out, want = from_bytes(module, BF16, SHAPES[1], group=2, shift=1)
        return not (out == want).all()

    assert refused(differs)
