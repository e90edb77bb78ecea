#include "convert.h"

namespace unisim {

void init_similarity(py::module_& m) {
  m.def(
      "cosine",
      [](py::object a, py::object b) {
        const Tensor x = tensor_from(a), y = tensor_from(b);
        const py::gil_scoped_release release;
        return cosine(x, y);
      },
      py::arg("a"), py::arg("b"), R"(Cosine of every row of a with every row of b.

Computed in double as x.y / sqrt(x.x * y.y) and rounded once: identical rows give exactly 1, a zero row gives 0
against everything, and a row's results do not depend on the other rows. Carries no gradient.

Parameters
----------
a : tensor [n, d]
    Rows of any length in float16, bfloat16, float32 or float64; anything with ``__dlpack__`` or a numpy array.
b : tensor [m, d]

Returns
-------
torch.Tensor
    [n, m] float32 in [-1, 1].

Raises
------
ValueError
    Widths or devices that differ, what is not [n, d] of a floating dtype, a row that is not finite (named).
)");
  m.def(
      "cosine_rows",
      [](py::object a, py::object b) {
        const Tensor x = tensor_from(a), y = tensor_from(b);
        const py::gil_scoped_release release;
        return cosine_rows(x, y);
      },
      py::arg("a"), py::arg("b"), R"(Cosine of row i of a with row i of b: the same numbers as `cosine`.

Parameters
----------
a, b : tensor [n, d]
    As for `cosine`; equal shapes.

Returns
-------
torch.Tensor
    [n] float32 in [-1, 1].

Raises
------
ValueError
    Shapes or devices that differ, a row that is not finite (named).
)");
}

}  // namespace unisim
