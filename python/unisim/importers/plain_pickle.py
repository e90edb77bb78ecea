"""Pickles of plain data (dicts, lists, texts, numbers, arrays of numbers), read without running what they name.

The pickle may name numpy's reconstruction of arrays and scalars and nothing else, and even these names are answered by
inert stand-ins that note type, shape and bytes. `read` does this in a child process with limits on memory and time, for
a pickle can also ask for absurd amounts of either; what comes back from the child is JSON.
"""

import base64
import codecs
import io
import json
import math
import pickle
import sys
from typing import Any

MAX_DEPTH = 16
MAX_VALUES = 5_000_000
MEMORY_LIMIT = 4 << 30  # bytes of address space for the child
TIME_LIMIT = 300  # seconds

_TYPES = {"b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}


class _Type:
    """Stands in for numpy.dtype: numpy.dtype("i8", 0, 1), then its state."""

    def __init__(self, code: str, align: object = False, copy: object = False) -> None:
        if code not in _TYPES:
            raise pickle.UnpicklingError(f"an array of type {code!r}; plain numbers are expected")
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) < 8 or state[1] not in ("<", "|") or state[2:5] != (None, None, None):
            raise pickle.UnpicklingError("an array type that is not a plain little-endian number")


class _Array:
    """Stands in for numpy.ndarray: made empty, then given (version, shape, type, column-major, bytes)."""

    shape: tuple[int, ...] = ()
    code = ""
    data = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, column_major, data = state
        if column_major:
            raise pickle.UnpicklingError("an array that is not row-major")
        self.hold(shape, kind, data)

    def hold(self, shape: object, kind: object, data: object) -> None:
        if isinstance(data, str):  # bytes, as Python 2 wrote them
            data = data.encode("latin-1")
        if type(kind) is not _Type or type(shape) is not tuple or type(data) is not bytes:
            raise pickle.UnpicklingError("an array that is not plain numbers")
        if not all(type(extent) is int and extent >= 0 for extent in shape) or len(shape) > MAX_DEPTH:
            raise pickle.UnpicklingError(f"an array of shape {shape}")
        if math.prod(shape) * int(kind.code[1:]) != len(data):
            raise pickle.UnpicklingError(
                f"an array of shape {shape} and type {kind.code} with {len(data)} bytes"
            )
        self.shape, self.code, self.data = shape, kind.code, data


_NDARRAY = object()  # the pickle passes numpy.ndarray to _reconstruct and may do nothing else with it


def _reconstruct(subtype: object, shape: object, kind: object) -> _Array:
    if subtype is not _NDARRAY:
        raise pickle.UnpicklingError("an array of a class other than numpy.ndarray")
    return _Array()


def _scalar(kind: object, data: object) -> _Array:
    found = _Array()
    found.hold((), kind, data)
    return found


def _encode(text: object, encoding: object) -> bytes:
    """Stands in for codecs.encode, by which protocol 2 writes bytes."""
    if type(text) is not str or encoding != "latin1":
        raise pickle.UnpicklingError("a call of codecs.encode other than that for bytes")
    return codecs.encode(text, "latin1")


def _empty() -> bytes:
    """Stands in for bytes(), by which protocol 2 writes no bytes."""
    return b""


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty,
    ("builtins", "bytes"): _empty,
    **{
        (f"numpy.{core}.multiarray", name): stand_in
        for core in ("core", "_core")
        for name, stand_in in (("_reconstruct", _reconstruct), ("scalar", _scalar))
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}; only plain data is admitted") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside itself")


class _Writer:
    """Plain data as JSON: what JSON lacks is an object of one key. A shared part counts as often as it is met."""

    left = MAX_VALUES

    def value(self, node: Any, depth: int = 0) -> Any:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise pickle.UnpicklingError("more values, or deeper ones, than are admitted")
        kind = type(node)
        if node is None or kind in (bool, str):
            return node
        if kind is int and abs(node) < 1 << 63 or kind is float:
            return node
        if kind in (list, tuple):
            return [self.value(child, depth + 1) for child in node]
        if kind is dict:
            return {"dict": [[self._key(key), self.value(child, depth + 1)] for key, child in node.items()]}
        if kind is bytes:
            return {"bytes": base64.b64encode(node).decode()}
        if kind is _Array and node.code:
            return {"array": [node.code, list(node.shape), base64.b64encode(node.data).decode()]}
        raise pickle.UnpicklingError(f"{kind.__name__}; plain data is expected")

    def _key(self, key: object) -> str:
        if type(key) is bytes:  # the names of pickles of Python 2
            key = key.decode("latin-1")
        if type(key) is not str:
            raise pickle.UnpicklingError(f"a key of {type(key).__name__}; texts are expected")
        return key


def written(data: bytes) -> str:
    """The pickled data as JSON, in this process.

    Raises
    ------
    ValueError
        If the pickle is damaged, or holds or names anything but plain data.
    """
    try:
        return json.dumps(_Writer().value(_Unpickler(io.BytesIO(data), encoding="latin-1").load()))
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise ValueError(f"not a pickle of plain data: {error}") from error


def read(data: bytes, source: str) -> Any:
    """The pickled data: dicts with keys of text, lists (tuples too), texts, bytes, numbers, numpy arrays.

    `source` names the pickle in errors.

    Raises
    ------
    ValueError
        If the pickle is damaged, holds or names anything else, or the child exceeds its limits.
    """
    from unisim import child_reader  # not at the top: the child is this file, and stands alone

    found = child_reader.output_of(
        __file__, data=data, said_by=f"[import] {source}", what="the pickle", seconds=TIME_LIMIT
    )
    return _back(json.loads(found))


def _back(node: Any) -> Any:
    if isinstance(node, list):
        return [_back(child) for child in node]
    if not isinstance(node, dict):
        return node
    ((kind, held),) = node.items()
    if kind == "dict":
        return {key: _back(child) for key, child in held}
    if kind == "bytes":
        return base64.b64decode(held)
    import numpy

    code, shape, data = held
    return numpy.frombuffer(base64.b64decode(data), dtype=f"<{code}").reshape(shape)


def main() -> int:
    """The child: a pickle on stdin, JSON on stdout, an error on stderr."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        sys.stdout.write(written(sys.stdin.buffer.read()))
    except (MemoryError, ValueError) as error:
        print(str(error) or "not a pickle of plain data: out of memory", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
