#include "io/csv.h"

#include "hostile.h"

using namespace unisim;
using unisim::test::bytes_from;
using unisim::test::check_throws;
using unisim::test::survive_every_mutation;
using unisim::test::TemporaryFolder;
using unisim::test::write_text;

namespace {

Csv parse(std::string_view text) { return parse_csv(text, "t.csv"); }

void check_refused(std::string_view text, const std::string& part) {
  check_throws<DataError>([&] { parse(text); }, part);
}

}  // namespace

TEST_CASE("quotes hold commas, line ends and doubled quotes, and lines are counted through them", "[csv]") {
  const Csv csv = parse("id,text\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n2,\n");
  REQUIRE(csv.rows().size() == 2);
  CHECK(csv.header() == std::vector<std::string>{"id", "text"});
  CHECK(csv.rows()[0].fields == std::vector<std::string>{"1", "a, \"b\"\r\nc"});
  CHECK(csv.rows()[0].line == 2);
  CHECK(csv.rows()[1].fields == std::vector<std::string>{"2", ""});
  CHECK(csv.rows()[1].line == 4);
}

TEST_CASE("the last line needs no end, and empty lines behind it are no rows", "[csv]") {
  for (const char* text : {"a,b\n1,2", "a,b\n1,2\n", "a,b\n1,2\n\n", "a,b\r\n1,2\r\n\r\n\n"}) {
    const Csv csv = parse(text);
    REQUIRE(csv.rows().size() == 1);
    CHECK(csv.rows()[0].fields == std::vector<std::string>{"1", "2"});
  }
  CHECK(parse("a\n").rows().empty());
  CHECK(parse("a\n\"\"\n").rows().size() == 1);
}

TEST_CASE("what is no table is refused with its line", "[csv]") {
  check_refused("", "t.csv: is empty");
  check_refused("a,b\n1,2\n\n3,4\n", "t.csv:3: has 1 field, the header \"a,b\" has 2");
  check_refused("a,b\n1,2,3\n", "t.csv:2: has 3 fields");
  check_refused("a,b\n1,x\"y\n", "t.csv:2: has a quote inside");
  check_refused("a,b\n1,\"x\" \n", "t.csv:2: has text behind");
  check_refused("a,b\n\"1\n\n", "t.csv:2: opens a quote");
  check_refused("a,b\n1\r2,3\n", "t.csv:2: has a carriage return");
  check_refused("a,b,a\n", "t.csv:1: names the column \"a\" twice");
}

TEST_CASE("columns are found by name, and numbers are read whole", "[csv]") {
  const Csv csv = parse("n,x\n12,0.5\n-1,1e999\n 3,0x1\n4.0,nan\n");
  CHECK(csv.column("x") == 1);
  CHECK_FALSE(csv.find("X"));
  check_throws<DataError>([&] { csv.column("y"); }, "t.csv:1: has no column \"y\", its header is \"n,x\"");
  CHECK(csv.integer(csv.rows()[0], 0, 0, 12) == 12);
  CHECK(csv.number(csv.rows()[0], 1) == 0.5);
  check_throws<DataError>([&] { csv.integer(csv.rows()[0], 0, 0, 11); },
                          "t.csv:2: n is \"12\", expected a whole");
  for (const std::size_t row : {1u, 2u, 3u}) {
    check_throws<DataError>([&] { csv.integer(csv.rows()[row], 0, 0, 12); },
                            "expected a whole number from 0");
    check_throws<DataError>([&] { csv.number(csv.rows()[row], 1); }, "expected a finite number");
  }
}

TEST_CASE("any bytes are a table or a DataError, and every row is as long as the header", "[csv]") {
  const std::size_t accepted = survive_every_mutation(
      bytes_from("a,\"b\"\r\n1,\"x,\"\"\ny\"\r\n2,z\n"), [](const std::vector<std::byte>& bytes) {
        const Csv csv = parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        for (const CsvRow& row : csv.rows()) CHECK(row.fields.size() == csv.header().size());
      });
  CHECK(accepted > 0);
}

TEST_CASE("a text file is UTF-8 without a NUL; its byte order mark is no part of it", "[lines]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "t.csv";
  write_text(file,
             "\xEF\xBB\xBF"
             "a\n1\n");
  CHECK(read_csv(file).header() == std::vector<std::string>{"a"});
  write_text(file, "a\nb\n\xFFx\n");
  check_throws<DataError>([&] { read_csv(file); }, "t.csv:3: is not UTF-8");
  write_text(file, "a\nb\n\xE2\x82");
  check_throws<DataError>([&] { read_csv(file); }, "t.csv:3: is not UTF-8");
  write_text(file, std::string("a\nb\0\n", 5));
  check_throws<DataError>([&] { read_csv(file); }, "t.csv:2: has a NUL");
}

TEST_CASE("records are lines or the items of an array, each an object", "[lines]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "r.jsonl";
  write_text(file, "{\"a\": 1}\r\n\n{\"a\": 2}");
  const auto records = read_records(file);
  REQUIRE(records.size() == 2);
  CHECK(records[1].object["a"] == 2);
  CHECK(records[1].place.filename() == "r.jsonl:3");
  write_text(file, " [{\"a\": 1}]");
  CHECK(read_records(file).at(0).place.filename() == "r.jsonl, item 1");
  write_text(file, "{\"a\": 1}\n{\"a\": }\n");
  check_throws<DataError>([&] { read_records(file); }, "r.jsonl:2: JSON");
  write_text(file, "{}\n3\n");
  check_throws<DataError>([&] { read_records(file); }, "r.jsonl:2: is number, expected an object");
}
