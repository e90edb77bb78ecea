"""plain_pickle: what a pickle holds, and nothing of what it would run."""

import base64
import collections
import datetime
import pickle
import pickletools
import struct

import numpy
import pytest

from unisim.importers import plain_pickle

PLAIN = {
    "imlist": ["all_souls_000001", "é"],
    "gnd": [{"easy": [0, 1], "hard": (), "bbx": [1.5, -2.0], "none": None, "yes": True}],
    "bytes": [b"\x00\xff", b""],
    "number": 1 << 40,
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_comes_back(protocol):
    expected = {**PLAIN, "gnd": [{**PLAIN["gnd"][0], "hard": []}]}
    assert plain_pickle.read(pickle.dumps(PLAIN, protocol), "x") == expected


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("code", ["u1", "i4", "i8", "f4", "f8", "b1"])
def test_arrays_and_scalars_of_numpy_come_back(protocol, code):
    array = numpy.arange(6).reshape(2, 3).astype(code)
    found = plain_pickle.read(pickle.dumps({"a": array, "s": array[1, 1], "e": array[:0]}, protocol), "x")
    assert found["e"].shape == (0, 3) and found["e"].dtype == array.dtype
    assert found["a"].dtype == array.dtype and numpy.array_equal(found["a"], array)
    assert found["s"].shape == () and found["s"] == array[1, 1]


def test_a_pickle_of_python_2_is_read():
    """Protocol 2 with byte strings as keys and as the array's data, which Python 3 no longer writes."""
    data = (
        b"\x80\x02}(U\x04dataq\x01cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x02\x07\xfftbU\x06labels]K\x05au."
    )
    assert sum(1 for _ in pickletools.genops(data)) > 40  # well-formed to its end
    found = plain_pickle.read(data, "x")
    assert found["data"].tolist() == [7, 255] and found["labels"] == [5]


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(path):
    import builtins
    import os
    import subprocess

    return {
        "os.system": Call(os.system, f"touch {path}"),
        "subprocess": Call(subprocess.check_call, ["touch", path]),
        "exec": Call(builtins.exec, f"open({path!r}, 'w')"),
        "eval": Call(builtins.eval, f"open({path!r}, 'w')"),
        "getattr": Call(getattr, "x", "upper"),
        "open": Call(open, path, "w"),
        "numpy.load": Call(numpy.load, path),
        "numpy.fromfile": Call(numpy.fromfile, path),
    }


@pytest.mark.parametrize("name", sorted(hostile("x")))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path, name, protocol):
    path = str(tmp_path / "ran")
    data = pickle.dumps({"imlist": [hostile(path)[name]]}, protocol)
    with pytest.raises(ValueError, match=r"^\[import\] gnd.pkl: .*it names .*only plain data is admitted"):
        plain_pickle.read(data, "gnd.pkl")
    assert list(tmp_path.iterdir()) == []


def test_the_same_pickle_would_have_run_without_the_reader(tmp_path):
    pickle.loads(pickle.dumps(hostile(str(tmp_path / "ran"))["os.system"]))
    assert (tmp_path / "ran").exists()


def bomb():
    node = ["x"]
    for _ in range(10):
        node = [node] * 100
    return node


def deep():
    node = []
    for _ in range(50):
        node = [node]
    return node


def array_state(*state):
    """An array whose parts are not as numpy writes them."""
    _, _, kept = numpy.zeros(2, "u1").__reduce__()
    found = list(kept)
    for place, value in state:
        found[place] = value
    return Call2(numpy.zeros(2, "u1").__reduce__()[:2], tuple(found))


class Call2:
    def __init__(self, call, state):
        self.all = *call, state

    def __reduce__(self):
        return self.all


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "not a pickle"),
        (b"no pickle", "not a pickle"),
        (pickle.dumps(PLAIN)[:-5], "not a pickle"),
        (pickle.dumps(datetime.date(2020, 1, 1)), "it names datetime.date"),
        (pickle.dumps(collections.OrderedDict(a=1)), "it names collections.OrderedDict"),
        (pickle.dumps({1, 2}), "set"),
        (pickle.dumps({1: 2}), "a key of int"),
        (pickle.dumps(1 << 64), "int; plain data"),
        (pickle.dumps(bomb()), "more values"),
        (pickle.dumps(deep()), "deeper"),
        (pickle.dumps(numpy.array(["x"])), "'U1'"),
        (pickle.dumps(numpy.array([Call(print)], object)), "'O8'"),
        (pickle.dumps(numpy.zeros(2, ">i4"), 2), "little-endian"),
        (pickle.dumps(numpy.zeros((2, 2), order="F")[:, :], 2), "row-major"),
        (pickle.dumps(numpy.zeros(2, [("a", "i4")])), "'V4'"),
        (pickle.dumps(array_state((1, (1 << 40,)))), "with 2 bytes"),
        (pickle.dumps(array_state((1, (-2,)))), "shape"),
        (pickle.dumps(array_state((4, [1, 2]))), "not plain numbers"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.", "not a pickle"),  # a text of a terabyte
        (b"Pos\n.", "it refers to objects outside itself"),
        (b"cnumpy\nndarray\n.", "object; plain data"),
        (b"cnumpy\ndtype\n.", "type; plain data"),
        (b"cbuiltins\nbytes\n(I9\ntR.", "not a pickle"),
        (b"cbuiltins\nbytes\n.", "function; plain data"),
    ],
)
def test_what_is_no_plain_data_is_refused(data, words):
    with pytest.raises(ValueError) as raised:
        plain_pickle.read(data, "gnd.pkl")
    assert str(raised.value).startswith("[import] gnd.pkl: ") and words in str(raised.value)


def test_infinite_data_is_refused():
    node = []
    node.append(node)
    with pytest.raises(ValueError, match="deeper"):
        plain_pickle.read(pickle.dumps(node), "x")


def test_a_text_cannot_pass_for_the_readers_own_marks():
    fake = {"array": ["u1", [1], base64.b64encode(b"x").decode()], "bytes": "AA==", "dict": []}
    assert plain_pickle.read(pickle.dumps(fake), "x") == fake
