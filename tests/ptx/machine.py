"""The registers and memory of one block; an instruction's operands as numpy arrays over its threads."""

import numpy as np

from .memory import LOCAL_WINDOW, SHARED_WINDOW, WINDOW, Local, Shared
from .parse import BITS, Imm, Mem, Not, Reg, Symbol, Unknown

NUMPY = {
    "b8": np.uint8, "u8": np.uint8, "s8": np.int8, "b16": np.uint16, "u16": np.uint16, "s16": np.int16,
    "f16": np.float16, "bf16": np.uint16, "b32": np.uint32, "u32": np.uint32, "s32": np.int32,
    "f32": np.float32, "f16x2": np.uint32, "bf16x2": np.uint32, "b64": np.uint64, "u64": np.uint64,
    "s64": np.int64, "f64": np.float64, "pred": np.bool_,
}  # fmt: skip
UNSIGNED = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
WARP = 32
AXES = "xyz"


def warps_of(threads):
    return -(-threads // WARP)


class Machine:
    """What a kernel's instructions see: a register is an array over the block's threads.

    Instructions are compiled to functions of the active threads: True for all of them, or an array of bool.
    """

    def __init__(self, program, kernel, memory, grid, block, shared_bytes, args):
        self.threads = int(np.prod(block))
        self.memory = memory
        variables = program.variables + kernel.variables
        self.shared = Shared([v for v in variables if v.space == "shared"], shared_bytes)
        self.local = Local([v for v in variables if v.space == "local"], self.threads)
        self.symbols = dict(self.shared.symbols) | self.local.symbols
        for v in variables:
            if v.space in ("global", "const"):
                data = np.frombuffer(v.data.ljust(v.size, b"\0"), np.uint8)
                self.symbols[v.name] = memory.put(data)
        self.params, at = b"", 0
        for param, arg in zip(kernel.params, args, strict=True):
            at = -(-len(self.params) // param.align) * param.align
            self.params = self.params.ljust(at, b"\0") + arg
            self.symbols[param.name] = at
        self.params = np.frombuffer(self.params + bytes(16), np.uint8)
        self.registers = {}
        for bits, width in ((16, np.uint16), (32, np.uint32), (64, np.uint64), (1, np.bool_)):
            names = [
                name
                for name, kind in kernel.registers.items()
                if max(BITS[kind], 16 * (kind != "pred")) == bits
            ]
            rows = np.zeros((len(names), self.threads), width)
            self.registers.update(zip(names, rows, strict=True))
        self.copies = []  # cp.async: what is on its way
        self.groups = np.zeros(self.threads, np.int64)  # cp.async groups committed by each thread
        self._specials(grid, block)

    def _specials(self, grid, block):
        def constant(value):
            return np.full(self.threads, value, np.uint32)

        flat = np.arange(self.threads, dtype=np.uint32)
        tid = (flat % block[0], flat // block[0] % block[1], flat // (block[0] * block[1]))
        for k, axis in enumerate(AXES):
            self.registers[f"%tid.{axis}"] = tid[k].astype(np.uint32)
            self.registers[f"%ntid.{axis}"] = constant(block[k])
            self.registers[f"%ctaid.{axis}"] = constant(0)
            self.registers[f"%nctaid.{axis}"] = constant(grid[k])
        self.lane = flat % WARP
        self.registers["%laneid"] = self.lane
        self.registers["%warpid"] = flat // WARP
        one = np.uint32(1)
        self.registers["%lanemask_eq"] = one << self.lane
        self.registers["%lanemask_lt"] = (one << self.lane) - one
        self.registers["%lanemask_le"] = ((one << self.lane) - one) | (one << self.lane)
        self.registers["%lanemask_gt"] = ~self.registers["%lanemask_le"]
        self.registers["%lanemask_ge"] = ~self.registers["%lanemask_lt"]

    def begin(self, x, y, z):
        """The next block: its number, poisoned shared memory, no copy on its way."""
        for axis, value in zip(AXES, (x, y, z), strict=True):
            self.registers[f"%ctaid.{axis}"][:] = value
        self.shared.poison()
        self.copies.clear()
        self.groups[:] = 0

    # ---- operands ---------------------------------------------------------------------------------------

    def register(self, i, op):
        if isinstance(op, Symbol) and op.name == "WARP_SZ":
            return np.full(self.threads, WARP, np.uint32)
        if not isinstance(op, Reg | Not) or op.name not in self.registers:
            raise Unknown(f"line {i.line}: {op} is no register")
        return self.registers[op.name]

    def source(self, i, op, kind):
        """A function that gives the operand's values now, as numbers of `kind`."""
        if isinstance(op, Imm):
            value = constant(op, kind)
            return lambda: value
        if isinstance(op, Symbol) and op.name in self.symbols:
            value = np.array(self.symbols[op.name], np.uint64).astype(NUMPY[kind])[()]
            return lambda: value
        array = self.register(i, op)
        if isinstance(op, Not):
            return lambda: ~array
        view = self._low(i, array, kind)
        return lambda: view

    def values(self, i, op, kind):
        """The same, of constants too an array over the threads."""
        get = self.source(i, op, kind)
        return get if np.ndim(get()) else (lambda: np.full(self.threads, get()))

    def target(self, i, op, kind):
        """The array that an operation of `kind` may write directly, or None where it must be extended."""
        if isinstance(op, Symbol) and op.name == "_":
            return np.empty(self.threads, NUMPY[kind])
        array = self.register(i, op)
        if isinstance(op, Not) or op.name.split(".")[0] in ("%tid", "%ntid", "%ctaid", "%nctaid"):
            raise Unknown(f"line {i.line}: {op} cannot be written")
        return array.view(NUMPY[kind]) if array.dtype.itemsize == np.dtype(NUMPY[kind]).itemsize else None

    def sink(self, i, op, kind):
        """A function (values, active) that writes the operand; into a wider register with the type's sign."""
        view = self.target(i, op, kind)
        if view is not None:
            return lambda values, active: np.copyto(view, values, where=active)
        array = self.register(i, op)
        if array.dtype.itemsize < np.dtype(NUMPY[kind]).itemsize or kind in ("f16", "f32", "f64", "pred"):
            raise Unknown(f"line {i.line}: {op} is no register for a result of type {kind}")
        wide = array.view(np.dtype(f"i{array.dtype.itemsize}") if kind.startswith("s") else array.dtype)
        return lambda values, active: np.copyto(wide, values.astype(wide.dtype), where=active)

    def _low(self, i, array, kind):
        """The low bits of every register, as a live view."""
        have, want = array.dtype.itemsize, np.dtype(NUMPY[kind]).itemsize
        if have < want or (array.dtype == np.bool_) != (kind == "pred"):
            raise Unknown(f"line {i.line}: an operand of type {kind} in a register of {8 * have} bits")
        return array.view(NUMPY[kind])[:: have // want]

    def address(self, i, op):
        """A function that gives every thread's address, signed so that offsets may be negative."""
        if not isinstance(op, Mem):
            raise Unknown(f"line {i.line}: {op} is no address")
        if isinstance(op.base, Reg):
            wide = self.register(i, op.base)
            view = wide.view(np.int64) if wide.dtype == np.uint64 else wide
            return lambda: view.astype(np.int64) + op.offset
        base = op.base.bits if isinstance(op.base, Imm) else self.symbols.get(op.base.name)
        if base is None:
            raise Unknown(f"line {i.line}: {op.base.name} is declared nowhere")
        fixed = np.full(self.threads, base + op.offset, np.int64)
        return lambda: fixed

    # ---- generic addresses ------------------------------------------------------------------------------

    def spaces(self, address, thread, name):
        """(space, addresses in it, which of the accesses) for a state space; None: generic addresses."""
        if name in ("global", "const"):
            return [(self.memory, address, slice(None))]
        if name == "shared":
            return [(self.shared, address, slice(None))]
        if name == "local":
            return [(self.local, self.local.at(address, thread), slice(None))]
        shared = (address >= SHARED_WINDOW) & (address < SHARED_WINDOW + WINDOW)
        local = (address >= LOCAL_WINDOW) & (address < LOCAL_WINDOW + WINDOW)
        out = []
        if shared.any():
            out.append((self.shared, address[shared] - SHARED_WINDOW, shared))
        if local.any():
            out.append((self.local, self.local.at(address[local] - LOCAL_WINDOW, thread[local]), local))
        rest = ~(shared | local)
        if rest.any():
            out.append((self.memory, address[rest], rest))
        return out


def constant(op, kind):
    if op.kind == "int":
        if kind in ("f16", "f32", "f64"):
            raise Unknown(f"an integer where {kind} is wanted")
        bits = op.bits % (1 << BITS[kind])
    elif op.kind == "f32" and kind == "f64":
        return np.float64(np.array(op.bits, np.uint32).view(np.float32))
    else:
        bits = op.bits
    if kind == "pred":
        return np.bool_(bits)
    return np.array(bits, UNSIGNED[BITS[kind]]).view(NUMPY[kind])[()]
