#include <ATen/ops/empty.h>

#include "convert.h"

namespace unisim {
namespace {

/// The pairs as Python sees them: a sequence of BlindPair, and four tensors made once.
struct BlindPairs {
  std::vector<BlindPair> pairs;
  Tensor i, j, alike, apart;
};

template <class T>
Tensor column(const std::vector<BlindPair>& pairs, T BlindPair::*member) {
  const Tensor values = at::empty({static_cast<int64_t>(pairs.size())}, c10::CppTypeToScalarType<T>::value);
  T* to = values.mutable_data_ptr<T>();
  for (const BlindPair& pair : pairs) *to++ = pair.*member;
  return values;
}

BlindPairs mine(const py::object& alike, const py::object& apart, double alike_above, double apart_below,
                const py::object& progress) {
  const Tensor first = tensor_from(alike), second = tensor_from(apart);
  const MiningOptions options{alike_above, apart_below, progress_from(progress)};
  const py::gil_scoped_release release;
  BlindPairs mined{mine_blind_pairs(first, second, options), {}, {}, {}, {}};
  mined.i = column(mined.pairs, &BlindPair::i);
  mined.j = column(mined.pairs, &BlindPair::j);
  mined.alike = column(mined.pairs, &BlindPair::alike);
  mined.apart = column(mined.pairs, &BlindPair::apart);
  return mined;
}

std::string repr(const BlindPair& pair) {
  return text_of("BlindPair(i=", pair.i, ", j=", pair.j, ", alike=", pair.alike, ", apart=", pair.apart, ")");
}

std::string repr(const BlindPairs& mined) {
  constexpr std::size_t shown = 4;
  std::string text = "BlindPairs([";
  for (std::size_t k = 0; k < mined.pairs.size() && k < shown; ++k)
    text += (k ? ", " : "") + repr(mined.pairs[k]);
  if (mined.pairs.size() > shown) text += text_of(", ... ", mined.pairs.size(), " in all");
  return text + "])";
}

}  // namespace

void init_mining(py::module_& m) {
  py::class_<BlindPair>(m, "BlindPair", "Rows i < j that one encoder calls alike and another different.")
      .def_readonly("i", &BlindPair::i, "Index of the first row.")
      .def_readonly("j", &BlindPair::j, "Index of the second row.")
      .def_readonly("alike", &BlindPair::alike, "Cosine in the encoder that calls them alike.")
      .def_readonly("apart", &BlindPair::apart, "Cosine in the other.")
      .def(
          "__eq__", [](const BlindPair& x, const BlindPair& y) { return x == y; }, py::is_operator())
      .def("__repr__", [](const BlindPair& pair) { return repr(pair); });
  py::class_<BlindPairs>(m, "BlindPairs",
                         "Pairs sorted by (i, j): a sequence of `BlindPair`, and columns as tensors.")
      .def_readonly("i", &BlindPairs::i, "[pairs] int64.")
      .def_readonly("j", &BlindPairs::j, "[pairs] int64.")
      .def_readonly("alike", &BlindPairs::alike, "[pairs] float32: cosines in the first rows.")
      .def_readonly("apart", &BlindPairs::apart, "[pairs] float32: cosines in the second.")
      .def("__len__", [](const BlindPairs& mined) { return mined.pairs.size(); })
      .def("__getitem__",
           [](const BlindPairs& mined, int64_t k) {
             const auto count = static_cast<int64_t>(mined.pairs.size());
             if (k < -count || k >= count) throw py::index_error(text_of("pair ", k, " of ", count));
             return mined.pairs[static_cast<std::size_t>(k < 0 ? k + count : k)];
           })
      .def(
          "__iter__",
          [](const BlindPairs& mined) { return py::make_iterator(mined.pairs.begin(), mined.pairs.end()); },
          py::keep_alive<0, 1>())
      .def("__repr__", [](const BlindPairs& mined) { return repr(mined); });
  m.def(
      "mine_blind_pairs", &mine, py::arg("alike"), py::arg("apart"), py::arg("alike_above") = 0.95,
      py::arg("apart_below") = 0.6, py::arg("progress") = py::none(),
      R"(All pairs i < j with cosine(alike[i], alike[j]) > alike_above and cosine(apart[i], apart[j]) < apart_below.

The CLIP-blind pairs of Tong et al., "Eyes Wide Shut?", arXiv 2401.06209, section 2.1, who use 0.95 and 0.6. Decided by
the cosine in double of the rows as given, x.y / sqrt(x.x * y.y), against the thresholds in double, both strict. The
matrix of all pairs is never held in memory. A zero row scores 0 against everything.

Parameters
----------
alike : tensor [n, d1]
    Rows of any length in float16, bfloat16, float32 or float64; anything with ``__dlpack__`` or a numpy array.
apart : tensor [n, d2]
    Rows of the same n items by another encoder.
alike_above, apart_below : float
    Thresholds; outside [-1, 1] they let everything or nothing through.
progress : callable, optional
    Called as progress(blocks done, blocks); an exception from it ends the run.

Returns
-------
BlindPairs
    Sorted by (i, j): ``.i`` and ``.j`` int64, ``.alike`` and ``.apart`` float32; ``len()``; iterates over `BlindPair`.

Raises
------
ValueError
    Row counts that differ, what is not [n, d] of a floating dtype, a row that is not finite (named), a threshold that
    is NaN.
)");
}

}  // namespace unisim
