#include <array>
#include <cstring>

#include "hostile.h"
#include "io/safetensors_header.h"
#include "safetensors_parts.h"

using namespace unisim;
using namespace unisim::test;

namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

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
  const std::vector<std::byte> flags(3, std::byte{1});
  const std::vector<TensorBytes> tensors = {{"flags", TensorType::Bool, {3}, flags},
                                            {"a", TensorType::F32, {2, 3}, bytes_of(a)},
                                            {"scalar", TensorType::F32, {}, bytes_of(scalar)},
                                            {"none", TensorType::F32, {0, 4}, bytes_of(none)},
                                            {"naïve \"name\"\n", TensorType::F32, {1}, bytes_of(scalar)}};
  write_bytes(folder.path() / "model.safetensors", safetensors_bytes(tensors));
  const SafeTensors read = SafeTensors::open_folder(folder.path(), {"model"});
  CHECK(read.entries().size() == 5);
  CHECK(read.find("a")->shape == std::vector<int64_t>{2, 3});
  CHECK(floats_of(read, "a") == a);
  CHECK(floats_of(read, "scalar") == scalar);
  CHECK(floats_of(read, "none").empty());
  CHECK(floats_of(read, "naïve \"name\"\n") == scalar);
  CHECK(read.find("flags")->type == TensorType::Bool);
  CHECK(read.find("b") == nullptr);
  for (const auto& [name, entry] : read.entries()) CHECK(entry.offset % size_of(entry.type) == 0);
}

TEST_CASE("what the reader would refuse is not written", "[safetensors]") {
  const std::vector<float> a = {1};
  const auto write = [&](TensorBytes tensor) { return safetensors_bytes(std::vector{std::move(tensor)}); };
  const auto twice = std::vector<TensorBytes>(2, {"a", TensorType::F32, {1}, bytes_of(a)});
  using Argument = std::invalid_argument;
  check_throws<Argument>(
      [&] {
        write({"a", TensorType::F32, {2}, bytes_of(a)});
      },
      "need 8 bytes, given are 4");
  check_throws<Argument>([&] { write({"a", TensorType::F32, {-1}, bytes_of(a)}); }, "a dimension of -1");
  check_throws<Argument>(
      [&] {
        write({"__metadata__", TensorType::F32, {1}, bytes_of(a)});
      },
      "belongs to the format");
  check_throws<Argument>(
      [&] {
        write({std::string(513, 'n'), TensorType::F32, {1}, bytes_of(a)});
      },
      "513 bytes");
  check_throws<Argument>([&] { write({"\xFF", TensorType::F32, {1}, bytes_of(a)}); }, "UTF-8");
  check_throws<Argument>(
      [&] {
        write({"a", TensorType::F32, std::vector<int64_t>(9, 1), bytes_of(a)});
      },
      "9 dim");
  check_throws<Argument>([&] { write({"a", TensorType::F32, {INT64_MAX, 2}, bytes_of(a)}); }, "overflows");
  check_throws<Argument>([&] { safetensors_bytes(twice); }, "two tensors are named \"a\"");
}

TEST_CASE("a file that safetensors.torch.save_file wrote is read", "[safetensors]") {
  // safetensors 0.8.0: {"i": int64 [1], "a": arange(6.).reshape(2, 3), "e": zeros(0, 4), "z": tensor(7.),
  // "b": ones(5) bfloat16, "h": ones(3) float16, "o": tensor([True])}, metadata={"format": "pt"}.
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},)"
      R"("e":{"dtype":"F32","shape":[0,4],"data_offsets":[32,32]},)"
      R"("z":{"dtype":"F32","shape":[],"data_offsets":[32,36]},)"
      R"("b":{"dtype":"BF16","shape":[5],"data_offsets":[36,46]},)"
      R"("h":{"dtype":"F16","shape":[3],"data_offsets":[46,52]},)"
      R"("o":{"dtype":"BOOL","shape":[1],"data_offsets":[52,53]}}     )";
  const std::string data(
      "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@\0\0\xe0@"
      "\x80?\x80?\x80?\x80?\x80?\0<\0<\0<\1",
      53);
  const TemporaryFolder folder;
  const auto file = folder.path() / "torch.safetensors";
  write_bytes(file, bytes_from(container(header) + data));
  const SafeTensors read = SafeTensors::open_file(file);
  CHECK(read.entries().size() == 7);
  CHECK(floats_of(read, "a") == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK(floats_of(read, "z") == std::vector<float>{7});
  CHECK(read.find("z")->shape.empty());
  CHECK(read.find("e")->shape == std::vector<int64_t>{0, 4});
  CHECK(read.find("b")->type == TensorType::BF16);
  std::array<uint16_t, 3> halves{};
  read.read(*read.find("h"), std::as_writable_bytes(std::span(halves)));
  CHECK(halves == std::array<uint16_t, 3>{0x3C00, 0x3C00, 0x3C00});
  std::array<std::byte, 1> flag{};
  read.read(*read.find("o"), flag);
  CHECK(flag[0] == std::byte{1});
}

