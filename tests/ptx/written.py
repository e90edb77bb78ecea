"""PTX written by hand, for the runner's own tests."""

import numpy as np

from .run import Memory, Module

KERNEL = """
.version 9.0
.target sm_90
.address_size 64
{outside}
.visible .entry example(.param .u64 p0, .param .u64 p1, .param .u64 p2, .param .u64 p3, .param .u64 p4)
{{
  .reg .pred %p<10>;
  .reg .b16 %rs<20>;
  .reg .b32 %r<60>;
  .reg .f32 %f<60>;
  .reg .b64 %rd<60>;
  .reg .f64 %fd<20>;
  ld.param.u64 %rd50, [p0];
  ld.param.u64 %rd51, [p1];
  ld.param.u64 %rd52, [p2];
  ld.param.u64 %rd53, [p3];
  ld.param.u64 %rd54, [p4];
  mov.u32 %r50, %tid.x;
{body}
  ret;
}}
"""


def module(body, outside=""):
    return Module(KERNEL.format(body=body, outside=outside), "example")


def run(body, threads, *arrays, outside="", shared_bytes=0, grid=1):
    """The arrays after the kernel has had its way with them."""
    memory = Memory()
    pointers = [memory.put(array) for array in arrays]
    args = pointers + [0] * (5 - len(pointers))
    module(body, outside).launch(memory, "example", grid, threads, shared_bytes, args)
    return [memory.get(pointer) for pointer in pointers]


def place(base, register, width):
    """Code: register = the thread's own element of `width` bytes from base on."""
    return f"  mul.wide.u32 {register}, %r50, {width};\n  add.s64 {register}, {register}, {base};\n"


REGISTER = {"16": "%rs", "32": "%r", "64": "%rd", "f32": "%f", "f64": "%fd"}
NUMBERS = {
    "s16": np.int16, "u16": np.uint16, "b16": np.uint16, "s32": np.int32, "u32": np.uint32, "b32": np.uint32,
    "s64": np.int64,
    "u64": np.uint64, "b64": np.uint64, "f32": np.float32, "f64": np.float64, "s8": np.int8, "u8": np.uint8,
}  # fmt: skip


def bank(kind):
    return REGISTER.get(kind) or REGISTER["16" if kind.endswith("8") else kind[1:]]


def element_wise(opcode, result, kinds, *columns, tail=""):
    """result = opcode(columns tail), one thread an element."""
    body, names = "", []
    for k, kind in enumerate(kinds):
        width = np.dtype(NUMBERS[kind]).itemsize
        body += place(f"%rd{51 + k}", f"%rd{k}", width)
        names.append(f"{bank(kind)}{10 + k}")
        body += f"  ld.global.{kind} {names[-1]}, [%rd{k}];\n"
    body += f"  {opcode} {bank(result)}9, {', '.join(names)}{tail};\n"
    body += place("%rd50", "%rd40", np.dtype(NUMBERS[result]).itemsize)
    body += f"  st.global.{result} [%rd40], {bank(result)}9;\n"
    arrays = [np.array(column, NUMBERS[kind]) for column, kind in zip(columns, kinds, strict=True)]
    return run(body, len(arrays[0]), np.zeros(len(arrays[0]), NUMBERS[result]), *arrays)[0]
