"""The runner's warp operations and matrices, on PTX written by hand."""

import numpy as np
import pytest

from .written import place, run

ELEMENT = place("%rd50", "%rd0", 4)


# ---- warps -------------------------------------------------------------------------------------------------


def shuffled(mode, by, clamp):
    body = (
        ELEMENT
        + f"shfl.sync.{mode}.b32 %r1|%p1, %r50, {by}, {clamp}, -1;\n"
        + "selp.b32 %r2, %r1, 99, %p1;\nst.global.u32 [%rd0], %r2;\n"
    )
    return run(body, 64, np.zeros(64, np.uint32))[0].tolist()


def test_shuffles_stay_in_their_segment_and_say_whether_they_did():
    assert shuffled("bfly", 16, 31) == [k ^ 16 for k in range(64)]
    assert shuffled("up", 3, 0) == [k - 3 if k % 32 >= 3 else 99 for k in range(64)]
    assert shuffled("down", 2, 31) == [k + 2 if k % 32 < 30 else 99 for k in range(64)]
    assert shuffled("idx", 5, 0x181F) == [
        k // 8 * 8 + 5 for k in range(64)
    ]  # width 8: segment mask 24, clamp 31
    assert shuffled("down", 1, 0x1C1F) == [k + 1 if k % 4 < 3 else 99 for k in range(64)]


def test_votes_and_reductions_count_the_lanes_of_the_mask():
    body = (
        ELEMENT
        + """
      and.b32 %r1, %r50, 3;
      setp.eq.u32 %p1, %r1, 1;
      vote.sync.ballot.b32 %r2, %p1, -1;
      vote.sync.any.pred %p2, %p1, -1;
      vote.sync.all.pred %p3, %p1, -1;
      selp.b32 %r3, 1, 0, %p2;
      selp.b32 %r4, 2, 0, %p3;
      redux.sync.add.s32 %r5, %r50, -1;
      redux.sync.min.s32 %r6, %r50, -1;
      add.s32 %r7, %r3, %r4;
      xor.b32 %r8, %r2, %r5;
      xor.b32 %r9, %r8, %r6;
      add.s32 %r9, %r9, %r7;
      st.global.u32 [%rd0], %r9;
    """
    )
    (out,) = run(body, 64, np.zeros(64, np.uint32))
    want = [(0x22222222 ^ sum(range(k, k + 32)) ^ k) + 1 for k in (0, 32)]
    assert out[:32].tolist() == [want[0]] * 32 and out[32:].tolist() == [want[1]] * 32


# ---- matrices ----------------------------------------------------------------------------------------------


def loaded(form, count):
    """Registers of ldmatrix over matrices whose number at row r, column c of matrix i is 64 i + 8 r + c."""
    registers = ", ".join(f"%r{k}" for k in range(count))
    body = f"""
      mov.u32 %r10, s;
      mul.wide.u32 %rd1, %r50, 16;
      add.s64 %rd2, %rd50, %rd1;
      ld.global.v4.u32 {{%r20, %r21, %r22, %r23}}, [%rd2];
      mad.lo.u32 %r11, %r50, 16, %r10;
      st.shared.v4.u32 [%r11], {{%r20, %r21, %r22, %r23}};
      bar.sync 0;
      ldmatrix.sync.aligned.m8n8.{form}.shared.b16 {{{registers}}}, [%r11];
      mul.wide.u32 %rd3, %r50, {4 * count};
      add.s64 %rd4, %rd51, %rd3;
    """ + "".join(f"st.global.u32 [%rd4+{4 * k}], %r{k};\n" for k in range(count))
    arrays = np.arange(256, dtype=np.uint16), np.zeros((32, count), np.uint32)
    return (
        run(body, 32, *arrays, outside=".shared .align 16 .b8 s[512];")[1]
        .view(np.uint16)
        .reshape(32, count, 2)
    )


