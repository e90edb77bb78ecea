"""Weights out of pickles and ONNX files, read without trust."""

import os
import pickle
import pickletools

import numpy as np
import pytest

from lpips_arrays import lpips_arrays
from unisim.weights import dinov2, lpips, onnx_file, pickled_arrays

# ---- pickles


def conv_dict():
    return {
        "Conv_0": {
            "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
            "bias": np.zeros(2, np.float32),
        }
    }


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_pickle_of_nested_arrays_is_read_in_a_child(protocol):
    arrays = pickled_arrays.read(pickle.dumps(conv_dict(), protocol), "a.ckpt")
    assert sorted(arrays) == ["Conv_0/bias", "Conv_0/kernel"]
    np.testing.assert_array_equal(arrays["Conv_0/kernel"], conv_dict()["Conv_0"]["kernel"])


class Runs:
    """A pickle that runs a function when it is read."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "payload",
    [
        Runs(os.system, "touch PWNED"),
        Runs(eval, "open('PWNED', 'w')"),
        Runs(np.fromfile, "/dev/zero"),
        Runs(np.ndarray, (1 << 40,)),
        Runs(np.dtype, "O"),
        np.array([{"a": 1}], dtype=object),
        np.ma.masked_array([1.0], [True]),
        np.array(["text"]),
        np.zeros(3, dtype=[("a", "f4")]),
        np.zeros(3, dtype=">f4"),
        np.asfortranarray(np.ones((2, 3), np.float32)),
    ],
    ids=[
        "system",
        "eval",
        "fromfile",
        "ndarray call",
        "object type",
        "objects",
        "masked",
        "text",
        "record",
        "swapped",
        "fortran",
    ],
)
def test_a_pickle_with_anything_but_plain_arrays_is_refused(payload, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="not a pickle of numpy arrays"):
        pickled_arrays.load(pickle.dumps({"a": payload}, 3))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [[np.zeros(1)], {"a": 1}, {1: np.zeros(1)}, {"a/b": np.zeros(1)}, {"a": {}}, "text"], ids=repr
)
def test_a_pickle_of_other_containers_is_refused_or_empty(content):
    if content == {"a": {}}:
        assert pickled_arrays.load(pickle.dumps(content)) == {}
        return
    with pytest.raises(ValueError, match="not a pickle of numpy arrays"):
        pickled_arrays.load(pickle.dumps(content))


@pytest.mark.parametrize("protocol, name", [(2, "_codecs.encode"), (5, "numpy._core.numeric._frombuffer")])
def test_other_protocols_name_other_functions_and_are_refused(protocol, name):
    with pytest.raises(ValueError, match=rf"\[get\] a.ckpt: .* it names {name}"):
        pickled_arrays.read(pickle.dumps(conv_dict(), protocol), "a.ckpt")


def test_an_array_of_another_class_is_refused():
    class Other:
        def __reduce__(self):
            reconstruct = np.zeros(1).__reduce__()[0]
            return reconstruct, (np.dtype, (0,), b"b"), (1, (1,), np.dtype("f4"), False, b"0000")

    with pytest.raises(ValueError, match=r"a class other than numpy\.ndarray"):
        pickled_arrays.load(pickle.dumps({"a": Other()}, 3))


def test_a_pickle_nested_too_deep_is_refused():
    node = {"a": np.zeros(1)}
    for _ in range(pickled_arrays.MAX_DEPTH):
        node = {"a": node}
    with pytest.raises(ValueError, match="not a pickle"):
        pickled_arrays.load(pickle.dumps(node))


def test_every_truncation_of_a_pickle_is_refused():
    data = pickletools.optimize(pickle.dumps({"a": np.ones(2, np.float32)}, 3))
    for length in range(len(data)):
        with pytest.raises(ValueError, match="not a pickle of numpy arrays"):
            pickled_arrays.load(data[:length])


def test_every_changed_byte_of_a_pickle_loads_or_is_refused():
    data = bytearray(pickletools.optimize(pickle.dumps({"a": np.ones(2, np.float32)}, 3)))
    for at in range(len(data)):
        old = data[at]
        for value in (0x00, 0x2E, 0x52, 0x62, 0x7F, 0x80, 0xFF, old ^ 1):
            data[at] = value
            try:
                for array in pickled_arrays.load(bytes(data)).values():
                    assert array.dtype.kind in "fiu"
            except ValueError as error:
                assert str(error).startswith("not a pickle of numpy arrays")
        data[at] = old


def test_a_pickle_that_asks_for_too_much_memory_ends_the_child_alone():
    bomb = b"\x80\x03r\xff\xff\xff\x7f."  # a memo of 2^31 entries: 16 GiB
    with pytest.raises(ValueError, match=r"\[get\] bomb.ckpt: "):
        pickled_arrays.read(bomb, "bomb.ckpt")


# ---- ONNX files


def field(number, wire, content):
    key = number << 3 | wire
    if wire == 0:
        return varint(key) + varint(content)
    return varint(key) + varint(len(content)) + content


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def onnx_tensor(name, array, packed=True, kind=1):
    array = np.asarray(array)
    dims = (
        field(1, 2, b"".join(map(varint, array.shape)))
        if packed
        else b"".join(field(1, 0, n) for n in array.shape)
    )
    return dims + field(2, 0, kind) + field(8, 2, name.encode()) + field(9, 2, array.tobytes())


def onnx_node(operation, name, *inputs):
    return (
        b"".join(field(1, 2, i.encode()) for i in inputs)
        + field(3, 2, name.encode())
        + field(4, 2, operation.encode())
    )


def onnx_model(tensors, nodes=()):
    graph = b"".join(field(1, 2, n) for n in nodes) + b"".join(field(5, 2, t) for t in tensors)
    return field(1, 0, 7) + field(2, 2, b"maker") + field(7, 2, graph)


def test_initialisers_and_nodes_of_an_onnx_file_are_read():
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(4, dtype=np.float16)
    data = onnx_model(
        [onnx_tensor("a", a), onnx_tensor("b", b, packed=False, kind=10)],
        [onnx_node("MatMul", "/x/MatMul", "y", "a")],
    )
    model = onnx_file.read(data, "m.onnx")
    np.testing.assert_array_equal(model.tensors["a"], a)
    np.testing.assert_array_equal(model.tensors["b"], b)
    assert model.nodes == [onnx_file.Node("MatMul", "/x/MatMul", ("y", "a"))]


def test_an_onnx_file_reads_as_the_onnx_package_reads_it():
    onnx = pytest.importorskip("onnx")
    arrays = {
        "w": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
        "i": np.arange(5),
        "s": np.float32(2.5),
    }
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="/m/MatMul")],
        "g",
        [],
        [],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()],
    )
    model = onnx_file.read(onnx.helper.make_model(graph).SerializeToString(), "m.onnx")
    assert model.tensors.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(model.tensors[name], array)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "0 graphs"),
        (onnx_model([]) * 2, "2 graphs"),
        (b"\x80\x02K\x01.", "is a number|wire type|does not end|0 graphs|bytes"),
        (field(7, 0, 3), "is a number"),
        (onnx_model([onnx_tensor("a", np.zeros(2, np.float32))] * 2), "two tensors are named 'a'"),
        (onnx_model([onnx_tensor("a", np.zeros(2, np.float32), kind=8)]), "'a' has type 8"),
        (onnx_model([onnx_tensor("a", np.zeros(2, np.float64))]), "has 16 bytes"),
        (onnx_model([field(1, 0, 1 << 40) + field(1, 0, 1 << 40) + field(2, 0, 1)]), "has 0 bytes"),
        (onnx_model([field(1, 0, 1)] * 1 + [b"\x08\x01" * 9 + field(2, 0, 1)]), "has"),
        (onnx_model([field(8, 2, b"a") + field(14, 0, 1)]), "'a' lies in another file"),
        (onnx_model([field(8, 2, b"a") + field(13, 2, b"x")]), "'a' lies in another file"),
        (onnx_model([field(8, 2, b"\xff")]), "decode"),
        (b"\xff" * 20, "does not end"),
        (b"\x3b", "wire type 3"),
        (b"\x3a\x7f\x00", "127 bytes, 1 are left"),
    ],
)
def test_a_damaged_or_hostile_onnx_file_is_refused(data, words):
    with pytest.raises(ValueError, match=rf"\[get\] m.onnx: not a readable ONNX file: .*({words})"):
        onnx_file.read(data, "m.onnx")


def test_every_truncation_and_changed_byte_of_an_onnx_file_loads_or_is_refused():
    data = bytearray(
        onnx_model([onnx_tensor("a", np.ones(3, np.float32))], [onnx_node("MatMul", "/n", "x", "a")])
    )
    variants = [bytes(data[:n]) for n in range(len(data))]
    for at in range(len(data)):
        variants += [bytes(data[:at] + bytes([v]) + data[at + 1 :]) for v in range(256)]
    for variant in variants:
        try:
            onnx_file.read(variant, "m.onnx")
        except ValueError as error:
            assert str(error).startswith("[get] m.onnx: ")


# ---- names


@pytest.mark.parametrize("net, convolutions", [("alex", 5), ("vgg", 13)])
def test_lpips_convolutions_turn_from_hwio_to_oihw(net, convolutions):
    arrays = lpips_arrays(net)
    tensors = lpips.named_tensors(arrays, net, "p")
    assert len(tensors) == 2 * convolutions + 5
    kernel, weight = arrays[f"{lpips.ROOTS[net]}/Conv_0/kernel"], tensors["net.slice1.0.weight"]
    assert weight.shape == (64, 3, 3, 2)
    assert weight[5, 1, 2, 0] == kernel[2, 0, 1, 5]
    assert tensors["lin4.model.1.weight"].shape == (1, lpips.CHANNELS[net][4], 1, 1)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda a: a.pop("AlexNet_0/Conv_3/bias"), "there is no array AlexNet_0/Conv_3/bias"),
        (lambda a: a.update(more=np.zeros(1)), "arrays that LPIPS does not have: more"),
        (lambda a: a.update({"AlexNet_0/Conv_1/bias": np.zeros(192)}), "float64"),
        (
            lambda a: a.update({"NetLinLayer_2/Conv_0/kernel": np.zeros((1, 1, 9, 1), np.float32)}),
            r"\[1, 1, 9, 1\]",
        ),
    ],
    ids=["missing", "unknown", "type", "shape"],
)
def test_a_pickle_that_is_not_lpips_is_refused_by_name(change, words):
    arrays = lpips_arrays("alex")
    change(arrays)
    with pytest.raises(ValueError, match=words):
        lpips.named_tensors(arrays, "alex", "p")


@pytest.fixture
def small_dinov2(monkeypatch):
    """DINOv2's shapes, shrunk; returns (tensors by Hugging Face name, the ONNX file that holds them)."""
    for name, value in {"LAYERS": 2, "WIDTH": 4, "PATCH": 2, "GRID": 3}.items():
        monkeypatch.setattr(dinov2, name, value)
    generator = np.random.default_rng(3)
    wanted = {name: generator.random(shape, np.float32) for name, shape in dinov2._expected().items()}
    wanted["embeddings.mask_token"][:] = 0
    positions = wanted["embeddings.position_embeddings"]
    tensors = [
        onnx_tensor("onnx::Concat_1", positions[:, :1]),
        onnx_tensor("onnx::Reshape_2", positions[:, 1:]),
    ]
    nodes = [onnx_node("MatMul", "/backbone/encoder/layer.0/attention/attention/MatMul", "q", "k")]
    for i, (name, array) in enumerate(wanted.items()):
        if array.ndim == 2 and name.startswith("encoder."):
            tensors.append(onnx_tensor(f"onnx::MatMul_{i}", array.T.copy()))
            path = (
                name.removesuffix(".weight").replace("layer.", "layer~").replace(".", "/").replace("~", ".")
            )
            nodes.append(onnx_node("MatMul", f"/backbone/{path}/MatMul", "x", f"onnx::MatMul_{i}"))
        elif name not in ("embeddings.position_embeddings", "embeddings.mask_token"):
            tensors.append(onnx_tensor(f"backbone.{name}", array))
    tensors.append(onnx_tensor("decoder.conv.weight", np.zeros((1, 2), np.float32)))
    return wanted, onnx_model(tensors, nodes)


def test_dinov2_comes_out_of_its_onnx_file_under_hugging_face_names(small_dinov2):
    wanted, data = small_dinov2
    tensors = dinov2.named_tensors(onnx_file.read(data, "m.onnx"), "m.onnx")
    assert tensors.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(tensors[name], array, err_msg=name)


def test_an_onnx_file_without_a_tensor_of_dinov2_is_refused_by_name(small_dinov2):
    _, data = small_dinov2
    with pytest.raises(ValueError, match="tensor encoder.layer.1.mlp.fc2.weight is missing"):
        renamed = data.replace(b"/layer.1/mlp/fc2/MatMul", b"/layer.1/mlp/fcX/XatMul")
        dinov2.named_tensors(onnx_file.read(renamed, "m.onnx"), "m.onnx")
    with pytest.raises(ValueError, match="positions: found"):
        renamed = data.replace(b"onnx::Concat_1", b"onnxX:Concat_1")
        dinov2.named_tensors(onnx_file.read(renamed, "m.onnx"), "m.onnx")