TEST_CASE("a file without tensors is read, and so is one with metadata alone", "[safetensors]") {
  const std::string header = GENERATE(as<std::string>{}, "{}", "{}      ", R"({"__metadata__":{}})",
                                      R"({"__metadata__":{"format":"pt","a":""}})");
  const TemporaryFolder folder;
  write_bytes(folder.path() / "m.safetensors", bytes_from(container(header)));
  CHECK(SafeTensors::open_file(folder.path() / "m.safetensors").entries().empty());
}

TEST_CASE("a header whose length looks like a pickle's first bytes is still a header", "[safetensors]") {
  std::string header = "{" + bytes_entry("t", 0, 1) + "}";
  header.resize(0x280, ' ');  // 80 02 00 ...: the opcode PROTO 2
  const TemporaryFolder folder;
  write_bytes(folder.path() / "m.safetensors", bytes_from(container(header, 1)));
  CHECK(SafeTensors::open_file(folder.path() / "m.safetensors").entries().size() == 1);
}

TEST_CASE("more tensors than the limit are refused", "[safetensors]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "m.safetensors";
  write_bytes(file,
              bytes_from(container("{" + bytes_entry("a", 0, 1) + "," + bytes_entry("b", 1, 2) + "}", 2)));
  CHECK_NOTHROW(SafeTensors::open_file(file, {.max_tensors = 2}));
  check_throws<DataError>([&] { SafeTensors::open_file(file, {.max_tensors = 1}); },
                          "2 tensors, expected at most 1");
}

TEST_CASE("every truncation and every other byte of a file loads or is a DataError", "[safetensors]") {
  const auto values = test::random_floats(60, 3);
  const std::span<const float> all(values);
  const std::vector<TensorBytes> tensors = {
      {"vision.weight", TensorType::F32, {5, 10}, std::as_bytes(all.first(50))},
      {"vision.bias", TensorType::BF16, {10}, std::as_bytes(all.last(5))},
      {"scale", TensorType::F16, {}, std::as_bytes(all.first(1)).first(2)},
      {"none", TensorType::I64, {0, 3}, {}}};
  const auto good = safetensors_bytes(tensors);
  REQUIRE(good.size() >= 500);
  REQUIRE(good.size() <= 700);
  const auto accepted = survive_every_mutation(good, [](const std::vector<std::byte>& bytes) {
    const auto size = static_cast<int64_t>(bytes.size());
    int64_t total = 0;
    for (const auto& [name, entry] : parse_safetensors_header(bytes, size, "m.safetensors", {})) {
      const auto count = element_count(entry.shape);
      const bool inside = entry.offset >= 8 && entry.bytes >= 0 && entry.offset + entry.bytes <= size;
      if (!inside || !count || *count * size_of(entry.type) != entry.bytes)
        throw std::logic_error("a wrong entry");
      total += entry.bytes;
    }
    if (total != 222) throw std::logic_error("the tensors are not the data");
  });
  CHECK(accepted >= 222 * 255);  // any value of the data is data
}

TEST_CASE("every truncation of a file on disk is a DataError, every change loads or is one",
          "[safetensors]") {
  const auto values = random_floats(8, 3);
  const std::vector<TensorBytes> tensors = {{"a", TensorType::F32, {4}, bytes_of(values).first(16)},
                                            {"b", TensorType::BF16, {8}, bytes_of(values).last(16)}};
  const auto good = safetensors_bytes(tensors);
  const TemporaryFolder folder;
  const auto file = folder.path() / "m.safetensors";
  const auto load = [&](std::span<const std::byte> bytes) {
    write_bytes(file, bytes);
    const SafeTensors read = SafeTensors::open_file(file);
    for (const auto& [name, entry] : read.entries()) {
      std::vector<std::byte> content(static_cast<std::size_t>(entry.bytes));
      read.read(entry, content);
      REQUIRE(std::memcmp(content.data(), bytes.data() + entry.offset, content.size()) == 0);
    }
  };
  load(good);
  for (std::size_t length = 0; length < good.size(); ++length)
    CHECK_THROWS_AS(load(std::span(good).first(length)), DataError);
  for (std::size_t at = 0; at < good.size(); ++at) {
    auto changed = good;
    changed[at] ^= std::byte{1};
    try {
      load(changed);
    } catch (const DataError&) {
    }
  }
}

