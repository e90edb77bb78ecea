"""What the lanes of a warp do together: shuffles, votes, reductions, matrix loads and products.

The block's scheduler has seen to it that all lanes named by an operation's mask are among the active ones.
"""

import numpy as np

from . import fragments
from .machine import NUMPY, WARP, warps_of
from .numbers16 import bf16_values, f16_values
from .operations import operation, the_type
from .ops_memory import chosen, located
from .parse import Imm, PtxError

ALL_LANES = 0xFFFFFFFF


@operation("shfl", mask=lambda i: i.operands[4])
def shuffle(i, m):
    mode = i.only("sync", "up", "down", "bfly", "idx")[1]
    kind = the_type(i, ("b32",))
    result = i.operands[0]
    put = m.sink(i, result.first if hasattr(result, "first") else result, kind)
    put_inside = m.sink(i, result.second, "pred") if hasattr(result, "first") else None
    value, by, clamp = (m.source(i, op, kind) for op in i.operands[1:4])
    mask = m.source(i, i.operands[4], kind)
    fixed = all(isinstance(op, Imm) for op in i.operands[2:4])
    known = source_lane(mode, m.lane, by(), clamp()) if fixed else None
    base = np.arange(m.threads) - m.lane

    def run(active):
        source, inside = known or source_lane(mode, m.lane, by(), clamp())
        named = (np.broadcast_to(mask(), m.threads) >> source.astype(np.uint32)) & np.uint32(1)
        if not (named.astype(bool) | ~np.broadcast_to(active, m.threads)).all():
            raise PtxError("a shuffle from a lane that the mask omits")
        out = np.broadcast_to(value(), m.threads)[np.minimum(base + source, m.threads - 1)]
        put(out, active)
        if put_inside:
            put_inside(inside, active)

    return located(i, run)


def source_lane(mode, lane, by, clamp):
    """Each lane's source and whether it lay inside the segment; outside it is the lane itself."""
    lane, by, clamp = (np.asarray(x).astype(np.int64) for x in (lane, by, clamp))
    by, segment, clamp = by & 31, clamp >> 8 & 31, clamp & 31
    last = (lane & segment) | (clamp & ~segment)
    source = {
        "up": lane - by, "down": lane + by, "bfly": lane ^ by, "idx": (lane & segment) | (by & ~segment),
    }[mode]  # fmt: skip
    inside = source >= last if mode == "up" else source <= last
    return np.where(inside, source, lane), inside


def by_warp(m, values, fill):
    """[warps, 32], a ragged last warp filled up."""
    out = np.full(warps_of(m.threads) * WARP, fill, np.asarray(values).dtype)
    out[: m.threads] = values
    return out.reshape(-1, WARP)


def members(m, mask):
    """[thread, lane of its warp]: which lanes a thread's mask names."""
    return (np.broadcast_to(mask, m.threads)[:, None] >> np.arange(WARP, dtype=np.uint32)) & np.uint32(1) == 1


