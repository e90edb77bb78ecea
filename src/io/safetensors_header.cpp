#include "safetensors_header.h"

#include <unisim/error.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "json.h"
#include "quote.h"

namespace unisim {
namespace {

using Path = std::filesystem::path;

struct TypeName {
  TensorType type;
  std::string_view name;
  int64_t bytes;
};
constexpr std::array<TypeName, 10> types{{{TensorType::F64, "F64", 8},
                                          {TensorType::F32, "F32", 4},
                                          {TensorType::F16, "F16", 2},
                                          {TensorType::BF16, "BF16", 2},
                                          {TensorType::I64, "I64", 8},
                                          {TensorType::I32, "I32", 4},
                                          {TensorType::I16, "I16", 2},
                                          {TensorType::I8, "I8", 1},
                                          {TensorType::U8, "U8", 1},
                                          {TensorType::Bool, "BOOL", 1}}};

/// Of the format, but nothing that we compute with.
constexpr std::array<std::string_view, 12> unread_types{"U16",     "U32",     "U64",         "C64",
                                                        "F4",      "F6_E2M3", "F6_E3M2",     "F8_E5M2",
                                                        "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"};

const TypeName& row_of(TensorType type) { return types[static_cast<std::size_t>(type)]; }

/// What people have in place of a safetensors file, by its first bytes.
struct Magic {
  std::string_view bytes, kind, advice;
};
using namespace std::string_view_literals;
constexpr std::array<Magic, 10> other_formats{{
    {"PK\x03\x04"sv, "a zip archive, as torch.save writes", "convert it with `unisim convert`"},
    {"PK\x05\x06"sv, "an empty zip archive", "convert it with `unisim convert`"},
    {"\x80\x02"sv, "a pickle", "convert it with `unisim convert`"},
    {"\x80\x03"sv, "a pickle", "convert it with `unisim convert`"},
    {"\x80\x04"sv, "a pickle", "convert it with `unisim convert`"},
    {"\x80\x05"sv, "a pickle", "convert it with `unisim convert`"},
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file, as Keras writes", "save it as safetensors"},
    {"GGUF"sv, "a GGUF file", "save it as safetensors"},
    {"\x93NUMPY"sv, "an .npy file", "save it as safetensors"},
    {"\x1f\x8b"sv, "a gzip archive", "unpack it"},
}};
constexpr std::array<Magic, 3> failed_downloads{{
    {"version https://"sv, "a Git LFS pointer, not the weights themselves", "fetch them with `git lfs pull`"},
    {"<!"sv, "a page of HTML, not the weights themselves", "download them again"},
    {"<html"sv, "a page of HTML, not the weights themselves", "download them again"},
}};

/// Throws for a file that cannot be safetensors, saying what it seems to be.
[[noreturn]] void refuse_content(std::span<const std::byte> first, const Path& file, const std::string& why) {
  const std::string_view text(reinterpret_cast<const char*>(first.data()), first.size());
  for (const Magic& magic : other_formats)
    if (text.starts_with(magic.bytes))
      throw Unsupported(file, text_of("is ", magic.kind, ", expected safetensors: ", magic.advice));
  for (const Magic& magic : failed_downloads)
    if (text.starts_with(magic.bytes))
      throw DataError(file, text_of("is ", magic.kind, ", expected safetensors: ", magic.advice));
  throw DataError(file, text_of(why, "; it is no safetensors file"));
}

uint64_t little_endian(std::span<const std::byte> eight) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= std::to_integer<uint64_t>(eight[i]) << (8 * i);
  return value;
}

[[noreturn]] void refuse(const Path& file, const std::string& tensor, const std::string& why) {
  throw DataError(file, text_of("tensor ", in_quotes(tensor), ": ", why));
}

int64_t whole_number(const Json& value, const Path& file, const std::string& tensor, const char* what) {
  const auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!value.is_number_unsigned() || value.get<uint64_t>() > most)
    refuse(file, tensor, text_of(what, " holds something else than integers from 0 to 2^63 - 1"));
  return value.get<int64_t>();
}

TensorType type_from_name(const Json& value, const Path& file, const std::string& tensor) {
  if (!value.is_string()) refuse(file, tensor, "dtype is no string");
  const auto& name = value.get_ref<const std::string&>();
  for (const TypeName& type : types)
    if (type.name == name) return type.type;
  const std::string message = text_of("tensor ", in_quotes(tensor), ": dtype ", in_quotes(name),
                                      ", expected F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL");
  if (std::find(unread_types.begin(), unread_types.end(), name) != unread_types.end())
    throw Unsupported(file, message);
  throw DataError(file, message);
}

std::vector<int64_t> shape_from(const Json& value, const Path& file, const std::string& tensor) {
  if (!value.is_array()) refuse(file, tensor, "shape is no list");
  if (static_cast<int64_t>(value.size()) > safetensors_max_dims)
    refuse(file, tensor,
           text_of("shape has ", value.size(), " dimensions, expected at most ", safetensors_max_dims));
  std::vector<int64_t> shape;
  for (const Json& size : value) shape.push_back(whole_number(size, file, tensor, "shape"));
  return shape;
}

