#include "convert.h"

namespace unisim {
namespace {

void init_mme_types(py::module_& m) {
  py::class_<MmeSubtask>(m, "MmeSubtask", "One subtask of `MmeScore`; yes is positive.")
      .def_readonly("name", &MmeSubtask::name,
                    "As its file is called: \"existence\", ..., \"code_reasoning\".")
      .def_property_readonly(
          "group", [](const MmeSubtask& found) { return found.perception ? "perception" : "cognition"; },
          "\"perception\" or \"cognition\".")
      .def_readonly("images", &MmeSubtask::images, "Images answered.")
      .def_readonly("questions", &MmeSubtask::questions, "Two an image.")
      .def_readonly("full_images", &MmeSubtask::full_images, "Images of the whole benchmark.")
      .def_readonly("acc", &MmeSubtask::acc, "Share of questions answered right.")
      .def_readonly("acc_plus", &MmeSubtask::acc_plus, "Share of images with both answered right.")
      .def_readonly("score", &MmeSubtask::score, "100 acc + 100 acc_plus, in [0, 200].")
      .def_readonly("tp", &MmeSubtask::tp, "Yes, answered yes.")
      .def_readonly("fn", &MmeSubtask::fn, "Yes, answered no.")
      .def_readonly("tn", &MmeSubtask::tn, "No, answered no.")
      .def_readonly("fp", &MmeSubtask::fp, "No, answered yes.")
      .def_readonly("other", &MmeSubtask::other, "Replies that are neither: wrong, and in none of the four.")
      .def_readonly("precision", &MmeSubtask::precision, "tp / (tp + fp), 0 where that is 0 / 0.")
      .def_readonly("recall", &MmeSubtask::recall, "tp / (tp + fn), 0 where that is 0 / 0.")
      .def("__repr__", [](const MmeSubtask& found) {
        return text_of("<unisim.MmeSubtask ", found.name, ": ", found.score, " of 200>");
      });
  py::class_<MmeScore>(m, "MmeScore", "What `score_mme` found.")
      .def_readonly("subtasks", &MmeScore::subtasks, "In the benchmark's order, those with a file.")
      .def_readonly("missing", &MmeScore::missing, "Subtasks without a file: in no total.")
      .def_readonly("perception", &MmeScore::perception, "Sum of its subtasks' scores, up to 2000.")
      .def_readonly("cognition", &MmeScore::cognition, "Sum of its subtasks' scores, up to 800.")
      .def("__repr__", [](const MmeScore& found) {
        return text_of("<unisim.MmeScore perception ", found.perception, ", cognition ", found.cognition,
                       ">");
      });
  py::class_<MmePlace>(m, "MmePlace", "One line of an `MmeBoard`.")
      .def_readonly("rank", &MmePlace::rank, "1 + the number of models that are better: ties share one.")
      .def_readonly("model", &MmePlace::model, "Its name as given.")
      .def_readonly("score", &MmePlace::score, "What the list goes by.")
      .def("__repr__", [](const MmePlace& place) {
        return text_of("MmePlace(rank=", place.rank, ", model=", place.model, ", score=", place.score, ")");
      });
  py::class_<MmeBoard>(m, "MmeBoard", "One list of `mme_leaderboards`.")
      .def_readonly("name", &MmeBoard::name, "\"perception\", \"cognition\" or a subtask.")
      .def_readonly("places", &MmeBoard::places, "Best first, ties in the order given.")
      .def_readonly("absent", &MmeBoard::absent, "Models that lack a file that the list needs.")
      .def("__repr__", [](const MmeBoard& board) {
        return text_of("<unisim.MmeBoard ", board.name, ", ", board.places.size(), " models>");
      });
}

const char* word(YesNo reply) {
  if (reply == YesNo::Other) return "other";
  return reply == YesNo::Yes ? "yes" : "no";
}

std::vector<MmeBoard> boards(const py::object& models, const std::string& parser) {
  std::vector<MmeEntry> entries;
  for (const auto& [name, found] : py::dict(models)) {
    MmeEntry entry{name.cast<std::string>(), {}};
    entry.score = py::isinstance<MmeScore>(found) ? found.cast<MmeScore>()
                                                  : score_mme(path_from(found), yes_no_parser(parser));
    entries.push_back(std::move(entry));
  }
  return mme_leaderboards(entries);
}

void init_mme(py::module_& m) {
  init_mme_types(m);
  m.def(
      "parse_yes_no",
      [](const std::string& reply, const std::string& parser) {
        return word(parse_yes_no(reply, yes_no_parser(parser)));
      },
      py::arg("reply"), py::kw_only(), py::arg("parser") = "official",
      R"(A reply as "yes", "no" or "other".

Parameters
----------
reply : str
parser : {"official", "lmms", "vlmevalkit"}
    Everything in lower case. "official" (MME's calculation.py): "yes" or "no" alone; else, in the first four
    characters, "yes" if it is there, then "no". Nothing is stripped: " yes" is yes, "  yes" is other, "know" is no.
    "lmms" (lmms-eval): blanks around it and all full stops are taken off, and "y" and "n" are answers too.
    "vlmevalkit": of its words, punctuation taken off as VQA does, exactly one of "yes" and "no".

Returns
-------
str
)");
  m.def(
      "score_mme",
      [](const py::object& folder, const std::string& parser) {
        const YesNoParser rule = yes_no_parser(parser);
        const auto path = path_from(folder);
        const py::gil_scoped_release release;
        return score_mme(path, rule);
      },
      py::arg("folder"), py::kw_only(), py::arg("parser") = "official",
      R"(MME's scores (Fu et al., arXiv 2306.13394) of the answers in a folder.

Parameters
----------
folder : path
    Holds SUBTASK.txt for some of the 14 subtasks. Each line: image, question, ground truth (Yes or No) and response,
    between tabs; the two lines of an image are adjacent.
parser : {"official", "lmms", "vlmevalkit"}
    How a response becomes yes or no: see `parse_yes_no`.

Returns
-------
MmeScore
    A subtask's score is 100 acc + 100 acc_plus, in [0, 200]; perception and cognition are the sums of those with a
    file; ``.missing`` names the others.

Raises
------
ValueError
    An odd number of lines, a line that has not four columns, a ground truth that is neither, a question asked twice
    of an image, two lines of one pair about two images, text that is not UTF-8: file and line are named. A folder
    without any of the files; an unknown parser.
OSError
    A folder or file that cannot be read.
)");
  m.def("mme_leaderboards", &boards, py::arg("models"), py::kw_only(), py::arg("parser") = "official",
        R"(The 16 lists of MME: perception, cognition, and one a subtask.

Parameters
----------
models : dict of str to path or MmeScore
    A model's name, and the folder of its answers or what `score_mme` found there.
parser : {"official", "lmms", "vlmevalkit"}
    For the folders.

Returns
-------
list of MmeBoard
    Ties share a rank. A model that lacks a file is absent from that list, and from the total that needs it, and named
    in ``.absent``.
)");
  m.def("mme_attainable", &mme_attainable, py::arg("printed"), py::arg("images"), py::kw_only(),
        py::arg("decimals") = 2,
        R"(Whether answers to all questions of a subtask can have this score.

Of n images, j with both questions right and s with one: 100 (4 j + s) / (2 n), s <= n - j. A check of tables that
others submit.

Parameters
----------
printed : float
    The score, rounded to so many decimals.
images : int
    Of the subtask: 30 for "count", 200 for "landmark".
decimals : int
    0 to 9.

Returns
-------
bool
)");
}

void init_pope(py::module_& m) {
  py::class_<PopeScore>(m, "PopeScore", "What `score_pope` found; yes is positive.")
      .def_readonly("category", &PopeScore::category, "\"\" of the whole.")
      .def_readonly("questions", &PopeScore::questions, "Questions answered.")
      .def_readonly("tp", &PopeScore::tp, "Yes, answered yes.")
      .def_readonly("fn", &PopeScore::fn, "Yes, answered no.")
      .def_readonly("tn", &PopeScore::tn, "No, answered no.")
      .def_readonly("fp", &PopeScore::fp, "No, answered yes.")
      .def_readonly("accuracy", &PopeScore::accuracy, "Share of questions answered right.")
      .def_readonly("precision", &PopeScore::precision, "tp / (tp + fp), 0 where that is 0 / 0.")
      .def_readonly("recall", &PopeScore::recall, "tp / (tp + fn), 0 where that is 0 / 0.")
      .def_readonly("f1", &PopeScore::f1, "Harmonic mean of precision and recall, 0 where both are.")
      .def_readonly("yes_ratio", &PopeScore::yes_ratio, "Share of replies that are yes.")
      .def_readonly("categories", &PopeScore::categories,
                    "Of the whole alone, where records have a category.")
      .def("__repr__", [](const PopeScore& found) {
        return text_of("<unisim.PopeScore F1 ", found.f1, " of ", found.questions, " questions>");
      });
  m.def(
      "parse_pope", [](const std::string& reply) { return word(parse_pope(reply)); }, py::arg("reply"),
      R"(A reply as POPE reads it (eval_pope.py of LLaVA): "yes" or "no".

No, if the part before its first full stop, commas taken out and split at spaces, has the word "No", "no" or "not".

Parameters
----------
reply : str

Returns
-------
str
)");
  m.def(
      "score_pope",
      [](const py::object& answers, const py::object& labels) {
        const auto answers_file = path_from(answers);
        const auto labels_file = labels.is_none() ? std::filesystem::path() : path_from(labels);
        const py::gil_scoped_release release;
        return score_pope(answers_file, labels_file);
      },
      py::arg("answers"), py::kw_only(), py::arg("labels") = py::none(),
      R"(POPE's scores (Li et al., arXiv 2305.10355) of answers about objects that are there or not.

Parameters
----------
answers : path
    JSON Lines or a JSON array. The reply is in "response", "answer" or "text", the first of these that is there, and
    read by `parse_pope`; "label", yes or no, beside it; "category" is optional.
labels : path, optional
    Where the answers have no label: records with "question_id" and "label". Every one is answered once.

Returns
-------
PopeScore
    Accuracy, precision, recall, F1 and the share of yes, in [0, 1]; ``.categories`` has the same of each.

Raises
------
ValueError
    A label that is neither, a record without a reply, a question answered twice or not at all; file and line are
    named.
OSError
    A file that cannot be read.
)");
}

}  // namespace

void init_score(py::module_& m) {
  init_mme(m);
  init_pope(m);
}

}  // namespace unisim
