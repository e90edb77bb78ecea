"""What the PTX tests of layer_norm and rms_norm share: the launch, the definition, and the tests themselves, for the
kernel file that the fixture `source` of the importing module names."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import BF16, FLOAT, KINDS, Stored, beside, padded, wrong

EPS = 1e-5


@dataclass
class Norm:
    name: str  # layer_norm or rms_norm
    kind: Stored
    count: int
    width: int
    stride: int
    bias: bool = False
    residual: bool = False
    kept: bool = False  # the sum is stored too
    shift: int = 0  # bytes by which x is misaligned
    data: dict = field(init=False)

    def __post_init__(self):
        shape = (self.count, self.width)
        self.data = {
            "x": self.kind.bits(self.kind.values(self.kind.random(shape, 1)) + 3),
            "residual": self.kind.random(shape, 2),
            "bias": self.kind.random(self.width, 3),
            "weight": np.random.default_rng(4).normal(size=self.width).astype(np.float32),
            "shift": np.random.default_rng(5).normal(size=self.width).astype(np.float32),
        }

    def sum(self):
        s = self.kind.values(self.data["x"])
        s = s + self.kind.values(self.data["residual"]) if self.residual else s
        return s + self.kind.values(self.data["bias"]) if self.bias else s

    def want(self):
        s = self.sum()
        if self.name == "layer_norm":
            s = s - s.mean(axis=1, keepdims=True)
        scale = 1 / np.sqrt((s**2).mean(axis=1, keepdims=True) + np.float32(EPS))
        shift = self.data["shift"] if self.name == "layer_norm" else 0
        return s * scale * self.data["weight"] + shift

    def held(self):
        """How many numbers a lane holds, by the template's argument; None where the row is read again."""
        pack = 16 // self.kind.size
        if self.shift or self.stride % pack or self.width % pack:
            return None
        values = -(-self.width // (32 * pack)) * pack
        return next((n for n in (8, 16, 32, 64) if values <= n), None)

    def shared_bytes(self, held):
        vectors = (1 if self.name == "rms_norm" else 2) + self.bias
        packs = 32 * held * self.kind.size // 16
        return 4 * vectors * (4 * packs if self.kind.size == 4 else 8 * packs + 16)

    def launch(self, module, blocks=None):
        """(out, sum) as doubles; sum None where it is not kept."""
        memory, kind = Memory(), self.kind
        shape = (self.count, self.stride)

        def view(pointer):
            return rows(pointer, self.count, self.width, self.stride) if pointer else bytes(32)

        source = memory.put(padded(self.data["x"], self.stride), self.shift)
        residual = memory.put(padded(self.data["residual"], self.stride)) if self.residual else 0
        kept = memory.new(shape, kind.dtype) if self.kept else 0
        out = memory.new(shape, kind.dtype)
        bias = memory.put(self.data["bias"]) if self.bias else 0
        weight, shift = memory.put(self.data["weight"]), memory.put(self.data["shift"])
        norm = view(source) + struct.pack("<Q", bias) + view(residual) + view(kept)
        norm += struct.pack("<QQf4x", weight, shift if self.name == "layer_norm" else 0, EPS) + view(out)
        held, blocks = self.held(), blocks or -(-self.count // 8)
        if held:
            module.launch(
                memory, f"{self.name}_held<{kind}, {held}>", blocks, 256, self.shared_bytes(held), [norm]
            )
        else:
            aligned = not self.shift and self.stride * kind.size % 16 == 0
            module.launch(memory, f"{self.name}_again<{kind}>", blocks, 256, 0, [norm, aligned])
        results = [memory.get(p) if p else None for p in (out, kept)]
        assert all((r[:, self.width :].view(np.uint8) == 0xFF).all() for r in results if r is not None)
        return [kind.values(r[:, : self.width]) if r is not None else None for r in results]

    def tolerance(self, want):
        """One rounding to what is stored, and what float sums lose."""
        return self.kind.rounding * np.abs(want) + 1e-5


@pytest.fixture
def name(source):
    return Path(source).stem


def check(norm, blocks=None):
    out, kept = norm.launch(compile(f"cuda/{norm.name}.cu"), blocks)
    assert not wrong(out, norm.want(), norm.tolerance(norm.want()))
    if norm.kept:
        assert not wrong(kept, norm.sum(), norm.kind.rounding * abs(norm.sum()) + 1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("count, width, stride", [(1, 8, 8), (9, 264, 272), (2, 520, 520)])
def test_rows_that_a_warp_holds_are_normalised(name, kind, count, width, stride):
    check(Norm(name, kind, count, width, stride))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shift", [0, 1])
def test_rows_of_any_width_and_place_are_normalised(name, kind, shift):
    check(Norm(name, kind, 9, 37, 39, shift=shift * kind.size, bias=True, residual=True, kept=True))
    check(Norm(name, kind, 2, 300 + shift, 304, shift=shift * kind.size))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_bias_and_residual_are_added_first_and_the_sum_is_kept(name, kind):
    check(Norm(name, kind, 3, 136, 136, bias=True, residual=True, kept=True))


def test_a_block_takes_further_rows_by_turns(name):
    check(Norm(name, BF16, 35, 64, 64, bias=True, residual=True, kept=True), blocks=2)
    check(Norm(name, FLOAT, 19, 33, 33), blocks=1)


FAULTS = {
    "a sum handed down instead of across": (r"shfl\.sync\.bfly", "shfl.sync.down"),
    "a staged vector read beside its place": beside(r"ld\.shared\.v4", 16),
    "no square root": (r"sqrt\.rn\.f32", "abs.f32"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_gives_wrong_numbers(name, fault):
    norm = Norm(name, FLOAT, 3, 264, 264)
    out, _ = norm.launch(compile(f"cuda/{norm.name}.cu").edited(*FAULTS[fault]))
    assert wrong(out, norm.want(), norm.tolerance(norm.want()))
