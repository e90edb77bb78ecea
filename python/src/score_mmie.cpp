#include "convert.h"

namespace unisim {

void init_score_mmie(py::module_& m) {
  py::class_<MmieGroup>(m, "MmieGroup", "Samples of one category, field or criterion.")
      .def_readonly("category", &MmieGroup::category,
                    "\"SA\", \"PBL\" or \"MSR\" where all are of one, else \"\".")
      .def_readonly("name", &MmieGroup::name, "Of the category, field or criterion; \"all\".")
      .def_readonly("kept", &MmieGroup::kept, "Samples with a score in [0, 6].")
      .def_readonly("dropped", &MmieGroup::dropped, "Samples without: in no mean.")
      .def_readonly("mean", &MmieGroup::mean,
                    "Of those kept, in [0, 6], to three decimals; None if there are none.")
      .def_readonly("percent", &MmieGroup::percent,
                    "100 / 6 of the mean before rounding; None if there is none.")
      .def("__repr__", [](const MmieGroup& group) {
        return text_of("<unisim.MmieGroup ", group.name, ", ", group.kept, " kept, ", group.dropped,
                       " dropped>");
      });
  py::class_<MmieScore>(m, "MmieScore", "What `score_mmie` found.")
      .def_readonly("all", &MmieScore::all, "Every sample.")
      .def_readonly("categories", &MmieScore::categories, "SA, PBL, MSR: those with samples.")
      .def_readonly("fields", &MmieScore::fields, "In the order in which they appear.")
      .def_readonly("criteria", &MmieScore::criteria, "A category's, in the order in which they appear.")
      .def_readonly("weighted", &MmieScore::weighted,
                    "`mmie_weighted_average` of the percentages; None unless all three categories have some.")
      .def_readonly("errors", &MmieScore::errors, "{category: {label: samples}}, of the records' \"error\".")
      .def("__repr__", [](const MmieScore& found) {
        return text_of("<unisim.MmieScore of ", found.all.kept, " samples, ", found.all.dropped, " dropped>");
      });
  py::class_<MmieSample>(m, "MmieSample", "One record of a file of scores.")
      .def_readonly("id", &MmieSample::id, "As the file has it.")
      .def_readonly("category", &MmieSample::category,
                    "\"SA\", \"PBL\" or \"MSR\": the first that the id contains.")
      .def_readonly("field", &MmieSample::field, "\"\" where the record has none.")
      .def_readonly("criterion", &MmieSample::criterion, "\"\" where the record is of the whole answer.")
      .def_readonly("error", &MmieSample::error, "\"\" where the record has none.")
      .def_readonly("score", &MmieSample::score, "None unless it is in [0, 6].")
      .def("__repr__", [](const MmieSample& sample) { return "<unisim.MmieSample " + sample.id + ">"; });
  m.def(
      "read_mmie", [](const py::object& path) { return read_mmie(path_from(path)); }, py::arg("path"),
      R"(The samples of a file of scores, as `score_mmie` reads it.

Parameters
----------
path : path

Returns
-------
list of MmieSample

Raises
------
ValueError, OSError
    As `score_mmie`.
)");
  m.def(
      "score_mmie",
      [](const py::object& path) {
        const auto file = path_from(path);
        const py::gil_scoped_release release;
        return score_mmie(file);
      },
      py::arg("path"), R"(MMIE's scores (Xia et al., arXiv 2410.10139) of a judge's replies or of raw scores.

Parameters
----------
path : path
    JSON Lines, a JSON array, or CSV where its name ends in .csv. Each record: "id", which contains SA, PBL or MSR, and
    either "score", a number, or nothing, taken as it is, or "reply", a judge's, read by `parse_mmie_score`. Optional:
    "field"; "criterion" (such a record counts for its criterion alone); "error", a label of what went wrong.

Returns
-------
MmieScore
    Means over the samples whose score is in [0, 6]; the others are counted.

Raises
------
ValueError
    An id without a category or given twice, a score that is no number; file and line are named.
OSError
    A file that cannot be read.
)");
  m.def("parse_mmie_score", &parse_mmie_score, py::arg("reply"),
        R"(The score in a judge's reply, as MMIE reads it.

The first number after the first "### Score", rounded half to even; None unless that is 0 to 6. So "### Score (0-6)\n4"
is 0.

Parameters
----------
reply : str

Returns
-------
int or None
)");
  m.def(
      "mmie_weighted_average", &mmie_weighted_average, py::arg("sa"), py::arg("pbl"), py::arg("msr"),
      R"(The published average of three categories: weighted by the benchmark's 5005, 11482 and 3616 samples.

Parameters
----------
sa, pbl, msr : float

Returns
-------
float
)");
}

}  // namespace unisim