TEST_CASE("a file that is cut or rewritten after it was opened is a DataError", "[safetensors]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "m.safetensors";
  const std::vector<float> values(1000, 1);
  const std::vector<TensorBytes> tensors = {{"t", TensorType::F32, {1000}, bytes_of(values)}};
  write_bytes(file, safetensors_bytes(tensors));
  const SafeTensors read = SafeTensors::open_file(file);
  std::vector<std::byte> content(4000);
  SECTION("cut") {
    fs::resize_file(file, 100);
    check_throws<DataError>([&] { read.read(*read.find("t"), content); }, "ends before byte 4104");
  }
  SECTION("longer") {
    fs::resize_file(file, 10'000);
    check_throws<DataError>([&] { read.read(*read.find("t"), content); }, "changed while it was read");
  }
  SECTION("touched") {
    fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(5));
    check_throws<DataError>([&] { read.read(*read.find("t"), content); }, "changed while it was read");
  }
  SECTION("replaced whole: the old file is still what is read") {
    write_file_whole(file, bytes_from("other"));
    CHECK(floats_of(read, "t") == values);
  }
  SECTION("a place of another size is the caller's error") {
    content.resize(3999);
    check_throws<std::invalid_argument>([&] { read.read(*read.find("t"), content); }, "has 4000 bytes");
  }
}

TEST_CASE("shards are read through their index", "[safetensors]") {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "model-00001-of-00002.safetensors", shard("a"));
  write_bytes(folder.path() / "model-00002-of-00002.safetensors", shard("bbb"));
  write_bytes(folder.path() / "model.safetensors.index.json", bytes_from(R"({"metadata": {"total_size": 8},
    "weight_map": {"bbb": "model-00002-of-00002.safetensors", "a": "model-00001-of-00002.safetensors"}})"));
  const SafeTensors read = SafeTensors::open_folder(folder.path(), {"open_clip_model", "model"});
  CHECK(read.files().size() == 2);
  CHECK(floats_of(read, "a") == std::vector<float>{1});
  CHECK(floats_of(read, "bbb") == std::vector<float>{3});
}

TEST_CASE("the first stem that is there is read, a single file before shards", "[safetensors]") {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "model.safetensors", shard("a"));
  write_bytes(folder.path() / "model.safetensors.index.json", bytes_from("{}"));
  CHECK(SafeTensors::open_folder(folder.path(), {"open_clip_model", "model"}).find("a"));
  write_bytes(folder.path() / "open_clip_model.safetensors", shard("b"));
  CHECK(SafeTensors::open_folder(folder.path(), {"open_clip_model", "model"}).find("b"));
}

TEST_CASE("a folder without weights says what was looked for and what is there", "[safetensors]") {
  const TemporaryFolder folder;
  const auto open = [&] { SafeTensors::open_folder(folder.path(), {"open_clip_model", "model"}); };
  check_throws<DataError>(
      open,
      "expected one of open_clip_model.safetensors, open_clip_model.safetensors.index.json, "
      "model.safetensors, model.safetensors.index.json");
  write_bytes(folder.path() / "pytorch_model.bin", bytes_from("x"));
  check_throws<DataError>(open, R"(there is "pytorch_model.bin": convert it with `unisim convert`)");
  check_throws<DataError>([&] { SafeTensors::open_folder(folder.path() / "pytorch_model.bin", {"model"}); },
                          "is no folder");
  check_throws<fs::filesystem_error>([&] { SafeTensors::open_folder(folder.path() / "gone", {"model"}); },
                                     "gone");
}

TEST_CASE("weights that are a broken link or a folder are errors of their own", "[safetensors]") {
  const TemporaryFolder folder;
  const auto open = [&] { SafeTensors::open_folder(folder.path(), {"model"}); };
  SECTION("a broken link") {
    fs::create_symlink("gone", folder.path() / "model.safetensors");
    check_throws<DataError>(open, R"("model.safetensors", which is not in)");
  }
  SECTION("a folder") {
    fs::create_directory(folder.path() / "model.safetensors");
    check_throws<DataError>(open, "is a folder, expected a regular file");
  }
}

TEST_CASE("the folders of real weights are read", "[safetensors]") {
  const auto models = test_data("models");
  if (models.empty()) return;
  for (const auto& folder : fs::directory_iterator(models)) {
    INFO(folder.path());
    const SafeTensors tensors = SafeTensors::open_folder(folder.path(), {"model"});
    CHECK(tensors.entries().size() > 5);
  }
}
