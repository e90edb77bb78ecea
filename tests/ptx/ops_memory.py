"""Loads, stores, atomics, and copies behind the threads' backs."""

import numpy as np

from .machine import NUMPY
from .operations import operation, the_type
from .ops_convert import storage
from .parse import Imm, PtxError

SPACES = {"global", "shared", "local", "param", "const"}
HINTS = {
    "weak", "volatile", "relaxed", "cta", "gpu", "sys", "nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt",
    "L1::no_allocate", "L1::evict_last", "L1::evict_first", "L2::64B", "L2::128B", "L2::256B",
}  # fmt: skip
VECTORS = {"v2": 2, "v4": 4}


def space_of(flags):
    found = [flag for flag in flags if flag in SPACES]
    return found[0] if found else None


def chosen(m, active):
    return np.arange(m.threads) if active is True else np.flatnonzero(active)


def located(i, function):
    """Adds the line, so that a fault can be found in the PTX text."""

    def run(active):
        try:
            function(active)
        except PtxError as fault:
            raise PtxError(f"line {i.line}, {i.text}: {fault}") from None

    return run


def parts_of(i, op, flags):
    count = next((VECTORS[flag] for flag in flags if flag in VECTORS), 1)
    parts = op.parts if hasattr(op, "parts") else (op,)
    if len(parts) != count:
        i.refuse(f"{len(parts)} operands")
    return parts


@operation("ld")
def load(i, m):
    flags = i.only(*SPACES, *HINTS, *VECTORS)
    kind, name = storage(the_type(i)), space_of(flags)
    parts = parts_of(i, i.operands[0], flags)
    number, count = NUMPY[kind], len(parts)
    puts = [m.sink(i, op, kind) for op in parts]
    address = m.address(i, i.operands[1])
    if name == "param":
        return located(i, load_param(m, address, puts, number))

    def run(active):
        threads = chosen(m, active)
        where = address()[threads]
        values = np.empty((count, m.threads), number)
        for space, at, which in m.spaces(where, threads, name):
            values[:, threads[which]] = space.load(at, number, count)
        for put, value in zip(puts, values, strict=True):
            put(value, active)

    return located(i, run)


def load_param(m, address, puts, number):
    width = np.dtype(number).itemsize

    def run(active):
        at = address()
        used = at if active is True else at[active]
        if (used < 0).any() or (used + width * len(puts) > len(m.params) - 16).any():
            raise PtxError("a read beyond the parameters")
        if (used % (width * len(puts))).any():
            raise PtxError("a misaligned read of the parameters")
        safe = np.clip(at, 0, len(m.params) - width * len(puts))
        for k, put in enumerate(puts):
            window = safe[:, None] + np.arange(width * k, width * (k + 1))
            put(np.ascontiguousarray(m.params[window]).view(number)[:, 0], active)

    return run


@operation("st")
def store(i, m):
    flags = i.only(*SPACES, *HINTS, *VECTORS)
    kind, name = storage(the_type(i)), space_of(flags)
    if name in ("param", "const"):
        i.refuse("state space")
    gets = [m.source(i, op, kind) for op in parts_of(i, i.operands[1], flags)]
    address = m.address(i, i.operands[0])

    def run(active):
        threads = chosen(m, active)
        where = address()[threads]
        values = [np.broadcast_to(get(), m.threads)[threads] for get in gets]
        for space, at, which in m.spaces(where, threads, name):
            space.store(at, [np.ascontiguousarray(value[which]) for value in values])

    return located(i, run)


# ---- atomics -----------------------------------------------------------------------------------------------

CHANGES = {
    "add": lambda old, b: old + b, "max": max, "min": min, "exch": lambda old, b: b,
    "and": lambda old, b: old & b, "or": lambda old, b: old | b, "xor": lambda old, b: old ^ b,
}  # fmt: skip


