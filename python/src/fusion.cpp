#include "convert.h"

namespace unisim {

void init_fusion(py::module_& m) {
  m.def(
      "additive_mof",
      [](py::object a, py::object b, double alpha) {
        const Tensor x = tensor_from(a), y = tensor_from(b);
        const py::gil_scoped_release release;
        return additive_mof(x, y, alpha);
      },
      py::arg("a"), py::arg("b"), py::arg("alpha"),
      R"(Additive mixture of features: alpha * a + (1 - alpha) * b.

Nothing is normalised. From Tong et al., "Eyes Wide Shut?", arXiv 2401.06209, section 4.

Parameters
----------
a, b : tensor [..., d]
    Features of two encoders, equal shapes, floating dtypes.
alpha : float
    Weight of a, in [0, 1].

Returns
-------
torch.Tensor
    Like a; float32 unless both share another floating dtype, which is then kept.

Raises
------
ValueError
    Shapes or devices that differ, a dtype that is not floating, alpha outside [0, 1].
)");
  m.def(
      "interleaved_mof",
      [](py::object a, py::object b) {
        const Tensor x = tensor_from(a), y = tensor_from(b);
        const py::gil_scoped_release release;
        return interleaved_mof(x, y);
      },
      py::arg("a"), py::arg("b"),
      R"(Interleaved mixture of features: token n of a at 2n, token n of b at 2n + 1.

From Tong et al., "Eyes Wide Shut?", arXiv 2401.06209, section 4. Unequal grids must be resampled first.

Parameters
----------
a, b : tensor [batch, n, d] or [n, d]
    Tokens of two encoders, equal shapes and dtypes.

Returns
-------
torch.Tensor
    [batch, 2n, d] or [2n, d]; every bit kept.

Raises
------
ValueError
    Shapes, dtypes or devices that differ, other than two or three dimensions, a dtype that is not floating.
)");
}

}  // namespace unisim
