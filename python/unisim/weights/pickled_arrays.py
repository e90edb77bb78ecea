"""Pickles of nested dicts of numpy arrays, read without running anything that they name.

The pickle may name numpy's array reconstruction and nothing else, and even these names are answered by inert stand-ins
that note shape, type and bytes: no function of numpy ever sees data of the pickle. `read` does this in a child process
with limits on memory and time, for a pickle can also ask for absurd amounts of either.
"""

import io
import math
import pickle
import sys
from typing import Any

MAX_DEPTH = 8
MEMORY_LIMIT = 2 << 30  # bytes of address space for the child
TIME_LIMIT = 120  # seconds

_TYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}


class _Type:
    """Stands in for numpy.dtype: numpy.dtype("f4", False, True), then its state."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if code not in _TYPES:
            raise pickle.UnpicklingError(f"an array of type {code!r}; plain numbers are expected")
        self.code = code
        self.order = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) < 8 or state[1] not in ("<", "|") or state[2:5] != (None, None, None):
            raise pickle.UnpicklingError("an array type that is not a plain little-endian number")
        self.order = state[1]


class _Array:
    """Stands in for numpy.ndarray: made empty, then given (version, shape, type, column-major, bytes)."""

    shape: tuple[int, ...] = ()
    type: _Type | None = None
    data: bytes = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, column_major, data = state
        if type(kind) is not _Type or type(shape) is not tuple or type(data) is not bytes or column_major:
            raise pickle.UnpicklingError("an array that is not plain, row-major numbers")
        if not all(type(extent) is int and extent >= 0 for extent in shape) or len(shape) > MAX_DEPTH:
            raise pickle.UnpicklingError(f"an array of shape {shape}")
        if math.prod(shape) * int(kind.code[1:]) != len(data):
            raise pickle.UnpicklingError(
                f"an array of shape {shape} and type {kind.code} with {len(data)} bytes"
            )
        self.shape, self.type, self.data = shape, kind, data


_NDARRAY = object()  # the pickle passes numpy.ndarray to _reconstruct and may do nothing else with it


def _reconstruct(subtype: object, shape: object, kind: object) -> _Array:
    if subtype is not _NDARRAY:
        raise pickle.UnpicklingError("an array of a class other than numpy.ndarray")
    return _Array()


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Type,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}; only arrays of numpy are admitted"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside itself")


def _flatten(node: Any, prefix: str, depth: int, into: dict[str, _Array]) -> None:
    if type(node) is _Array and node.type is not None:
        into[prefix] = node
    elif type(node) is dict and depth < MAX_DEPTH:
        for key, child in node.items():
            if type(key) is not str or "/" in key:
                raise pickle.UnpicklingError(f"a key under {prefix!r} that is no plain string")
            _flatten(child, f"{prefix}/{key}" if prefix else key, depth + 1, into)
    else:
        raise pickle.UnpicklingError(f"{type(node).__name__} under {prefix!r}; dicts of arrays are expected")


def load(data: bytes) -> dict[str, Any]:
    """The arrays of a pickled nested dict, by their keys joined with "/", in this process.

    Raises
    ------
    ValueError
        If the pickle is damaged, or holds or names anything but dicts of arrays of plain numbers.
    """
    import numpy

    arrays: dict[str, _Array] = {}
    try:
        _flatten(_Unpickler(io.BytesIO(data)).load(), "", 0, arrays)
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise ValueError(f"not a pickle of numpy arrays: {error}") from error
    return {
        name: numpy.frombuffer(array.data, dtype=f"<{array.type.code}").reshape(array.shape)
        for name, array in arrays.items()
        if array.type is not None
    }


def read(data: bytes, source: str) -> dict[str, Any]:
    """`load` in a child process with limits. `source` names the pickle in errors.

    Raises
    ------
    ValueError
        As `load`, or if the child exceeds its limits; the message names `source`.
    """
    import safetensors.numpy

    from unisim import child_reader  # not at the top: the child is this file, and stands alone

    found = child_reader.output_of(
        __file__, data=data, said_by=f"[get] {source}", what="the pickle", seconds=TIME_LIMIT
    )
    return safetensors.numpy.load(found)


def main() -> int:
    """The child: a pickle on stdin, safetensors on stdout, an error on stderr."""
    import resource

    import safetensors.numpy

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        sys.stdout.buffer.write(safetensors.numpy.save(load(sys.stdin.buffer.read())))
    except (MemoryError, ValueError) as error:
        print(str(error) or "not a pickle of numpy arrays: out of memory", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
