#include <unisim/error.h>

#include <algorithm>

#include "json.h"
#include "quote.h"
#include "safetensors_header.h"

namespace unisim {
namespace {

void check_writable(const TensorBytes& tensor) {
  const auto say = [&](const auto&... parts) {
    return text_of("[safetensors_bytes] tensor ", in_quotes(tensor.name), ": ", parts...);
  };
  require(tensor.name != "__metadata__", say("the name belongs to the format"));
  require(tensor.name.size() <= safetensors_max_name, say("a name of ", tensor.name.size(), " bytes"));
  require(static_cast<int64_t>(tensor.shape.size()) <= safetensors_max_dims,
          say(tensor.shape.size(), " dimensions, at most ", safetensors_max_dims, " can be read"));
  for (const int64_t size : tensor.shape) require(size >= 0, say("a dimension of ", size));
  const auto count = element_count(tensor.shape);
  int64_t bytes = 0;
  require(count && !__builtin_mul_overflow(*count, size_of(tensor.type), &bytes), say("its size overflows"));
  require(bytes == static_cast<int64_t>(tensor.bytes.size()),
          say("shape and type need ", bytes, " bytes, given are ", tensor.bytes.size()));
}

/// Padded with spaces to eight bytes, so that the data behind it are aligned.
std::string header_text(std::span<const TensorBytes* const> ordered,
                        const std::map<std::string, std::string>& metadata) {
  Json::object_t header;
  if (!metadata.empty()) header.emplace_back("__metadata__", metadata);
  int64_t at = 0;
  for (const TensorBytes* tensor : ordered) {
    const auto end = at + static_cast<int64_t>(tensor->bytes.size());
    header.emplace_back(tensor->name, Json{{"dtype", std::string(name_of(tensor->type))},
                                           {"shape", tensor->shape},
                                           {"data_offsets", Json::array({at, end})}});
    at = end;
  }
  try {
    std::string text = Json(std::move(header)).dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
  } catch (const Json::type_error&) {
    throw std::invalid_argument("[safetensors_bytes] a name or the metadata are not valid UTF-8");
  }
}

}  // namespace

std::vector<std::byte> safetensors_bytes(std::span<const TensorBytes> tensors,
                                         const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorBytes*> ordered;
  for (const TensorBytes& tensor : tensors) {
    check_writable(tensor);
    ordered.push_back(&tensor);
  }
  std::sort(ordered.begin(), ordered.end(), [](const TensorBytes* a, const TensorBytes* b) {
    return std::pair(-size_of(a->type), std::string_view(a->name)) <
           std::pair(-size_of(b->type), std::string_view(b->name));
  });
  std::set<std::string_view> names;
  for (const TensorBytes& tensor : tensors)
    require(names.insert(tensor.name).second, "[safetensors_bytes] two tensors are named ",
            in_quotes(tensor.name));
  const std::string header = header_text(ordered, metadata);
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < 8; ++i)
    bytes.push_back(static_cast<std::byte>((header.size() >> (8 * i)) & 0xFF));
  const auto text = std::as_bytes(std::span(header));
  bytes.insert(bytes.end(), text.begin(), text.end());
  for (const TensorBytes* tensor : ordered)
    bytes.insert(bytes.end(), tensor->bytes.begin(), tensor->bytes.end());
  return bytes;
}

}  // namespace unisim