@operation("atom", "red")
def atomic(i, m):
    flags = i.only("global", "shared", "relaxed", "gpu", "cta", "sys", "cas", *CHANGES)
    kind, name = the_type(i, ("b32", "u32", "s32", "b64", "u64", "s64", "f32", "f64")), space_of(flags)
    (change,) = [flag for flag in flags if flag == "cas" or flag in CHANGES]
    operands = i.operands if i.name == "atom" else (None, *i.operands)
    put = m.sink(i, operands[0], kind) if i.name == "atom" else None
    address, gets = m.address(i, operands[1]), [m.source(i, op, kind) for op in operands[2:]]

    def run(active):
        threads = chosen(m, active)
        where = address()
        arguments = [np.broadcast_to(get(), m.threads).copy() for get in gets]
        before = np.zeros(m.threads, NUMPY[kind])
        for thread in threads:
            one = np.array([thread])
            ((space, at, _),) = m.spaces(where[one], one, name)
            (old,) = space.load(at, NUMPY[kind], what="atomic")
            before[thread] = old[0]
            values = [argument[thread] for argument in arguments]
            if change == "cas":
                new = values[1] if old[0] == values[0] else old[0]
            else:
                new = CHANGES[change](old[0], values[0])
            space.store(at, [np.array([new], NUMPY[kind])], what="atomic")
        if put:
            put(before, active)

    return located(i, run)


# ---- cp.async: nothing lands before the wait that covers it ------------------------------------------------

CHUNK = 16


@operation("cp")
def copy_async(i, m):
    if i.flags[0] != "async":
        i.refuse("form")
    if i.flags[1] == "commit_group":
        return lambda active: np.add(m.groups, 1, out=m.groups, where=active)
    if i.flags[1] in ("wait_group", "wait_all"):
        pending = i.operands[0].bits if i.flags[1] == "wait_group" else -1
        return lambda active: finish_copies(m, active, pending)
    i.only("async", "cg", "shared", "global", "L2::128B", "L2::256B", "L2::64B")
    if i.flags[1] != "cg" or not isinstance(i.operands[2], Imm) or i.operands[2].bits != CHUNK:
        i.refuse("size")
    to, source = m.address(i, i.operands[0]), m.address(i, i.operands[1])
    size = m.source(i, i.operands[3], "s32") if len(i.operands) > 3 else lambda: np.int32(CHUNK)

    def run(active):
        threads = chosen(m, active)
        places = m.shared.offsets(to()[threads], CHUNK, "cp.async")
        if len(np.unique(places)) < len(places):
            raise PtxError("two copies to one place")
        data = copied(m.memory, source()[threads], np.broadcast_to(size(), m.threads)[threads])
        m.shared.pending[places >> 4] = True
        m.copies.append((threads, places, data, m.groups[threads]))

    return located(i, run)


def copied(memory, address, sizes):
    """The 16 bytes of each copy: zeros after the first `sizes`, of which alone the source is read."""
    if ((sizes < 0) | (sizes > CHUNK)).any():
        raise PtxError(f"a copy of {int(sizes.max())} bytes, of 16")
    if (address & (CHUNK - 1)).any():
        raise PtxError("a misaligned source")
    data = np.zeros((len(address), CHUNK), np.uint8)
    full = sizes == CHUNK
    if full.any():
        data[full] = np.stack(memory.load(address[full], np.uint64, 2, "cp.async"), axis=1).view(np.uint8)
    for size in set(sizes[~full].tolist()) - {0}:
        some = sizes == size
        for k in range(size):
            data[some, k] = memory.load(address[some] + k, np.uint8, what="cp.async")[0]
    return data


def finish_copies(m, active, pending):
    """Lets land what the active threads copied, but for their last `pending` groups; -1: everything."""
    left = []
    for threads, places, data, groups in m.copies:
        done = np.broadcast_to(active, m.threads)[threads] & (groups < m.groups[threads] - pending)
        m.shared.bytes.reshape(-1, CHUNK)[places[done] >> 4] = data[done]
        m.shared.pending[places[done] >> 4] = False
        if not done.all():
            keep = ~done
            left.append((threads[keep], places[keep], data[keep], groups[keep]))
    m.copies[:] = left
