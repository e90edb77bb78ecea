#include "io/safetensors.h"
#include "support.h"

#include <unisim/error.h>

#include <cstring>

using namespace unisim;
using unisim::test::TemporaryFolder;
using unisim::test::test_data;

namespace {

std::span<const std::byte> bytes_of(const std::vector<float>& values) { return std::as_bytes(std::span(values)); }

std::vector<float> floats_of(const SafeTensors& tensors, const std::string& name) {
  const TensorEntry* entry = tensors.find(name);
  REQUIRE(entry);
  std::vector<float> values(static_cast<std::size_t>(entry->bytes) / 4);
  tensors.read(*entry, std::as_writable_bytes(std::span(values)));
  return values;
}

}  // namespace

TEST_CASE("what safetensors_bytes writes is read back", "[safetensors]") {
  const TemporaryFolder folder;
  const std::vector<float> a = {1, 2, 3, 4, 5, 6}, scalar = {7}, none;
  const std::vector<TensorBytes> tensors = {{"a", TensorType::F32, {2, 3}, bytes_of(a)},
                                            {"scalar", TensorType::F32, {}, bytes_of(scalar)},
                                            {"none", TensorType::F32, {0, 4}, bytes_of(none)}};
  write_file_whole(folder.path() / "model.safetensors", safetensors_bytes(tensors));
  const SafeTensors read = SafeTensors::open_folder(folder.path(), {"model"});
  CHECK(read.entries().size() == 3);
  CHECK(read.find("a")->shape == std::vector<int64_t>{2, 3});
  CHECK(floats_of(read, "a") == a);
  CHECK(floats_of(read, "scalar") == scalar);
  CHECK(floats_of(read, "none").empty());
  CHECK(read.find("b") == nullptr);
}

TEST_CASE("the folders of real weights are read", "[safetensors]") {
  const auto models = test_data("models");
  if (models.empty()) return;
  for (const auto& folder : std::filesystem::directory_iterator(models)) {
    INFO(folder.path());
    const SafeTensors tensors = SafeTensors::open_folder(folder.path(), {"model"});
    CHECK(tensors.entries().size() > 5);
  }
}
