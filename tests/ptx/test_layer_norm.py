"""layer_norm from its PTX."""

import pytest

from .norm_rows import Norm
from .run import compile
from .stored import BF16, FLOAT, KINDS, beside, wrong


def check(norm, blocks=None):
    out, kept = norm.launch(compile("cuda/layer_norm.cu"), blocks)
    assert not wrong(out, norm.want(), norm.tolerance(norm.want()))
    if norm.kept:
        assert not wrong(kept, norm.sum(), norm.kind.rounding * abs(norm.sum()) + 1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("count, width, stride", [(1, 8, 8), (9, 264, 272), (2, 520, 520)])
def test_rows_that_a_warp_holds_are_normalised(kind, count, width, stride):
    check(Norm("layer_norm", kind, count, width, stride))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shift", [0, 1])
def test_rows_of_any_width_and_place_are_normalised(kind, shift):
    check(Norm("layer_norm", kind, 9, 37, 39, shift=shift * kind.size, bias=True, residual=True, kept=True))
    check(Norm("layer_norm", kind, 2, 300 + shift, 304, shift=shift * kind.size))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_bias_and_residual_are_added_first_and_the_sum_is_kept(kind):
    check(Norm("layer_norm", kind, 3, 136, 136, bias=True, residual=True, kept=True))


def test_a_block_takes_further_rows_by_turns():
    check(Norm("layer_norm", BF16, 35, 64, 64, bias=True, residual=True, kept=True), blocks=2)
    check(Norm("layer_norm", FLOAT, 19, 33, 33), blocks=1)


FAULTS = {
    "a sum handed down instead of across": (r"shfl\.sync\.bfly", "shfl.sync.down"),
    "a staged vector read beside its place": beside(r"ld\.shared\.v4", 16),
    "no square root": (r"sqrt\.rn\.f32", "abs.f32"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_gives_wrong_numbers(fault):
    norm = Norm("layer_norm", FLOAT, 3, 264, 264)
    out, _ = norm.launch(compile("cuda/layer_norm.cu").edited(*FAULTS[fault]))
    assert wrong(out, norm.want(), norm.tolerance(norm.want()))
