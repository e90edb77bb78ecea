#include "sha256.h"

#include "hostile.h"

using namespace unisim;
using namespace unisim::test;

namespace {

std::string of_pieces(std::string_view text, std::size_t size) {
  Sha256 hash;
  for (; !text.empty(); text.remove_prefix(std::min(size, text.size())))
    hash.update(std::as_bytes(std::span(text.substr(0, size))));
  return hash.hex();
}

/// 0, 1, 2, ... modulo 251, a length that no block divides.
std::string counted(std::size_t length) {
  std::string text(length, '\0');
  for (std::size_t i = 0; i < length; ++i) text[i] = static_cast<char>(i % 251);
  return text;
}

}  // namespace

TEST_CASE("the examples of FIPS 180-4 hash to their digests", "[sha256]") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
            "mnopqrstnopqrstu") == "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  CHECK(sha256(std::string(1'000'000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("lengths around a block hash as Python's hashlib has them", "[sha256]") {
  // hashlib.sha256(bytes(i % 251 for i in range(n))).hexdigest()
  const std::vector<std::pair<std::size_t, std::string>> known = {
      {1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
      {55, "463eb28e72f82e0a96c0a4cc53690c571281131f672aa229e0d45ae59b598b59"},
      {56, "da2ae4d6b36748f2a318f23e7ab1dfdf45acdc9d049bd80e59de82a60895f562"},
      {57, "2fe741af801cc238602ac0ec6a7b0c3a8a87c7fc7d7f02a3fe03d1c12eac4d8f"},
      {63, "29af2686fd53374a36b0846694cc342177e428d1647515f078784d69cdb9e488"},
      {64, "fdeab9acf3710362bd2658cdc9a29e8f9c757fcf9811603a8c447cd1d9151108"},
      {65, "4bfd2c8b6f1eec7a2afeb48b934ee4b2694182027e6d0fc075074f2fabb31781"},
      {119, "da18797ed7c3a777f0847f429724a2d8cd5138e6ed2895c3fa1a6d39d18f7ec6"},
      {120, "f52b23db1fbb6ded89ef42a23ce0c8922c45f25c50b568a93bf1c075420bbb7c"},
      {128, "471fb943aa23c511f6f72f8d1652d9c880cfa392ad80503120547703e56a2be5"},
      {1000, "4e4c294b331f7a2099a379bec34b9f9fc03dc46ab465d998f4d683da53487e6d"}};
  for (const auto& [length, digest] : known) CHECK(sha256(counted(length)) == digest);
}

TEST_CASE("however a text is cut, its hash is the same", "[sha256]") {
  const std::string text = counted(300);
  for (std::size_t size = 1; size <= 300; ++size) CHECK(of_pieces(text, size) == sha256(text));
}

TEST_CASE("a file hashes as its bytes, also beyond one piece", "[sha256]") {
  const TemporaryFolder folder;
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, (std::size_t{1} << 18) + 63}) {
    write_text(folder.path() / "f", counted(length));
    CHECK(sha256_of_file(folder.path() / "f") == sha256(counted(length)));
  }
  CHECK_THROWS_AS(sha256_of_file(folder.path()), DataError);
  CHECK_THROWS_AS(sha256_of_file(folder.path() / "none"), std::filesystem::filesystem_error);
}
