#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "convert.h"
#include "stats_doc.h"

namespace unisim {
namespace {

using Numbers = py::array_t<double, py::array::c_style>;

/// One dimension of real numbers or truth values: a sequence, a numpy array, a tensor on the CPU.
Numbers numbers_from(py::handle object, const std::string& name) {
  py::array found = py::module_::import("numpy").attr("asarray")(object);
  if (std::string_view("biuf").find(found.dtype().kind()) == std::string_view::npos)
    throw py::type_error(text_of("[stats] ", name, " holds ", py::str(found.dtype()).cast<std::string>(),
                                 ", expected numbers"));
  require(found.ndim() == 1, "[stats] ", name, " has ", found.ndim(), " dimensions, expected 1");
  return found.attr("astype")("float64", py::arg("order") = "C", py::arg("copy") = false).cast<Numbers>();
}

std::span<const double> view(const Numbers& numbers) {
  return {numbers.data(), static_cast<std::size_t>(numbers.size())};
}

/// None, or anything that can be told apart (str, int), one for each item: numbered as they appear.
std::vector<int64_t> groups_from(py::handle object) {
  std::vector<int64_t> groups;
  if (object.is_none()) return groups;
  py::dict numbered;
  for (const py::handle group : object) {
    if (!numbered.contains(group)) numbered[group] = py::int_(numbered.size());
    groups.push_back(numbered[group].cast<int64_t>());
  }
  require(!groups.empty(), "[stats] groups is empty; None stands for none");
  return groups;
}

Correlation correlation_from(const std::string& kind) {
  if (kind == "pearson") return Correlation::Pearson;
  if (kind == "spearman") return Correlation::Spearman;
  require(kind == "kendall", "[correlation_bootstrap] kind is \"", kind,
          "\", expected pearson, spearman or kendall");
  return Correlation::Kendall;
}

/// Binds f(x, y) -> number of two lists.
template <class F>
void def_of_two(py::module_& m, const char* name, F f, const char* first, const char* second,
                const char* doc) {
  m.def(
      name,
      [f, first, second](const py::object& x, const py::object& y) {
        const Numbers a = numbers_from(x, first), b = numbers_from(y, second);
        const py::gil_scoped_release release;
        return f(view(a), view(b));
      },
      py::arg(first), py::arg(second), doc);
}

void init_results(py::module_& m) {
  py::class_<Interval>(m, "Interval", "From `low` to `high`; a sequence of the two.")
      .def_readonly("low", &Interval::low, "The lower end.")
      .def_readonly("high", &Interval::high, "The upper end.")
      .def("__len__", [](const Interval&) { return 2; })
      .def("__getitem__",
           [](const Interval& i, py::ssize_t k) {
             if (k < -2 || k > 1) throw py::index_error();  // also how iteration ends
             return k == 0 || k == -2 ? i.low : i.high;
           })
      .def("__iter__", [](const Interval& i) { return py::iter(py::make_tuple(i.low, i.high)); })
      .def("__repr__",
           [](const Interval& i) { return py::str("Interval(low={}, high={})").format(i.low, i.high); });
  py::class_<McNemar>(m, "McNemar", "What `mcnemar` found.")
      .def_readonly("only_a", &McNemar::only_a, "Items on which a alone is right.")
      .def_readonly("only_b", &McNemar::only_b, "Items on which b alone is right.")
      .def_readonly("p", &McNemar::p, "Two-sided, exact.")
      .def("__repr__", [](const McNemar& found) {
        return py::str("McNemar(only_a={}, only_b={}, p={})").format(found.only_a, found.only_b, found.p);
      });
  py::class_<PairedDifference>(m, "PairedDifference", "What `paired_bootstrap` found.")
      .def_readonly("difference", &PairedDifference::difference, "mean(a) - mean(b).")
      .def_readonly("interval", &PairedDifference::interval, "Of the difference.")
      .def_readonly("p", &PairedDifference::p, "Two-sided.")
      .def("__repr__", [](const PairedDifference& found) {
        return py::str("PairedDifference(difference={}, interval={}, p={})")
            .format(found.difference, found.interval, found.p);
      });
  py::class_<LogisticFit>(m, "LogisticFit", "What `fit_logistic` found.")
      .def_readonly("parameters", &LogisticFit::parameters, "b1, b2, b3, b4, b5.")
      .def_property_readonly(
          "predictions",
          [](const LogisticFit& fit) {
            return Numbers(static_cast<py::ssize_t>(fit.predictions.size()), fit.predictions.data());
          },
          "[n] float64: the curve at x.")
      .def_readonly("pearson", &LogisticFit::pearson, "Of predictions and scores.")
      .def_readonly("rmse", &LogisticFit::rmse, "Root of the mean squared difference of both.")
      .def_readonly("converged", &LogisticFit::converged, "Whether a minimum was reached in 1000 steps.")
      .def("__repr__", [](const LogisticFit& fit) {
        return py::str("LogisticFit(parameters={}, pearson={}, rmse={}, converged={})")
            .format(fit.parameters, fit.pearson, fit.rmse, fit.converged);
      });
  py::class_<Agreement>(m, "Agreement", "What `agreement` found; None where a number is undefined.")
      .def_readonly("cosine", &Agreement::cosine, "Not centred.")
      .def_readonly("mse", &Agreement::mse, "Mean squared difference.")
      .def_readonly("mae", &Agreement::mae, "Mean absolute difference.")
      .def_readonly("pearson", &Agreement::pearson, "As `pearson`.")
      .def_readonly("spearman", &Agreement::spearman, "As `spearman`.")
      .def_readonly("kendall", &Agreement::kendall, "As `kendall_tau_b`.")
      .def_readonly("kappa", &Agreement::kappa, "Quadratic-weighted, of whole numbers alone.")
      .def("__repr__", [](const Agreement& a) {
        return py::str("Agreement(cosine={}, mse={}, mae={}, pearson={}, spearman={}, kendall={}, kappa={})")
            .format(a.cosine, a.mse, a.mae, a.pearson, a.spearman, a.kendall, a.kappa);
      });
}

void init_tests(py::module_& m) {
  m.def("wilson_interval", &wilson_interval, py::arg("right"), py::arg("n"), py::kw_only(),
        py::arg("confidence") = 0.95, R"(Wilson's interval of a share, without continuity correction.

Parameters
----------
right, n : int
    `right` out of `n`, which is at least 1.
confidence : float in (0, 1)

Returns
-------
Interval

Raises
------
ValueError
    Numbers out of their range.
)");
  def_of_two(m, "mcnemar", &mcnemar, "a_right", "b_right",
             R"(McNemar's exact test of two answerers of the same items.

p is two-sided, from the binomial distribution of the items on which they differ; 1 where there are none.

Parameters
----------
a_right, b_right : sequence of bool or 0 and 1, [n]

Returns
-------
McNemar

Raises
------
ValueError
    Lists that are empty or differ in length, a number other than 0 and 1 (named).
)");
  m.def(
      "holm", [](const py::object& p_values) { return holm(view(numbers_from(p_values, "p_values"))); },
      py::arg("p_values"), R"(p-values adjusted for being many (Holm 1979), in the order given.

Parameters
----------
p_values : sequence of float in [0, 1]

Returns
-------
list of float

Raises
------
ValueError
    A number outside [0, 1] (named).
)");
  m.def("fisher_interval", &fisher_interval, py::arg("r"), py::arg("n"), py::kw_only(),
        py::arg("confidence") = 0.95, R"(Interval of a Pearson correlation by Fisher's transformation.

Parameters
----------
r : float in [-1, 1]
n : int
    Pairs, at least 4.
confidence : float in (0, 1)

Returns
-------
Interval

Raises
------
ValueError
    Numbers out of their range.
)");
}

void init_correlation(py::module_& m) {
  def_of_two(m, "pearson", &pearson, "x", "y", R"(Pearson's correlation.

Parameters
----------
x, y : sequence of float, [n]
    At least two pairs of finite numbers.

Returns
-------
float
    In [-1, 1].

Raises
------
ValueError
    Lengths that differ, fewer than two pairs, a number that is not finite (named), a side that is all equal.
)");
  def_of_two(m, "spearman", &spearman, "x", "y",
             R"(Spearman's rank correlation; equal numbers share their mean rank.

Parameters, result and errors are those of `pearson`.
)");
  def_of_two(m, "kendall_tau_b", &kendall_tau_b, "x", "y", R"(Kendall's tau-b, in time n log n (Knight 1966).

Parameters, result and errors are those of `pearson`.
)");
}

void init_bootstrap(py::module_& m) {
  m.def(
      "bootstrap_interval",
      [](const py::object& values, const py::object& groups, double confidence, int64_t resamples,
         uint64_t seed) {
        const Numbers numbers = numbers_from(values, "values");
        const auto grouped = groups_from(groups);
        const py::gil_scoped_release release;
        return bootstrap_interval(view(numbers), grouped, {confidence, resamples, seed});
      },
      py::arg("values"), py::arg("groups") = py::none(), py::kw_only(), py::arg("confidence") = 0.95,
      py::arg("resamples") = 10000, py::arg("seed") = 0, kBootstrapDoc);
  m.def(
      "paired_bootstrap",
      [](const py::object& a, const py::object& b, const py::object& groups, double confidence,
         int64_t resamples, uint64_t seed) {
        const Numbers x = numbers_from(a, "a"), y = numbers_from(b, "b");
        const auto grouped = groups_from(groups);
        const py::gil_scoped_release release;
        return paired_bootstrap(view(x), view(y), grouped, {confidence, resamples, seed});
      },
      py::arg("a"), py::arg("b"), py::arg("groups") = py::none(), py::kw_only(), py::arg("confidence") = 0.95,
      py::arg("resamples") = 10000, py::arg("seed") = 0, kPairedBootstrapDoc);
  m.def(
      "correlation_bootstrap",
      [](const py::object& x, const py::object& y, const std::string& kind, const py::object& groups,
         double confidence, int64_t resamples, uint64_t seed) {
        const Numbers a = numbers_from(x, "x"), b = numbers_from(y, "y");
        const auto grouped = groups_from(groups);
        const Correlation correlation = correlation_from(kind);
        const py::gil_scoped_release release;
        return correlation_bootstrap(view(a), view(b), correlation, grouped, {confidence, resamples, seed});
      },
      py::arg("x"), py::arg("y"), py::arg("kind"), py::arg("groups") = py::none(), py::kw_only(),
      py::arg("confidence") = 0.95, py::arg("resamples") = 10000, py::arg("seed") = 0,
      kCorrelationBootstrapDoc);
}

void init_judgement(py::module_& m) {
  const auto def_2afc = [&](const char* name, auto f, const char* doc) {
    m.def(
        name,
        [f](const py::object& d0, const py::object& d1, const py::object& votes) {
          return f(view(numbers_from(d0, "d0")), view(numbers_from(d1, "d1")),
                   view(numbers_from(votes, "votes")));
        },
        py::arg("d0"), py::arg("d1"), py::arg("votes"), doc);
  };
  def_2afc("two_afc_items", &two_afc_items,
           R"(What each item counts in `two_afc_score`: the share of people that agrees with the distances.

Parameters and errors are those of `two_afc_score`.

Returns
-------
list of float
    In [0, 1].
)");
  def_2afc("two_afc_score", &two_afc_score, kTwoAfcDoc);
  def_of_two(m, "jnd_map", &jnd_map, "distances", "same", kJndMapDoc);
  def_of_two(m, "fit_logistic", &fit_logistic, "x", "scores", kFitLogisticDoc);
  def_of_two(m, "agreement", &agreement, "x", "y", kAgreementDoc);
}

}  // namespace

void init_stats(py::module_& m) {
  init_results(m);
  init_tests(m);
  init_correlation(m);
  init_bootstrap(m);
  init_judgement(m);
}

}  // namespace unisim
