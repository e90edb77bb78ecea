"""_core.pyi says what the extension binds: the same names, parameters and kinds of parameters."""

import ast
import re
from pathlib import Path

import pytest

import unisim
from unisim import _core

STUB = ast.parse((Path(unisim.__file__).parent / "_core.pyi").read_text())
QUIET = {"__repr__", "__eq__", "__hash__"}  # every object has these


def members(body):
    """name: node of the functions and classes in a stub's body; overloads of one function once."""
    return {
        node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[:1] != "_"
    } | {node.name: node for node in body if isinstance(node, ast.FunctionDef) and node.name[:2] == "__"}


def bound(owner):
    """The names that pybind11 put into a module or class."""
    special = {"__call__", "__len__", "__getitem__", "__iter__", "__array_interface__"}
    own = vars(owner)
    return {name for name in own if name[0] != "_"} | (special & own.keys())


def parameters_bound(function):
    """["a", "*", "b"] out of the first line of a pybind11 docstring."""
    inside = re.match(r"\w+\((.*)\) -> ", function.__doc__.splitlines()[0]).group(1)
    inside = re.sub(r"\[[^\[\]]*(\[[^\[\]]*\][^\[\]]*)*\]", "", inside)  # types in brackets hold commas
    names = [re.split(r"[:=]", part.strip())[0].strip() for part in inside.split(",") if part.strip()]
    return [name for name in names if name not in ("self", "/")]


def parameters_of_stub(node):
    """The same out of the stub."""
    arguments = node.args
    names = [a.arg for a in arguments.posonlyargs + arguments.args if a.arg != "self"]
    return names + (["*"] if arguments.kwonlyargs else []) + [a.arg for a in arguments.kwonlyargs]


def functions():
    for name, node in members(STUB.body).items():
        if isinstance(node, ast.FunctionDef):
            yield name, getattr(_core, name, None), node
        else:
            for method, inner in members(node.body).items():
                if inner.decorator_list and getattr(inner.decorator_list[0], "id", "") == "property":
                    continue
                yield f"{name}.{method}", getattr(getattr(_core, name, None), method, None), inner


def test_the_stub_has_the_names_of_the_extension_and_no_others():
    stub = members(STUB.body)
    constants = {node.target.id for node in STUB.body if isinstance(node, ast.AnnAssign) and node.value is None}
    assert stub.keys() | constants - {"__version__"} == bound(_core)
    for name, node in stub.items():
        if isinstance(node, ast.ClassDef):
            assert members(node.body).keys() - QUIET - {"__init__"} == bound(getattr(_core, name)), name


@pytest.mark.parametrize("name, function, node", [f for f in functions() if f[0].split(".")[-1][:2] != "__"])
def test_the_stub_has_the_parameters_of_the_extension(name, function, node):
    assert parameters_of_stub(node) == parameters_bound(function)


def test_every_public_name_is_there_and_documented():
    for name in unisim.__all__:
        assert getattr(unisim, name).__doc__ or name == "__version__", name
    assert unisim.__version__ == _core.__version__
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        unisim.nope  # noqa: B018