@pytest.mark.parametrize(
    "form, count", [("x1", 1), ("x2", 2), ("x4", 4), ("x1.trans", 1), ("x2.trans", 2), ("x4.trans", 4)]
)
def test_each_lane_receives_two_neighbours_of_its_row_or_column(form, count):
    out = loaded(form, count)
    for lane in range(32):
        for i in range(count):
            first, second = (
                (8 * (lane // 4) + 2 * (lane % 4), 1)
                if "trans" not in form
                else (8 * 2 * (lane % 4) + lane // 4, 8)
            )
            assert out[lane, i].tolist() == [64 * i + first, 64 * i + first + second]


def words(numbers):
    return np.ascontiguousarray(np.array(numbers)).view(np.uint32)


def product(form, a, b, c):
    """[16, 8] by one mma, of registers filled element by element as the manual's figures number them."""
    per = 2 if a.dtype.itemsize == 2 else 4
    left, right = np.zeros((32, 4 * per), a.dtype), np.zeros((32, 2 * per), b.dtype)
    sums = np.zeros((32, 4), c.dtype)
    for lane in range(32):
        g, t = divmod(lane, 4)
        for e in range(4 * per):
            left[lane, e] = a[
                g + (8 if e // per in (1, 3) else 0), t * per + e % per + (4 * per if e >= 2 * per else 0)
            ]
        for e in range(2 * per):
            right[lane, e] = b[t * per + e % per + (4 * per if e >= per else 0), g]
        for e in range(4):
            sums[lane, e] = c[g + (8 if e >= 2 else 0), 2 * t + e % 2]
    kind, bank = ("s32", "%r2") if a.dtype == np.int8 else ("f32", "%f")
    out = ", ".join(f"{bank}{k}" for k in range(4))
    body = "".join(place(f"%rd{51 + k}", f"%rd{k}", width) for k, width in enumerate((16, 8, 16)))
    body += (
        f"""
      ld.global.v4.u32 {{%r0, %r1, %r2, %r3}}, [%rd0];
      ld.global.v2.u32 {{%r4, %r5}}, [%rd1];
      ld.global.v4.{kind} {{{out}}}, [%rd2];
      mma.sync.aligned.{form} {{{out}}}, {{%r0, %r1, %r2, %r3}}, {{%r4, %r5}}, {{{out}}};
    """
        + place("%rd50", "%rd3", 16)
        + f"st.global.v4.{kind} [%rd3], {{{out}}};\n"
    )
    d = run(body, 32, np.zeros((32, 4), c.dtype), words(left), words(right), sums)[0]
    full = np.zeros((16, 8), c.dtype)
    for lane in range(32):
        for e in range(4):
            full[lane // 4 + (8 if e >= 2 else 0), 2 * (lane % 4) + e % 2] = d[lane, e]
    return full


@pytest.mark.parametrize("kind", ["bf16", "f16"])
def test_products_of_16_bit_floats_are_those_of_the_matrices(kind):
    a = np.arange(256).reshape(16, 16).astype(np.float32)  # distinct, and exact in either kind
    b = (np.arange(128).reshape(16, 8) - 50).astype(np.float32)
    c = (np.arange(128).reshape(16, 8) * 1000).astype(np.float32)
    store = (
        (lambda x: (x.view(np.uint32) >> 16).astype(np.uint16))
        if kind == "bf16"
        else (lambda x: x.astype(np.float16))
    )
    out = product(f"m16n8k16.row.col.f32.{kind}.{kind}.f32", store(a), store(b), c)
    assert (out == a.astype(float) @ b.astype(float) + c).all()


def test_products_of_bytes_are_exact():
    draw = np.random.default_rng(3)
    a, b = (draw.integers(-128, 128, shape).astype(np.int8) for shape in ((16, 32), (32, 8)))
    a.reshape(-1)[:256] = np.arange(256) - 128
    c = draw.integers(-(2**31), 2**31, (16, 8)).astype(np.int32)
    out = product("m16n8k32.row.col.s32.s8.s8.s32", a, b, c)
    assert (out == (a.astype(np.int64) @ b.astype(np.int64) + c).astype(np.int32)).all()
