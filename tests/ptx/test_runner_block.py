"""The runner's threads and memory: what it must compute and what it must refuse, on PTX written by hand."""

import numpy as np
import pytest

from .parse import Unknown
from .run import Memory, PtxError
from .written import place, run

ELEMENT = place("%rd50", "%rd0", 4)
SHUFFLE = "shfl.sync.bfly.b32 %r1, %r50, 1, 31, -1;"


# ---- threads that part -------------------------------------------------------------------------------------


def test_threads_that_loop_different_times_meet_again_and_shuffle():
    body = (
        ELEMENT
        + """
      mov.u32 %r1, 0;
    loop:
      add.s32 %r1, %r1, 1;
      setp.le.u32 %p1, %r1, %r50;
      @%p1 bra loop;
      shfl.sync.bfly.b32 %r2|%p2, %r1, 1, 31, -1;
      st.global.u32 [%rd0], %r2;
    """
    )
    (out,) = run(body, 64, np.zeros(64, np.uint32))
    assert out.tolist() == [(k ^ 1) + 1 for k in range(64)]


def test_lanes_whose_code_lies_later_are_waited_for():
    body = (
        ELEMENT
        + """
      mov.u32 %r1, 5;
      and.b32 %r3, %r50, 1;
      setp.eq.u32 %p1, %r3, 0;
      @%p1 bra later;
    meet:
      shfl.sync.bfly.b32 %r2, %r1, 1, 31, -1;
      st.global.u32 [%rd0], %r2;
      ret;
    later:
      mov.u32 %r1, 7;
      bra.uni meet;
    """
    )
    (out,) = run(body, 32, np.zeros(32, np.uint32))
    assert out.tolist() == [7 if k % 2 else 5 for k in range(32)]


def test_barriers_wait_for_all_who_have_not_returned():
    body = (
        ELEMENT
        + """
      setp.ge.u32 %p1, %r50, 40;
      @%p1 bra done;
      setp.ge.u32 %p2, %r50, 20;
      mov.u32 %r1, s;
      mad.lo.u32 %r2, %r50, 4, %r1;
      @%p2 bra after;
      st.shared.u32 [%r2], %r50;
    after:
      bar.sync 0;
      sub.s32 %r3, 39, %r50;
      mad.lo.u32 %r4, %r3, 4, %r1;
      ld.shared.u32 %r5, [%r4];
      st.global.u32 [%rd0], %r5;
    done:
    """
    )
    (out,) = run(body, 64, np.full(64, 9, np.uint32), outside=".shared .align 16 .b8 s[160];")
    assert out.tolist() == [0xFFFFFFFF] * 20 + list(range(20))[::-1] + [9] * 24


def test_a_table_of_branches_is_followed():
    body = (
        ELEMENT
        + """
      and.b32 %r1, %r50, 3;
      brx.idx %r1, targets;
    targets: .branchtargets a, b, a, c;
    a: mov.u32 %r2, 10; bra done;
    b: mov.u32 %r2, 11; bra done;
    c: mov.u32 %r2, 12;
    done:
      st.global.u32 [%rd0], %r2;
    """
    )
    assert run(body, 8, np.zeros(8, np.uint32))[0].tolist() == [10, 11, 10, 12] * 2


@pytest.mark.parametrize("body, what", [
    ("setp.lt.u32 %p1, %r50, 8; @%p1 bra a; bar.sync 0; bra b; a: bar.sync 0; b:", "deadlock"),
    ("setp.lt.u32 %p1, %r50, 8; @%p1 bra a; " + SHUFFLE + " bra b; a: bar.sync 0; b:", "deadlock"),
    ("setp.lt.u32 %p1, %r50, 8; @%p1 ret; " + SHUFFLE, "has returned"),
    ("shfl.sync.bfly.b32 %r1, %r50, 1, 31, 0xffff;", "omits the caller"),
    ("setp.ge.u32 %p1, %r50, 16; @%p1 ret; shfl.sync.bfly.b32 %r1, %r50, 16, 31, 0xffff;", "the mask omits"),
])  # fmt: skip
def test_warp_operations_and_barriers_without_their_threads_are_refused(body, what):
    with pytest.raises(PtxError, match=what):
        run(body.replace(";", ";\n"), 32)


def test_an_unknown_instruction_modifier_or_type_fails_with_its_line():
    for line in (
        "frobnicate.b32 %r1, %r2;",
        "add.rz.f32 %f1, %f2, %f3;",
        "ld.global.foo.u32 %r1, [%rd50];",
        "popc.f32 %r1, %f1;",
    ):
        with pytest.raises(Unknown, match=r"line \d+.*" + line.split(".")[0]):
            run(line, 32)


# ---- memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code, what", [
    ("ld.global.u32 %r1, [%rd50+12];", "out of bounds"),
    ("ld.global.u32 %r1, [%rd50-4];", "out of bounds"),
    ("ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd50];", "out of bounds"),
    ("ld.global.u32 %r1, [%rd50+2];", "misaligned"),
    ("ld.global.v2.u32 {%r1, %r2}, [%rd50+4];", "misaligned"),
    ("st.global.u64 [%rd50+8], %rd1;", "out of bounds"),
    ("atom.global.add.u32 %r1, [%rd50+12], 1;", "out of bounds"),
    ("mov.u32 %r1, s; ld.shared.u8 %rs1, [%r1+32];", "out of bounds"),
    ("mov.u32 %r1, s; ld.shared.v4.u32 {%r1, %r2, %r3, %r4}, [%r1+8];", "misaligned"),
    ("mov.u32 %r1, 0; ld.shared.u8 %rs1, [%r1];", "out of bounds"),
    ("ld.u32 %r1, [%rd50+12];", "out of bounds"),
    ("ld.param.u64 %rd1, [p4+8];", "beyond the parameters"),
])  # fmt: skip
def test_accesses_outside_or_across_are_refused(code, what):
    with pytest.raises(PtxError, match=what):
        run(code.replace("; ", ";\n"), 1, np.zeros(3, np.uint32), outside=".shared .align 16 .b8 s[32];")


