#include "convert.h"

namespace unisim {
namespace {

void init_mmvp(py::module_& m) {
  py::class_<MmvpPattern>(m, "MmvpPattern", "One visual pattern of `MmvpScore`.")
      .def_readonly("pattern", &MmvpPattern::pattern, "Its name as the table has it.")
      .def_readonly("questions", &MmvpPattern::questions, "Questions tagged with it.")
      .def_readonly("right", &MmvpPattern::right, "Of these, answered right.")
      .def_readonly("accuracy", &MmvpPattern::accuracy, "right / questions, in [0, 1].")
      .def("__repr__", [](const MmvpPattern& found) {
        return text_of("<unisim.MmvpPattern ", found.pattern, ": ", found.right, " of ", found.questions,
                       ">");
      });
  py::class_<MmvpScore>(m, "MmvpScore", "What `score_mmvp` found.")
      .def_property_readonly(
          "rule", [](const MmvpScore& found) { return found.by_verdict ? "verdict" : "option"; },
          "\"verdict\": a judge's yes or no; \"option\": the response's option was read.")
      .def_readonly("corrected", &MmvpScore::corrected,
                    "Whether the labels reported as swapped were exchanged.")
      .def_readonly("questions", &MmvpScore::questions, "Two a pair.")
      .def_readonly("right", &MmvpScore::right, "Questions answered right.")
      .def_readonly("pairs", &MmvpScore::pairs, "Pairs of images.")
      .def_readonly("right_pairs", &MmvpScore::right_pairs, "Pairs with both answered right.")
      .def_readonly("question_accuracy", &MmvpScore::question_accuracy,
                    "right / questions, in [0, 1]; chance 1/2.")
      .def_readonly("pair_accuracy", &MmvpScore::pair_accuracy,
                    "right_pairs / pairs, in [0, 1]; chance 1/4. What the paper prints.")
      .def_readonly("unparsable", &MmvpScore::unparsable, "Answers that could not be read: wrong.")
      .def_readonly("patterns", &MmvpScore::patterns, "Of questions, where they are tagged.")
      .def("__repr__", [](const MmvpScore& found) {
        return text_of("<unisim.MmvpScore ", found.right_pairs, " of ", found.pairs, " pairs, ", found.right,
                       " of ", found.questions, " questions>");
      });
  m.def(
      "score_mmvp",
      [](const py::object& answers, const py::object& questions, bool corrected, const py::object& patterns) {
        MmvpOptions options{corrected, {}};
        if (!patterns.is_none()) options.patterns = path_from(patterns);
        const auto answers_file = path_from(answers), questions_file = path_from(questions);
        const py::gil_scoped_release release;
        return score_mmvp(answers_file, questions_file, options);
      },
      py::arg("answers"), py::arg("questions"), py::kw_only(), py::arg("corrected") = false,
      py::arg("patterns") = py::none(),
      R"(MMVP's scores of a vision-language model's answers (Tong et al., arXiv 2401.06209).

Parameters
----------
answers : path
    JSON Lines, one a question: "question_id", from 1, and "verdict", a judge's word, right if it is yes in any case and
    nothing more ("Yes." is wrong, as the authors' grader has it), or "response", read as `mmvp_option` says.
questions : path
    CSV with Index,Question,Options,Correct Answer; rows 2k - 1 and 2k are a pair. A column Pattern is optional.
corrected : bool
    Exchange the labels of 99 and 100 and of 279 and 280, which users report as swapped; of all 300 questions alone.
patterns : path, optional
    CSV with Index,Pattern, where the questions have no such column.

Returns
-------
MmvpScore
    Accuracy per question and per pair: papers print either, the authors the second.

Raises
------
ValueError
    A question without an answer, with two, or that is not there; an "answer" (the label that answers were made with)
    that is another than the table's; a file that is not as it should be: file and line are named.
OSError
    A file that cannot be read.
)");
  m.def("mmvp_option", &mmvp_option, py::arg("response"), py::arg("options"),
        R"(Which of two options a response names: 0, 1 or None.

Blanks and one full stop around it are taken off, and case does not count. The first of these that holds: it begins with
an option's letter, alone or with one of ``).:,`` behind it, an opening bracket before it or not; it has just one of
``(a)`` and ``(b)``; it is the words of one option.

Parameters
----------
response : str
options : str
    ``(a) Open (b) Closed``, or with (1) and (2).

Returns
-------
int or None
)");
}

std::vector<StatementPair> pairs_from(const py::object& rows) {
  std::vector<StatementPair> pairs;
  for (const py::handle row : rows) {
    const auto [pattern, i1t1, i2t1, i1t2, i2t2] =
        row.cast<std::tuple<std::string, double, double, double, double>>();
    pairs.push_back({pattern, i1t1, i2t1, i1t2, i2t2});
  }
  return pairs;
}

void init_mmvp_vlm(py::module_& m) {
  py::class_<MmvpVlmPattern>(m, "MmvpVlmPattern", "One visual pattern of `MmvpVlmScore`.")
      .def_readonly("pattern", &MmvpVlmPattern::pattern, "Its name as the table has it.")
      .def_readonly("pairs", &MmvpVlmPattern::pairs, "15 in the benchmark.")
      .def_readonly("right", &MmvpVlmPattern::right, "Of these, right.")
      .def_readonly("accuracy", &MmvpVlmPattern::accuracy, "100 right / pairs.")
      .def("__repr__", [](const MmvpVlmPattern& found) {
        return text_of("<unisim.MmvpVlmPattern ", found.pattern, ": ", found.right, " of ", found.pairs, ">");
      });
  py::class_<MmvpVlmScore>(m, "MmvpVlmScore", "What `score_mmvp_vlm` found.")
      .def_readonly("pairs", &MmvpVlmScore::pairs, "135 in the benchmark.")
      .def_readonly("right", &MmvpVlmScore::right, "Pairs in which each statement takes its own image.")
      .def_readonly("average", &MmvpVlmScore::average, "100 right / pairs; chance 25.")
      .def_readonly("text", &MmvpVlmScore::text,
                    "Percent of pairs in which each image takes its own statement.")
      .def_readonly("group", &MmvpVlmScore::group, "Percent of pairs in which both hold, without ties.")
      .def_readonly("patterns", &MmvpVlmScore::patterns, "In the order in which they appear.")
      .def("__repr__", [](const MmvpVlmScore& found) {
        return text_of("<unisim.MmvpVlmScore ", found.right, " of ", found.pairs, " pairs>");
      });
  m.def(
      "score_mmvp_vlm",
      [](const py::object& scores) {
        if (!py::isinstance<py::list>(scores) && !py::isinstance<py::tuple>(scores))
          return score_mmvp_vlm(path_from(scores));
        return score_mmvp_vlm(pairs_from(scores));
      },
      py::arg("scores"),
      R"(MMVP-VLM's score of similarities of two images and two statements a pair (arXiv 2401.06209).

A pair is right if i1t1 > i2t1 and i2t2 >= i1t2: each statement takes its own image, a tie the second, as the authors'
softmax over two images has it. `unisim.mmvp_vlm.mmvp_vlm` asks a metric for them.

Parameters
----------
scores : path, or list of (str, float, float, float, float)
    A CSV with pair,pattern,i1t1,i2t1,i1t2,i2t2 (i1t2: first image, second statement), pairs counted from 1; without the
    column pattern it holds the 135 pairs of the benchmark, 15 a pattern in its order. Or rows (pattern, i1t1, i2t1,
    i1t2, i2t2).

Returns
-------
MmvpVlmScore
    In percent: a pattern's accuracy, and the average over all pairs.

Raises
------
ValueError
    A pair twice or missing, a number that is not finite; file and line are named.
OSError
    A file that cannot be read.
)");
}

}  // namespace

void init_score_mmvp(py::module_& m) {
  init_mmvp(m);
  init_mmvp_vlm(m);
}

}  // namespace unisim
