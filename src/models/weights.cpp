#include "weights.h"

#include <ATen/ops/empty.h>
#include <unisim/error.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

namespace unisim {
namespace {

constexpr int64_t staged_bytes = int64_t{32} << 20;

std::string text_of_shape(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t side : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(side);
  return text + "]";
}

/// Leading dimensions of one carry nothing: [1, 1, width] is as good as [width].
std::vector<int64_t> without_leading_ones(const std::vector<int64_t>& shape) {
  const auto first = std::find_if(shape.begin(), shape.end(), [](int64_t side) { return side != 1; });
  return {first, shape.end()};
}

at::ScalarType scalar_type_of(TensorType type) {
  if (type == TensorType::F16) return at::kHalf;
  return type == TensorType::BF16 ? at::kBFloat16 : at::kFloat;
}

/// Whether any value's exponent is all ones: a NaN or an infinity.
template <class Bits>
bool all_finite(std::span<const std::byte> bytes, Bits exponent) {
  Bits bad = 0;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + at, sizeof(Bits));
    bad = static_cast<Bits>(bad | static_cast<Bits>((bits & exponent) == exponent));
  }
  return bad == 0;
}

bool all_finite(TensorType type, std::span<const std::byte> bytes) {
  if (type == TensorType::F32) return all_finite<uint32_t>(bytes, 0x7f80'0000u);
  return all_finite<uint16_t>(bytes, type == TensorType::F16 ? uint16_t{0x7c00} : uint16_t{0x7f80});
}

/// Insertions, deletions and exchanges of letters from one name to the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t exchanged = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({exchanged, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

using Names = std::set<std::string, std::less<>>;

/// The name of the file that is most like the one sought, of those that nobody else seeks; empty if none is.
std::string nearest_name(const SafeTensors& file, const std::string& name, const Names& sought) {
  std::string nearest;
  std::size_t least = name.size() / 2 + 1;
  for (const auto& [other, entry] : file.entries()) {
    const std::size_t apart =
        other.size() > name.size() ? other.size() - name.size() : name.size() - other.size();
    if (apart >= least || sought.contains(other)) continue;
    const std::size_t distance = edit_distance(name, other);
    if (distance < least) least = distance, nearest = other;
  }
  return nearest;
}

/// Whether the name is the pattern's, in which "*" stands for any letters.
bool matches(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (std::size_t from = star; from <= name.size(); ++from)
    if (matches(rest, name.substr(from))) return true;
  return false;
}

void check_present(const SafeTensors& file, const FileTensor& wanted, const std::string& reader,
                   const Names& sought) {
  const TensorEntry* entry = file.find(wanted.name);
  if (!entry) {
    const std::string near = nearest_name(file, wanted.name, sought);
    throw DataError(
        file.files().front(),
        text_of("tensor \"", wanted.name, "\" ", text_of_shape(wanted.shape), " is missing; the ", reader,
                " needs it", near.empty() ? "" : text_of(" (the nearest name there is \"", near, "\")")));
  }
  const std::filesystem::path& at = file.files()[entry->file];
  require_data(without_leading_ones(entry->shape) == without_leading_ones(wanted.shape), at, "tensor \"",
               wanted.name, "\" is ", text_of_shape(entry->shape), ", expected ",
               text_of_shape(wanted.shape));
  if (entry->type != TensorType::F32 && entry->type != TensorType::F16 && entry->type != TensorType::BF16)
    throw Unsupported(
        at, text_of("tensor \"", wanted.name, "\" is ", name_of(entry->type), ", expected F32, F16 or BF16"));
}

/// Of pieces stacked along the first dimension.
std::vector<int64_t> stacked_shape(const std::vector<FileTensor>& pieces) {
  std::vector<int64_t> shape = pieces.front().shape;
  for (std::size_t i = 1; i < pieces.size(); ++i) shape.front() += pieces[i].shape.front();
  return shape;
}

}  // namespace

Weights Weights::open(const std::filesystem::path& folder, const std::vector<std::string>& stems,
                      Device device, DType dtype) {
  return {SafeTensors::open_folder(folder, stems), device, dtype};
}

int64_t Weights::parameters() const {
  int64_t count = 0;
  for (const auto& [name, entry] : file_.entries())
    if (entry.type == TensorType::F32 || entry.type == TensorType::F16 || entry.type == TensorType::BF16)
      count += entry.bytes / size_of(entry.type);
  return count;
}

void Weights::fill(const Wants& wants) const {
  Names sought;
  for (const Want& want : wants.tensors)
    for (const FileTensor& piece : want.pieces) sought.insert(piece.name);
  for (const Want& want : wants.tensors)
    for (const FileTensor& piece : want.pieces) check_present(file_, piece, wants.reader, sought);
  for (const auto& [name, entry] : file_.entries()) {
    const auto fits = [&, &tensor = name](const std::string& pattern) { return matches(pattern, tensor); };
    require_data(sought.contains(name) || std::any_of(wants.harmless.begin(), wants.harmless.end(), fits),
                 file_.files()[entry.file], "tensor \"", name, "\" ", text_of_shape(entry.shape),
                 " has no place in the ", wants.reader, " that the configuration describes");
  }

  Tensor staged;
  for (const Want& want : wants.tensors) {
    const at::ScalarType dtype = want.in_float32 ? at::kFloat : scalar_type(dtype_);
    Tensor whole = at::empty(stacked_shape(want.pieces), at::TensorOptions().dtype(dtype));
    int64_t row = 0;
    for (const FileTensor& piece : want.pieces) {
      const bool alone = want.pieces.size() == 1;
      read(piece, alone ? whole : whole.narrow(0, row, piece.shape.front()), staged);
      if (!alone) row += piece.shape.front();
    }
    if (!want.shape.empty()) whole = whole.reshape(want.shape);
    if (want.transposed) whole = whole.t().contiguous();
    *want.into = whole.to(device_);
  }
}

void Weights::read(const FileTensor& wanted, const Tensor& into, Tensor& staged) const {
  const TensorEntry& entry = *file_.find(wanted.name);
  const at::ScalarType type = scalar_type_of(entry.type);
  Tensor bytes = into;
  if (type != into.scalar_type()) {
    const auto room = at::TensorOptions().dtype(at::kByte);
    // One room for all tensors but the largest: what is taken and given back between tensors that stay leaves holes.
    const bool large = entry.bytes > staged_bytes;
    if (!large && !staged.defined()) staged = at::empty({staged_bytes}, room);
    bytes = (large ? at::empty({entry.bytes}, room) : staged.narrow(0, 0, entry.bytes)).view(type).view(into.sizes());
  }
  const std::span<std::byte> read(static_cast<std::byte*>(bytes.mutable_data_ptr()),
                                  static_cast<std::size_t>(entry.bytes));
  file_.read(entry, read);
  require_data(all_finite(entry.type, read), file_.files()[entry.file], "tensor \"", wanted.name,
               "\" holds a NaN or an infinity");
  if (type != into.scalar_type()) into.copy_(bytes);
}

}  // namespace unisim