def test_buffers_have_their_exact_sizes_at_shifted_addresses_too():
    memory = Memory()
    a, b = memory.put(np.arange(5, dtype=np.uint16), shift=2), memory.new((2, 3), np.float32)
    assert a % 256 == 2 and b % 256 == 0 and memory.get(a).tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(memory.get(b)).all()


def test_dynamic_shared_memory_ends_where_the_launch_said():
    outside = ".extern .shared .align 128 .b8 dyn[];"
    run("mov.u32 %r1, dyn;\nst.shared.u32 [%r1+60], %r1;", 1, outside=outside, shared_bytes=64)
    with pytest.raises(PtxError, match="out of bounds"):
        run("mov.u32 %r1, dyn;\nst.shared.u32 [%r1+64], %r1;", 1, outside=outside, shared_bytes=64)


def test_generic_addresses_reach_shared_global_and_local_memory():
    body = """
      .local .align 8 .b8 depot[16];
      .reg .b64 %SP;
      mov.u64 %rd1, s;
      cvta.shared.u64 %rd2, %rd1;
      mov.u64 %rd3, depot;
      cvta.local.u64 %SP, %rd3;
      setp.lt.u32 %p1, %r50, 2;
      selp.b64 %rd4, %rd2, %SP, %p1;
      mul.wide.u32 %rd5, %r50, 4;
      add.s64 %rd6, %rd4, %rd5;
      st.u32 [%rd6], %r50;
      ld.u32 %r1, [%rd6];
      add.s64 %rd7, %rd50, %rd5;
      st.u32 [%rd7], %r1;
      ld.local.u32 %r2, [%rd3+4];
    """
    assert run(body, 4, np.zeros(4, np.uint32), outside=".shared .align 16 .b8 s[16];")[0].tolist() == [
        0,
        1,
        2,
        3,
    ]


def test_constant_arrays_hold_their_initial_numbers():
    body = (
        ELEMENT
        + """
      mov.u64 %rd1, numbers;
      mul.wide.u32 %rd2, %r50, 4;
      add.s64 %rd3, %rd1, %rd2;
      ld.const.f32 %f1, [%rd3];
      st.global.f32 [%rd0], %f1;
    """
    )
    out = run(
        body,
        3,
        np.zeros(3, np.float32),
        outside=".const .align 4 .f32 numbers[3] = {0f3F800000, 0f40000000, 0fC0400000};",
    )
    assert out[0].tolist() == [1, 2, -3]


def test_atomics_lose_nothing_and_return_what_was():
    body = (
        ELEMENT
        + """
      atom.global.add.u32 %r1, [%rd51], 2;
      st.global.u32 [%rd0], %r1;
      red.global.max.s32 [%rd51+4], %r50;
      atom.global.cas.b32 %r2, [%rd51+8], 7, %r50;
      cvt.rn.f32.u32 %f1, %r50;
      red.global.add.f32 [%rd51+12], %f1;
    """
    )
    old, to = run(body, 50, np.zeros(50, np.uint32), np.array([0, -5, 7, 0], np.int32), grid=2)
    assert sorted(old) == [100 + 2 * k for k in range(50)]
    assert to[:3].tolist() == [200, 49, 0] and to.view(np.float32)[3] == 2 * sum(range(50))


# ---- cp.async ----------------------------------------------------------------------------------------------

COPY = """
  mov.u32 %r1, s;
  mad.lo.u32 %r2, %r50, 16, %r1;
  mul.wide.u32 %rd1, %r50, 16;
  add.s64 %rd2, %rd50, %rd1;
  cp.async.cg.shared.global [%r2], [%rd2], 16, {size};
  cp.async.commit_group;
  {wait}
  ld.shared.u32 %r3, [%r2+8];
  mul.wide.u32 %rd3, %r50, 4;
  add.s64 %rd4, %rd51, %rd3;
  st.global.u32 [%rd4], %r3;
"""


def copies(wait, size=16, count=128):
    outside = ".shared .align 16 .b8 s[512];"
    return run(
        COPY.format(wait=wait, size=size),
        32,
        np.arange(count, dtype=np.uint32),
        np.zeros(32, np.uint32),
        outside=outside,
    )[1]


def test_a_copy_lands_at_its_wait_and_fills_the_rest_with_zeros():
    assert copies("cp.async.wait_group 0;").tolist() == [4 * k + 2 for k in range(32)]
    assert copies("cp.async.wait_all;", size=12).tolist() == [4 * k + 2 for k in range(32)]
    assert copies("cp.async.wait_group 0;", size=8).tolist() == [0] * 32


def test_a_byte_on_its_way_must_not_be_read():
    for wait in ("", "cp.async.wait_group 1;"):
        with pytest.raises(PtxError, match="a cp.async is unfinished"):
            copies(wait)


def test_a_copy_reads_no_more_than_it_was_told():
    with pytest.raises(PtxError, match="out of bounds"):
        copies("cp.async.wait_group 0;", count=127)
    assert copies("cp.async.wait_group 0;", size=12, count=127)[31] == 126