TensorEntry entry_from(const Json& value, int64_t data_begin, int64_t data_bytes, const Path& file,
                       const std::string& tensor) {
  const auto dtype = value.find("dtype"), shape = value.find("shape"), offsets = value.find("data_offsets");
  if (!value.is_object() || value.size() != 3 || dtype == value.end() || shape == value.end() ||
      offsets == value.end())
    refuse(file, tensor, "expected an object of exactly dtype, shape and data_offsets");
  TensorEntry entry;
  entry.type = type_from_name(*dtype, file, tensor);
  entry.shape = shape_from(*shape, file, tensor);
  if (!offsets->is_array() || offsets->size() != 2) refuse(file, tensor, "data_offsets is no list of two");
  const int64_t begin = whole_number((*offsets)[0], file, tensor, "data_offsets");
  const int64_t end = whole_number((*offsets)[1], file, tensor, "data_offsets");
  if (begin > end || end > data_bytes)
    refuse(file, tensor,
           text_of("data_offsets [", begin, ", ", end, "] in a file with ", data_bytes, " bytes of data"));
  const auto count = element_count(entry.shape);
  int64_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, size_of(entry.type), &bytes))
    refuse(file, tensor, "its size overflows 64 bits");
  if (bytes != end - begin)
    refuse(file, tensor, text_of("shape and dtype need ", bytes, " bytes, data_offsets give ", end - begin));
  entry.offset = data_begin + begin;
  entry.bytes = bytes;
  return entry;
}

void check_metadata(const Json& metadata, const Path& file) {
  require_data(metadata.is_object(), file, "__metadata__ is no object");
  for (const auto& [key, value] : metadata.items())
    require_data(value.is_string(), file, "__metadata__: the value of ", in_quotes(key), " is no string");
}

/// One tensor begins where the one before ends, from the header to the end of the file: nothing hides in
/// between.
void check_contiguous(const TensorEntries& entries, int64_t data_begin, int64_t file_bytes,
                      const Path& file) {
  std::vector<const TensorEntries::value_type*> ordered;
  ordered.reserve(entries.size());
  for (const auto& entry : entries) ordered.push_back(&entry);
  std::sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.offset, a->second.bytes) < std::pair(b->second.offset, b->second.bytes);
  });
  int64_t at = data_begin;
  for (const auto* entry : ordered) {
    if (entry->second.offset != at)
      refuse(file, entry->first,
             text_of("begins at byte ", entry->second.offset, ", expected ", at,
                     " (the tensors leave a hole or overlap)"));
    at += entry->second.bytes;
  }
  require_data(at == file_bytes, file, "the tensors end at byte ", at, ", the file at ", file_bytes);
}

}  // namespace

std::string_view name_of(TensorType type) { return row_of(type).name; }

int64_t size_of(TensorType type) { return row_of(type).bytes; }

std::optional<int64_t> element_count(std::span<const int64_t> shape) {
  int64_t without_zeros = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    empty = empty || size == 0;
    if (size != 0 && __builtin_mul_overflow(without_zeros, size, &without_zeros)) return std::nullopt;
  }
  return empty ? 0 : without_zeros;
}

int64_t safetensors_header_end(std::span<const std::byte> first, int64_t file_bytes, const Path& file,
                               const SafeTensorsLimits& limits) {
  if (first.size() < 10)
    refuse_content(first, file, text_of("has ", file_bytes, " bytes, expected at least 10"));
  // The brace before the first bytes: a header of 640 bytes begins with 80 02, as a pickle does.
  const uint64_t length = little_endian(first);
  if (first[8] != std::byte{'{'})
    refuse_content(first, file, "byte 8 is not '{', with which a header begins");
  require_data(length >= 2 && length <= static_cast<uint64_t>(file_bytes - 8), file, "a header of ", length,
               " bytes in a file of ", file_bytes, "; the file is cut off or no safetensors file");
  require_data(length <= static_cast<uint64_t>(limits.max_header_bytes), file, "a header of ", length,
               " bytes, expected at most ", limits.max_header_bytes);
  return static_cast<int64_t>(length) + 8;
}

TensorEntries parse_safetensors_header(std::span<const std::byte> begin, int64_t file_bytes, const Path& file,
                                       const SafeTensorsLimits& limits) {
  const int64_t data_begin = safetensors_header_end(begin, file_bytes, file, limits);
  const auto text = begin.subspan(8, static_cast<std::size_t>(data_begin - 8));
  const Json header =
      parse_json(text, file, {.max_bytes = limits.max_header_bytes, .max_depth = 4, .first_byte = 8});
  const auto count = static_cast<int64_t>(header.size());
  require_data(count <= limits.max_tensors, file, count, " tensors, expected at most ", limits.max_tensors);
  TensorEntries entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      check_metadata(value, file);
      continue;
    }
    if (name.size() > safetensors_max_name)
      refuse(file, name,
             text_of("a name of ", name.size(), " bytes, expected at most ", safetensors_max_name));
    entries.emplace(name, entry_from(value, data_begin, file_bytes - data_begin, file, name));
  }
  check_contiguous(entries, data_begin, file_bytes, file);
  return entries;
}

}  // namespace unisim
