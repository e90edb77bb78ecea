"""The list of known instructions: name to the function that compiles one."""

import numpy as np

from .parse import Reg, Unknown

BUILDERS = {}
WARP_WIDE = {}  # those that wait for the lanes their mask names: name to what finds the mask's operand


def operation(*names, mask=None):
    """Registers build(i, machine) -> run(active); `mask` finds the mask among a warp operation's operands."""

    def register(build):
        for name in names:
            BUILDERS[name] = build
            if mask:
                WARP_WIDE[name] = mask
        return build

    return register


def build(i, machine):
    if i.name not in BUILDERS:
        raise Unknown(f"line {i.line}: the runner does not know the instruction {i.text}")
    run = BUILDERS[i.name](i, machine)
    if i.guard is None:
        return run
    array = machine.register(i, i.guard)
    wanted = isinstance(i.guard, Reg)

    def guarded(active):
        chosen = (array if wanted else ~array) & active
        if chosen.any():
            run(chosen)

    return guarded


def the_type(i, allowed=None):
    if len(i.types) != 1 or (allowed and i.types[0] not in allowed):
        i.refuse("type ." + ".".join(i.types))
    return i.types[0]


def apply(i, machine, function, kind, *, sources=None, result=None):
    """dst = function(sources): with `out` and `where` when it is a ufunc whose result needs no extension."""
    kinds = sources or [kind] * (len(i.operands) - 1)
    get = [machine.source(i, op, k) for op, k in zip(i.operands[1:], kinds, strict=True)]
    result = result or kind
    view = machine.target(i, i.operands[0], result)
    if isinstance(function, np.ufunc) and view is not None:
        if len(get) == 1:
            (a,) = get
            return lambda active: function(a(), out=view, where=active)
        a, b = get
        return lambda active: function(a(), b(), out=view, where=active)
    put = machine.sink(i, i.operands[0], result)
    return lambda active: put(function(*[g() for g in get]), active)
