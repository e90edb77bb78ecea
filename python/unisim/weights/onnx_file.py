"""The weights in an ONNX file and the nodes that use them: a reader for the few protobuf fields that say so.

Field numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto, TensorProto). Every length is checked against
the bytes that are there, and weights kept in other files are refused.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TYPES = {1: "<f4", 10: "<f2", 11: "<f8", 6: "<i4", 7: "<i8"}  # TensorProto.DataType: numpy
MAX_DIMENSIONS = 8


@dataclass(frozen=True)
class Node:
    """One operation of the graph: "MatMul", its own name, the names of its inputs."""

    operation: str
    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class OnnxWeights:
    """Initialisers by name (numpy arrays over the file's bytes, not to be written to) and the nodes in order."""

    tensors: dict[str, Any]
    nodes: list[Node]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number that does not end")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a message: an int for varints, the bytes for everything else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"field {number} has wire type {wire}")
        if length > len(data) - at:
            raise ValueError(f"field {number} has {length} bytes, {len(data) - at} are left")
        yield number, data[at : at + length]
        at += length


def _bytes(number: int, value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError(f"field {number} is a number, bytes are expected")
    return value


def _numbers(value: int | memoryview) -> list[int]:
    """A repeated integer field: one number, or many packed."""
    if isinstance(value, int):
        return [value]
    numbers, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        numbers.append(number)
    return numbers


def _tensor(data: memoryview) -> tuple[str, Any]:
    import numpy

    name, shape, kind = "", [], 0
    raw: memoryview | None = None
    for number, value in _fields(data):
        if number == 1:
            shape += _numbers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = str(_bytes(number, value), "utf-8")
        elif number == 9:
            raw = _bytes(number, value)
        elif number == 13 or (number == 14 and value != 0):
            raise ValueError(f"tensor {name!r} lies in another file")
    if kind not in _TYPES:
        raise ValueError(
            f"tensor {name!r} has type {kind}; float16, float32, float64, int32 or int64 are expected"
        )
    dtype = numpy.dtype(_TYPES[kind])
    found = 0 if raw is None else len(raw)
    if len(shape) > MAX_DIMENSIONS or math.prod(shape) * dtype.itemsize != found:
        raise ValueError(f"tensor {name!r} of shape {shape} and type {dtype.name} has {found} bytes")
    return name, numpy.frombuffer(b"" if raw is None else raw, dtype=dtype).reshape(shape)


def _node(data: memoryview) -> Node:
    texts: dict[int, list[str]] = {1: [], 3: [], 4: []}
    for number, value in _fields(data):
        if number in texts:
            texts[number].append(str(_bytes(number, value), "utf-8"))
    return Node(operation="".join(texts[4][-1:]), name="".join(texts[3][-1:]), inputs=tuple(texts[1]))


def read(data: bytes, source: str) -> OnnxWeights:
    """The initialisers and nodes of the model's main graph. `source` names the file in errors.

    Raises
    ------
    ValueError
        If the bytes are no such file, a length exceeds what is there, two initialisers share a name, a tensor's bytes
        do not fit its shape, or it lies in another file.
    """
    tensors: dict[str, Any] = {}
    nodes: list[Node] = []
    try:
        graphs = [_bytes(number, value) for number, value in _fields(memoryview(data)) if number == 7]
        if len(graphs) != 1:
            raise ValueError(f"{len(graphs)} graphs, one is expected")
        for number, value in _fields(graphs[0]):
            if number == 1:
                nodes.append(_node(_bytes(number, value)))
            elif number == 5:
                name, array = _tensor(_bytes(number, value))
                if name in tensors:
                    raise ValueError(f"two tensors are named {name!r}")
                tensors[name] = array
    except ValueError as error:  # UnicodeDecodeError is one
        raise ValueError(f"[get] {source}: not a readable ONNX file: {error}") from error
    return OnnxWeights(tensors, nodes)
