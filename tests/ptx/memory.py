"""Memory in which every byte that may be touched is known: global, a block's shared, and local memory."""

import numpy as np

from .parse import PtxError

POISON = 0xFF  # not a number in every float, -1 in integers
GLOBAL_BASE = 0x7F00_0000_0000
SHARED_WINDOW = 0x10_0000_0000  # where shared and local memory lie among generic addresses
LOCAL_WINDOW = 0x20_0000_0000
WINDOW = 0x1000_0000
SHARED_BASE = 1024  # as on devices; keeps 0 out of bounds
GAP = 256  # between buffers; more than any access is wide


class Space:
    """Bytes from `base` on, of which those of an allocation may be touched."""

    def __init__(self, name, base, capacity=0):
        self.name = name
        self.base = base
        self.bytes = np.full(capacity, POISON, np.uint8)
        self.allowed = np.zeros(capacity, bool)
        self.end = 0
        self.places = []  # (offset, size) in order
        self.pending = None  # of shared memory: which 16 bytes a cp.async will still write

    def allocate(self, size, align=256, shift=0):
        offset = -(-(self.end + GAP) // align) * align + shift
        room = -(-(offset + size + GAP) // 256) * 256
        if room > len(self.bytes):
            self._grow(max(room, 2 * len(self.bytes)))
        self.allowed[offset : offset + size] = True
        self.end = offset + size
        self.places.append((offset, size))
        return self.base + offset

    def _grow(self, capacity):
        old = len(self.bytes)
        self.bytes = np.concatenate([self.bytes, np.full(capacity - old, POISON, np.uint8)])
        self.allowed = np.concatenate([self.allowed, np.zeros(capacity - old, bool)])

    def offsets(self, address, size, what):
        """Of accesses of `size` bytes, each aligned to its size, wholly inside an allocation."""
        offset = address - self.base
        if (offset & (size - 1)).any():
            bad = address[(offset & (size - 1)) != 0][0]
            raise PtxError(f"misaligned {what} of {size} bytes at {self.describe(bad)}")
        inside = (offset >= 0) & (offset + size <= len(self.bytes))
        if inside.all():
            inside = self.allowed[offset] & self.allowed[offset + (size - 1)]
        if not inside.all():
            raise PtxError(f"{what} of {size} bytes out of bounds at {self.describe(address[~inside][0])}")
        if self.pending is not None and self.pending.any():
            touched = self.pending[offset >> 4]
            if touched.any():
                where = self.describe(address[touched][0])
                raise PtxError(f"{what} of {size} bytes at {where}, where a cp.async is unfinished")
        return offset

    def describe(self, address):
        offset = int(address) - self.base
        below = [k for k, (start, _) in enumerate(self.places) if start <= offset]
        if not below:
            return f"{self.name} address {int(address):#x}, below every allocation"
        start, size = self.places[below[-1]]
        return f"byte {offset - start} of {self.name} allocation {below[-1]}, which has {size}"

    def load(self, address, kind, count=1, what="read"):
        """`count` arrays of numbers side by side at each address."""
        width = np.dtype(kind).itemsize
        first = self.offsets(address, width * count, what) // width
        view = self.bytes.view(kind)
        return [view[first + k] for k in range(count)]

    def store(self, address, values, what="write"):
        width = values[0].dtype.itemsize
        first = self.offsets(address, width * len(values), what) // width
        view = self.bytes.view(values[0].dtype)
        for k, value in enumerate(values):
            view[first + k] = value


class Memory(Space):
    """Global memory: buffers of exactly the sizes asked for, with gaps between."""

    def __init__(self):
        super().__init__("global", GLOBAL_BASE)
        self._arrays = {}

    def put(self, array, shift=0):
        """A device pointer to a copy, aligned to 256 bytes plus `shift`."""
        array = np.ascontiguousarray(array)
        pointer = self.allocate(array.nbytes, shift=shift)
        offset = pointer - self.base
        self.bytes[offset : offset + array.nbytes] = array.reshape(-1).view(np.uint8)
        self._arrays[pointer] = (array.dtype, array.shape)
        return pointer

    def new(self, shape, dtype, shift=0):
        """A device pointer to memory that nobody has written: every byte is 0xFF."""
        dtype = np.dtype(dtype)
        count = int(np.prod(shape))
        return self.put(np.full(count * dtype.itemsize, POISON, np.uint8).view(dtype).reshape(shape), shift)

    def get(self, pointer):
        dtype, shape = self._arrays[pointer]
        offset = pointer - self.base
        count = int(np.prod(shape)) * dtype.itemsize
        return self.bytes[offset : offset + count].copy().view(dtype).reshape(shape)


class Shared(Space):
    """A block's shared memory: each array apart, the dynamic part last, as long as the launch said."""

    LIMIT = 227 * 1024

    def __init__(self, variables, dynamic_bytes):
        super().__init__("shared", SHARED_BASE)
        self.symbols = {}
        used = dynamic_bytes
        for v in variables:
            if v.size is not None:
                self.symbols[v.name] = self.allocate(v.size, max(v.align, 16))
                used += v.size
        if used > self.LIMIT:
            raise PtxError(f"{used} bytes of shared memory; a block has {self.LIMIT}")
        start = self.allocate(dynamic_bytes, 128)
        self.symbols.update({v.name: start for v in variables if v.size is None})
        self.pending = np.zeros(len(self.bytes) // 16 + 1, bool)

    def poison(self):
        self.bytes[:] = POISON
        self.pending[:] = False


class Local(Space):
    """Each thread's own memory: `size` bytes at the same addresses."""

    def __init__(self, variables, threads):
        super().__init__("local", 0)
        self.symbols = {v.name: self.allocate(v.size, max(v.align, 16)) for v in variables}
        self.stride = len(self.bytes)
        self.bytes = np.tile(self.bytes, threads)
        self.allowed = np.tile(self.allowed, threads)

    def at(self, address, thread):
        """The place of a thread's address in the array that holds all threads' memory."""
        if ((address < 0) | (address >= max(self.stride, 1))).any():
            raise PtxError(f"local address {int(address.max()):#x} beyond {self.stride} bytes")
        return address + thread * self.stride
