#include <unisim/tokenizer.h>

#include "convert.h"

namespace unisim {
namespace {

/// A str as UTF-8, or bytes as they are. A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD.
std::string text_from(py::handle object) {
  if (py::isinstance<py::bytes>(object)) return py::cast<std::string>(object);
  if (!py::isinstance<py::str>(object))
    throw py::type_error("[tokenizer] a text is a str or bytes, not " +
                         std::string(py::str(py::type::handle_of(object).attr("__name__"))));
  Py_ssize_t size = 0;
  if (const char* utf8 = PyUnicode_AsUTF8AndSize(object.ptr(), &size))
    return {utf8, static_cast<std::size_t>(size)};
  PyErr_Clear();
  const py::bytes bytes = object.attr("encode")("utf-16", "surrogatepass")
                              .attr("decode")("utf-16", "replace")
                              .attr("encode")("utf-8");
  return py::cast<std::string>(bytes);
}

py::list list_of(const std::vector<int64_t>& ids) {
  py::list list(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) list[i] = py::int_(ids[i]);
  return list;
}

}  // namespace

void init_tokenizer(py::module_& m) {
  py::class_<Tokenizer>(m, "Tokenizer",
                        R"(A tokenizer.json, read natively; ids equal those of the tokenizers package.

BPE (CLIP's, byte-level, with byte fallback) and Unigram, with the normalizers, pre-tokenizers, added tokens,
post-processors and decoders that these need. A part that is not known is refused by name.
)")
      .def_static(
          "load",
          [](py::object path) {
            const auto folder_or_file = path_from(path);
            const py::gil_scoped_release release;
            return Tokenizer::load(folder_or_file);
          },
          py::arg("path"), R"(Reads a tokenizer.json, or a folder that holds one.

Parameters
----------
path : str or os.PathLike

Returns
-------
Tokenizer

Raises
------
OSError
    The file cannot be read.
ValueError
    The file is not what it should be; the message names it and the key.
NotImplementedError
    A model, normalizer, pre-tokenizer, post-processor, decoder or regular expression that is not known.
)")
      .def(
          "encode",
          [](const Tokenizer& self, py::object text, bool add_special_tokens) {
            const std::string bytes = text_from(text);
            std::vector<int64_t> ids;
            {
              const py::gil_scoped_release release;
              ids = self.encode(bytes, add_special_tokens);
            }
            return list_of(ids);
          },
          py::arg("text"), py::arg("add_special_tokens") = true, R"(The ids of a text.

Parameters
----------
text : str or bytes
    At most 1 MiB of UTF-8; bytes that are not UTF-8 become U+FFFD as by ``errors="replace"``.
add_special_tokens : bool
    Whether the post-processor's special tokens are added.

Returns
-------
list of int
    Truncated and padded as the file says.

Raises
------
ValueError
    The text is too long.
)")
      .def(
          "encode_batch",
          [](const Tokenizer& self, py::iterable texts, bool add_special_tokens) {
            std::vector<std::string> bytes;
            for (const py::handle text : texts) bytes.push_back(text_from(text));
            std::vector<std::vector<int64_t>> batch;
            {
              const py::gil_scoped_release release;
              batch = self.encode_batch(bytes, add_special_tokens);
            }
            py::list lists(batch.size());
            for (std::size_t i = 0; i < batch.size(); ++i) lists[i] = list_of(batch[i]);
            return lists;
          },
          py::arg("texts"), py::arg("add_special_tokens") = true,
          R"(The ids of each text, padded to the longest where the file asks for that.

Parameters
----------
texts : iterable of str or bytes
add_special_tokens : bool

Returns
-------
list of list of int
)")
      .def(
          "decode",
          [](const Tokenizer& self, const std::vector<int64_t>& ids, bool skip_special_tokens) {
            const py::gil_scoped_release release;
            return self.decode(ids, skip_special_tokens);
          },
          py::arg("ids"), py::arg("skip_special_tokens") = true,
          R"(The text of ids, as the file's decoder has it.

Parameters
----------
ids : sequence of int
    An id outside the vocabulary is skipped.
skip_special_tokens : bool

Returns
-------
str
)")
      .def("token_id", &Tokenizer::token_id, py::arg("token"), "The id of a token, or None if there is none.")
      .def("token", &Tokenizer::token, py::arg("id"), "The token of an id, or None if there is none.")
      .def_property_readonly("vocab_size", &Tokenizer::vocab_size, "Tokens in all, added ones included.");
}

}  // namespace unisim