@operation("vote", mask=lambda i: i.operands[2])
def vote(i, m):
    form = i.only("sync", "all", "any", "uni", "ballot")[1]
    kind = the_type(i, ("b32",) if form == "ballot" else ("pred",))
    value, mask = m.source(i, i.operands[1], "pred"), m.source(i, i.operands[2], "b32")
    put = m.sink(i, i.operands[0], kind)

    def run(active):
        named = members(m, mask())
        values = by_warp(m, np.broadcast_to(value(), m.threads), False)[np.arange(m.threads) // WARP]
        if form == "ballot":
            bits = (values & named).astype(np.uint64) << np.arange(WARP, dtype=np.uint64)
            put(bits.sum(axis=1).astype(np.uint32), active)
        else:
            every, some = (values | ~named).all(axis=1), (values & named).any(axis=1)
            put({"all": every, "any": some, "uni": every | ~some}[form], active)

    return run


@operation("redux", mask=lambda i: i.operands[2])
def reduce(i, m):
    form = i.only("sync", "add", "min", "max", "and", "or", "xor")[1]
    kind = the_type(i, ("u32", "s32", "b32"))
    function, neutral = {
        "add": (np.add, 0), "min": (np.minimum, np.iinfo(NUMPY[kind]).max),
        "max": (np.maximum, np.iinfo(NUMPY[kind]).min),
        "and": (np.bitwise_and, NUMPY[kind](ALL_LANES) if kind != "s32" else -1), "or": (np.bitwise_or, 0),
        "xor": (np.bitwise_xor, 0),
    }[form]  # fmt: skip
    value, mask, put = (
        m.source(i, i.operands[1], kind),
        m.source(i, i.operands[2], "b32"),
        m.sink(i, i.operands[0], kind),
    )

    def run(active):
        values = by_warp(m, np.broadcast_to(value(), m.threads), 0)[np.arange(m.threads) // WARP]
        kept = np.where(members(m, mask()), values, NUMPY[kind](neutral))
        put(function.reduce(kept, axis=1, dtype=NUMPY[kind]), active)

    return run


@operation("activemask")
def active_lanes(i, m):
    def run(active):
        lanes = by_warp(m, np.broadcast_to(active, m.threads), False).astype(np.uint64)
        bits = (lanes << np.arange(WARP, dtype=np.uint64)).sum(axis=1).astype(np.uint32)
        put(bits[np.arange(m.threads) // WARP], active)

    put = m.sink(i, i.operands[0], the_type(i, ("b32",)))
    return run


# ---- matrices ----------------------------------------------------------------------------------------------

EVERYONE = Imm(ALL_LANES, "int")


def whole_warps(m, active):
    """The numbers of the warps that take part."""
    return chosen(m, active)[::WARP] // WARP


@operation("ldmatrix", mask=lambda i: EVERYONE)
def load_matrix(i, m):
    flags = i.only("sync", "aligned", "m8n8", "x1", "x2", "x4", "trans", "shared")
    the_type(i, ("b16",))
    count = next(int(flag[1:]) for flag in flags if flag in ("x1", "x2", "x4"))
    if len(i.operands[0].parts) != count or "shared" not in flags:
        i.refuse("form")
    puts = [m.sink(i, op, "b32") for op in i.operands[0].parts]
    address = m.address(i, i.operands[1])

    def run(active):
        warps = whole_warps(m, active)
        rows = address().reshape(-1, WARP)[warps, : 8 * count].reshape(-1)
        columns = np.stack(m.shared.load(rows, np.uint64, 2, "ldmatrix"), axis=1)
        matrices = columns.view(np.uint16).reshape(len(warps), count, 8, 8)
        if "trans" in flags:
            matrices = matrices.swapaxes(2, 3)
        for k, put in enumerate(puts):
            words = np.zeros((m.threads // WARP, WARP), np.uint32)
            words[warps] = fragments.lanes(matrices[:, k], fragments.M8, np.uint16).view(np.uint32)[..., 0]
            put(words.reshape(-1), active)

    return located(i, run)


FORMS = {
    ("m16n8k16", "f32", "bf16", "bf16", "f32"): (fragments.A16, fragments.B16, np.uint16, bf16_values),
    ("m16n8k16", "f32", "f16", "f16", "f32"): (fragments.A16, fragments.B16, np.uint16, f16_values),
    ("m16n8k32", "s32", "s8", "s8", "s32"): (fragments.A8, fragments.B8, np.int8, lambda bits: bits),
}


@operation("mma", mask=lambda i: EVERYONE)
def multiply_matrices(i, m):
    """D = A B + C: products exact, their sum in double rounded once; of bytes exact, modulo 2^32."""
    flags = i.only("sync", "aligned", "m16n8k16", "m16n8k32", "row", "col")
    form = FORMS.get((flags[2], *i.types))
    if form is None or flags[3:] != ("row", "col"):
        i.refuse("form")
    a_places, b_places, number, values = form
    kind = i.types[0]
    d, a, b, c = (op.parts for op in i.operands)
    if (len(d), len(a), len(b), len(c)) != (4, 4, 2, 4):
        i.refuse("count of registers")
    a, b = ([m.values(i, op, "b32") for op in part] for part in (a, b))
    c, puts = [m.values(i, op, kind) for op in c], [m.sink(i, op, kind) for op in d]
    exact = np.int64 if kind == "s32" else np.float64

    def fragment(gets, warps, places, storage):
        registers = [get().reshape(-1, WARP) for get in gets]
        if len(warps) < len(registers[0]):
            registers = [register[warps] for register in registers]
        return fragments.matrix(registers, places, storage)

    def run(active):
        warps = whole_warps(m, active)
        left = values(fragment(a, warps, a_places, number)).astype(exact)
        right = values(fragment(b, warps, b_places, number)).astype(exact)
        total = left @ right + fragment(c, warps, fragments.C, NUMPY[kind])
        out = fragments.lanes(total.astype(NUMPY[kind]), fragments.C, NUMPY[kind])
        for k, put in enumerate(puts):
            words = np.zeros((m.threads // WARP, WARP), NUMPY[kind])
            words[warps] = out[..., k]
            put(words.reshape(-1), active)

    return run
