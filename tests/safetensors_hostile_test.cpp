#include "hostile.h"
#include "safetensors_parts.h"

using namespace unisim;
using namespace unisim::test;
namespace fs = std::filesystem;

TEST_CASE("a hostile file is a DataError that names file and tensor", "[safetensors]") {
  struct Case {
    std::string name, bytes, message;
  };
  const std::string nine = "[1,1,1,1,1,1,1,1,1]", f32 = R"("F32")", u8 = R"("U8")";
  const std::vector<Case> cases = {
      {"nothing", "", "has 0 bytes, expected at least 10"},
      {"eight bytes", std::string(8, '\0'), "has 8 bytes, expected at least 10"},
      {"zeros alone", std::string(64, '\0'), "byte 8 is not '{'"},
      {"a header of no bytes", container("{}", 0, 0), "a header of 0 bytes"},
      {"a header of one byte", container("{}", 0, 1), "a header of 1 bytes"},
      {"a header longer than the file", container("{}", 0, 3), "a header of 3 bytes in a file of 10"},
      {"a header of 2^63 bytes", container("{}", 0, uint64_t{1} << 63), "in a file of 10"},
      {"a header of 2^64 - 1 bytes", container("{}", 0, UINT64_MAX),
       "a header of 18446744073709551615 bytes"},
      {"a header of 2^64 - 8 bytes, which wraps to 0", container("{}", 0, UINT64_MAX - 7), "in a file of 10"},
      {"a header over the limit", container("{}" + std::string(70'000, ' ')), "expected at most 65536"},
      {"a list for a header", container("[ ]"), "byte 8 is not '{'"},
      {"blanks before the brace", container(" {}"), "byte 8 is not '{'"},
      {"text behind the header's object", container("{} x"), "JSON, byte"},
      {"a NUL behind the header's object", container(std::string("{}\0\0", 4)), "byte 10: a NUL"},
      {"a cut header", container(R"({"t":{"dtype":"F32")"), "JSON, byte"},
      {"a tensor twice", container("{" + bytes_entry("t", 0, 1) + "," + bytes_entry("t", 1, 2) + "}", 2),
       "is there twice"},
      {"metadata twice", container(R"({"__metadata__":{},"__metadata__":{}})"), "is there twice"},
      {"a shape twice", container(R"({"t":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", 1),
       R"("shape" is there twice)"},
      {"metadata that are a list", container(R"({"__metadata__":[]})"), "__metadata__ is no object"},
      {"metadata of numbers", container(R"({"__metadata__":{"a":1}})"), R"(__metadata__: the value of "a")"},
      {"nested metadata", container(R"({"__metadata__":{"a":{"b":"c"}}})"),
       R"(the value of "a" is no string)"},
      {"a deep header", container(R"({"t":[[[[[]]]]]})"), "nested deeper than 4"},
      {"a name that is not UTF-8", container("{\"\xFF\":{}}"), "ill-formed UTF-8"},
      {"a name of 513 bytes", container("{" + bytes_entry(std::string(513, 'n'), 0, 1) + "}", 1),
       "a name of 513 bytes"},
      {"a tensor that is a number", container(R"({"t":1})"), R"(tensor "t": expected an object)"},
      {"a tensor that is a list", container(R"({"t":["U8",[1],[0,1]]})", 1), "expected an object"},
      {"no dtype", container(R"({"t":{"shape":[1],"data_offsets":[0,1]}})", 1),
       "exactly dtype, shape and data_offsets"},
      {"no shape", container(R"({"t":{"dtype":"U8","data_offsets":[0,1]}})", 1), "exactly dtype, shape and"},
      {"no data_offsets", container(R"({"t":{"dtype":"U8","shape":[1]}})", 1), "exactly dtype, shape and"},
      {"a fourth field", container(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1),
       "exactly dtype"},
      {"a dtype nobody knows", one(R"("F31")", "[1]", "[0,4]", 4),
       R"(tensor "t": dtype "F31", expected F64, F32)"},
      {"a dtype in small letters", one(R"("f32")", "[1]", "[0,4]", 4), R"(dtype "f32")"},
      {"a dtype that is a number", one("32", "[1]", "[0,4]", 4), "dtype is no string"},
      {"a shape that is a number", one(f32, "1", "[0,4]", 4), "shape is no list"},
      {"a negative dimension", one(f32, "[-1]", "[0,4]", 4), "shape holds something else than integers"},
      {"a dimension of 1.0", one(f32, "[1.0]", "[0,4]", 4), "shape holds something else than integers"},
      {"a dimension in quotes", one(f32, R"(["1"])", "[0,4]", 4), "shape holds something else than integers"},
      {"a dimension of 2^63", one(f32, "[9223372036854775808]", "[0,4]", 4), "shape holds something else"},
      {"a dimension of 2^64", one(f32, "[18446744073709551616]", "[0,4]", 4), "shape holds something else"},
      {"nine dimensions", one(u8, nine, "[0,1]", 1), "shape has 9 dimensions, expected at most 8"},
      {"a shape that wraps to 4 bytes", one(f32, "[4611686018427387905]", "[0,4]", 4), "overflows 64 bits"},
      {"two dimensions that wrap to 0", one(u8, "[4294967296,4294967296]", "[0,0]", 0), "overflows 64 bits"},
      {"an overflow beside a zero", one(u8, "[0,9223372036854775807,2]", "[0,0]", 0), "overflows 64 bits"},
      {"one offset", one(f32, "[1]", "[4]", 4), "data_offsets is no list of two"},
      {"three offsets", one(f32, "[1]", "[0,4,8]", 4), "data_offsets is no list of two"},
      {"a negative offset", one(f32, "[1]", "[-4,0]", 4), "data_offsets holds something else than integers"},
      {"offsets the wrong way round", one(f32, "[1]", "[4,0]", 4), "data_offsets [4, 0]"},
      {"an offset beyond the file", one(f32, "[1]", "[0,4]", 3),
       "data_offsets [0, 4] in a file with 3 bytes"},
      {"an offset of 2^63", one(u8, "[1]", "[0,9223372036854775808]", 1),
       "data_offsets holds something else"},
      {"an offset of 2^63 - 1", one(u8, "[1]", "[0,9223372036854775807]", 1),
       "in a file with 1 bytes of data"},
      {"fewer bytes than the shape needs", one(f32, "[2]", "[0,4]", 4), "need 8 bytes, data_offsets give 4"},
      {"more bytes than the shape needs", one(f32, "[1]", "[0,8]", 8), "need 4 bytes, data_offsets give 8"},
      {"a hole before the first tensor", one(u8, "[1]", "[1,2]", 2), "leave a hole or overlap"},
      {"a hole between tensors",
       container("{" + bytes_entry("a", 0, 1) + "," + bytes_entry("b", 2, 3) + "}", 3),
       R"(tensor "b": begins at byte)"},
      {"tensors that overlap",
       container("{" + bytes_entry("a", 0, 2) + "," + bytes_entry("b", 1, 3) + "}", 3),
       R"(tensor "b": begins at byte)"},
      {"two tensors of the same bytes",
       container("{" + bytes_entry("a", 0, 2) + "," + bytes_entry("b", 0, 2) + "}", 2),
       "leave a hole or overlap"},
      {"an empty tensor inside another",
       container("{" + bytes_entry("a", 0, 2) + "," + bytes_entry("b", 1, 1) + "}", 2),
       R"(tensor "b": begins at byte)"},
      {"bytes behind the last tensor", one(u8, "[1]", "[0,1]", 2), "the tensors end at byte"},
      {"bytes and no tensor", container("{}", 5), "the tensors end at byte 10, the file at 15"},
      {"a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
       "git lfs pull"},
      {"an HTML page", "<!DOCTYPE html><html></html>", "a page of HTML"},
      {"a JPEG", "\xFF\xD8\xFF\xE0 JFIF and so on", "byte 8 is not '{'"},
  };
  const TemporaryFolder folder;
  const auto file = folder.path() / "model.safetensors";
  for (const Case& c : cases) DYNAMIC_SECTION(c.name) {
      write_bytes(file, bytes_from(c.bytes));
      const SafeTensorsLimits limits{.max_header_bytes = 65'536};
      check_throws<DataError>([&] { SafeTensors::open_file(file, limits); }, c.message);
      check_throws<DataError>([&] { SafeTensors::open_file(file, limits); }, file.string() + ": ");
    }
}

TEST_CASE("a known format that is not read is Unsupported and says what to do", "[safetensors]") {
  struct Case {
    std::string name, bytes, message;
  };
  const std::vector<Case> cases = {
      {"a pickle of protocol 2", std::string("\x80\x02", 2) + "}q.aaaaaaaa",
       "a pickle, expected safetensors: convert it with `unisim convert`"},
      {"a pickle of protocol 5", std::string("\x80\x05\x95", 3) + "aaaaaaaaaa", "a pickle"},
      {"a checkpoint of torch.save", "PK\x03\x04" + std::string(40, '\0'),
       "a zip archive, as torch.save writes"},
      {"Keras weights", "\x89HDF\r\n\x1a\n" + std::string(40, '\0'), "an HDF5 file"},
      {"a GGUF file", "GGUF\x03" + std::string(40, '\0'), "a GGUF file"},
      {"an .npy file", "\x93NUMPY\x01" + std::string(40, '\0'), "an .npy file"},
      {"a gzip archive", "\x1f\x8b\x08" + std::string(40, '\0'), "a gzip archive"},
      {"a tensor of F8_E4M3", one(R"("F8_E4M3")", "[1]", "[0,1]", 1), R"(tensor "t": dtype "F8_E4M3")"},
      {"a tensor of U16", one(R"("U16")", "[1]", "[0,2]", 2), R"(dtype "U16")"},
  };
  const TemporaryFolder folder;
  const auto file = folder.path() / "model.safetensors";
  for (const Case& c : cases) DYNAMIC_SECTION(c.name) {
      write_bytes(file, bytes_from(c.bytes));
      check_throws<Unsupported>([&] { SafeTensors::open_file(file); }, c.message);
    }
}

TEST_CASE("a hostile index is a DataError that names the tensor or the file", "[safetensors]") {
  struct Case {
    std::string name, index, message;
  };
  const auto map = [](const std::string& entries) { return R"({"weight_map": {)" + entries + "}}"; };
  const std::string a = R"("a": "one.safetensors")", b = R"("b": "two.safetensors")";
  const std::vector<Case> cases = {
      {"no weight_map", "{}", R"("weight_map" is missing)"},
      {"an empty weight_map", map(""), R"("weight_map" is an object of 0 keys, expected)"},
      {"a weight_map that is a list", R"({"weight_map": ["a"]})", R"(an object from tensor to file)"},
      {"a list in place of an index", "[]", "expected an object"},
      {"a file that is a number", map(R"("a": 1)"), R"(the file of "a" is no string)"},
      {"a tensor twice", map(a + ", " + a), R"("a" is there twice)"},
      {"a tensor that no shard has", map(a + ", " + b + R"(, "c": "two.safetensors")"),
       R"(tensor "c" is missing)"},
      {"a tensor that the index does not name", map(a + R"(, "b": "both.safetensors")"),
       R"(tensor "a" is in)"},
      {"an extra tensor in a shard", map(R"("c": "extra.safetensors")"),
       R"(tensor "d" is not in model.safetensors.index)"},
      {"a tensor in another shard than said", map(R"("a": "two.safetensors", "b": "one.safetensors")"),
       R"(tensor "a" is in "one.safetensors", expected in "two.safetensors")"},
      {"a shard that is not there", map(a + R"(, "b": "gone.safetensors")"),
       R"("gone.safetensors", which is not in)"},
      {"a shard above the folder", map(R"("a": "../x.safetensors")"),
       R"("../x.safetensors", expected a plain file name)"},
      {"a shard that is ..", map(R"("a": "..")"), R"("..", expected a plain file name)"},
      {"a shard that is .", map(R"("a": ".")"), R"(".", expected a plain file name)"},
      {"a shard of no name", map(R"("a": "")"), R"("", expected a plain file name)"},
      {"an absolute shard", map(R"("a": "/etc/passwd")"), R"("/etc/passwd", expected a plain file name)"},
      {"a shard below the folder", map(R"("a": "sub/one.safetensors")"), "expected a plain file name"},
      {"a shard with a backslash", map(R"("a": "..\\x")"), "expected a plain file name"},
      {"a shard of a drive", map(R"("a": "C:x")"), "expected a plain file name"},
      {"a shard with a NUL", map(R"("a": "one.safetensors\u0000.png")"),
       R"(one.safetensors\x00.png", expected a plain)"},
      {"a shard with a name of 300 bytes", map(R"("a": ")" + std::string(300, 's') + '"'),
       "expected a plain file name"},
      {"a shard that is a folder", map(R"("a": "folder")"), "is a folder, expected a regular file"},
      {"the index itself as a shard", map(R"("a": "model.safetensors.index.json")"),
       "it is no safetensors file"},
      {"a shard that is a link out of the folder", map(R"("a": "link.safetensors")"),
       "neither in the same folder nor"},
      {"more shards than the limit", map(R"("1": "1", "2": "2", "3": "3", "4": "4")"),
       "4 shards, expected at most 3"},
  };
  const TemporaryFolder outside, folder;
  write_bytes(outside.path() / "one.safetensors", shard("a"));
  fs::create_symlink(outside.path() / "one.safetensors", folder.path() / "link.safetensors");
  fs::create_directory(folder.path() / "folder");
  write_bytes(folder.path() / "one.safetensors", shard("a"));
  write_bytes(folder.path() / "two.safetensors", shard("b"));
  write_bytes(folder.path() / "both.safetensors",
              bytes_from(container("{" + bytes_entry("a", 0, 1) + "," + bytes_entry("b", 1, 2) + "}", 2)));
  write_bytes(folder.path() / "extra.safetensors",
              bytes_from(container("{" + bytes_entry("c", 0, 1) + "," + bytes_entry("d", 1, 2) + "}", 2)));
  for (const Case& c : cases) DYNAMIC_SECTION(c.name) {
      write_bytes(folder.path() / "model.safetensors.index.json", bytes_from(c.index));
      const auto open = [&] { SafeTensors::open_folder(folder.path(), {"model"}, {.max_shards = 3}); };
      check_throws<DataError>(open, c.message);
    }
}

TEST_CASE("an index with a field that nobody knows is Unsupported", "[safetensors]") {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "model.safetensors.index.json",
              bytes_from(R"({"weight_map": {"a": "a.safetensors"}, "quantization": 4})"));
  check_throws<Unsupported>([&] { SafeTensors::open_folder(folder.path(), {"model"}); },
                            R"("quantization" (4))");
}
