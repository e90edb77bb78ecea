#include <sys/stat.h>
#include <unisim/image.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "hostile.h"
#include "image_bytes.h"
#include "io/exif.h"
#include "io/image_codec.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;
using Catch::Matchers::Contains;

namespace {

Image decode(const Bytes& bytes, const ReadOptions& options = {}) {
  return decode_image(std::as_bytes(std::span(bytes.data(), bytes.size())), "bytes", options);
}

std::filesystem::path written(const TemporaryFolder& folder, const std::string& name, const Bytes& bytes) {
  std::ofstream(folder.path() / name, std::ios::binary) << bytes;
  return folder.path() / name;
}

std::vector<uint8_t> pixels(std::initializer_list<int> values) { return {values.begin(), values.end()}; }

Bytes replaced(Bytes bytes, std::size_t at, char with) {
  bytes[at] = with;
  return bytes;
}

/// The progressive file with its last scan given again and again.
Bytes of_many_scans(int count) {
  const Bytes file = jpeg(16, 16, true);
  const std::size_t last = file.rfind("\xff\xda"), end = file.rfind("\xff\xd9");
  Bytes out = file.substr(0, end);
  for (int i = 0; i < count; ++i) out += file.substr(last, end - last);
  return out + file.substr(end);
}

struct Refused {
  const char* name;
  Bytes bytes;
  const char* message;
  bool unsupported = false;
};

std::vector<Refused> refused_files() {
  const Bytes good_jpeg = jpeg(40, 30), good_png = png(40, 30), good_webp = webp(40, 30);
  const std::size_t frame = frame_of(good_jpeg);
  const Bytes row(1 + 4 * 3, '\0');
  return {
      {"an empty file", "", "an empty file"},
      {"a text", "a photograph of a cat\n", "a text"},
      {"a web page", "<!DOCTYPE html><html>404</html>", "an HTML page"},
      {"a pickle", Bytes("\x80\x04\x95\0\0\0\0\0\0\0\0", 11), "a pickle"},
      {"a zip archive", Bytes("PK\3\4") + Bytes(30, '\0'), "a zip archive"},
      {"noise", "\x03\x97\x11\xfe\x8c\x01\x02", "not an image in any format"},
      {"GIF", Bytes("GIF89a") + Bytes(20, '\0'), "GIF", true},
      {"BMP", Bytes("BM") + Bytes(60, '\0'), "BMP", true},
      {"TIFF", Bytes("II*\0", 4) + Bytes(20, '\0'), "TIFF", true},
      {"AVIF",
       Bytes("\0\0\0\x1c"
             "ftypavif",
             12),
       "AVIF", true},
      {"HEIC",
       Bytes("\0\0\0\x1c"
             "ftypheic",
             12),
       "HEIC", true},
      {"JPEG XL", Bytes("\xff\x0a\x00\x00", 4), "JPEG XL", true},
      {"PPM", "P6 2 2 255 abcdefghijkl", "PPM", true},
      {"ICO", Bytes("\0\0\1\0\1\0", 6), "ICO", true},
      {"SVG", "<?xml version=\"1.0\"?>\n<svg width=\"9\"/>", "SVG", true},
      {"PDF", "%PDF-1.7\n", "PDF", true},
      {"a JPEG's signature alone", good_jpeg.substr(0, 3), "truncated JPEG"},
      {"a JPEG cut in its header", good_jpeg.substr(0, frame + 6), "truncated JPEG"},
      {"a JPEG cut in its data", good_jpeg.substr(0, good_jpeg.size() * 3 / 4), "truncated JPEG"},
      {"a progressive JPEG cut in its data", jpeg(40, 30, true).substr(0, 700), "truncated JPEG"},
      {"a JPEG of no width", with_size(good_jpeg, 0, 30), "broken JPEG"},
      {"a JPEG of no height", with_size(good_jpeg, 40, 0), "broken JPEG"},
      {"a JPEG that claims 65,500 x 65,500", with_size(good_jpeg, 65500, 65500), "max_pixels"},
      {"a JPEG of 12 bits", replaced(good_jpeg, frame + 4, 12), "is not read", true},
      {"a lossless JPEG", replaced(good_jpeg, frame + 1, '\xc3'), "is not read", true},
      {"a JPEG of two components", jpeg(8, 8, false, 2), "2 components", true},
      {"a JPEG without tables", good_jpeg.substr(0, 2) + good_jpeg.substr(frame), "broken JPEG"},
      {"a JPEG of 600 scans", of_many_scans(600), "500 scans"},
      {"a PNG's signature alone", png_signature, "truncated PNG"},
      {"a PNG cut in its header", good_png.substr(0, 20), "truncated PNG"},
      {"a PNG cut in its data", good_png.substr(0, good_png.size() / 2), "truncated PNG"},
      {"a PNG whose header has a wrong checksum", replaced(good_png, 29, 'x'), "CRC"},
      {"a PNG whose data has a wrong checksum", replaced(good_png, good_png.size() - 14, 'x'), "CRC"},
      {"a PNG whose text has a wrong checksum", png(4, 1, 8, 2, row, replaced(chunk("tEXt", "a"), 9, 'x')),
       "CRC"},
      {"a PNG of no width", png(0, 1, 8, 2, row), "broken PNG"},
      {"a PNG of 50,000 x 50,000 bits", png(50000, 50000, 1, 0, Bytes(6251 * 100, '\0')), "max_pixels"},
      {"a PNG of 2^31 - 1 x 2^31 - 1", png(0x7fffffff, 0x7fffffff, 1, 0, row), "max_pixels"},
      {"a PNG of 3 bits", png(4, 1, 3, 2, row), "broken PNG"},
      {"a palette PNG without a palette", png(4, 1, 8, 3, row), "broken PNG"},
      {"a PNG with half of its rows", png(4, 2, 8, 2, row), "PNG"},
      {"a PNG whose data is no deflate stream",
       png_signature + png_header(4, 1, 8, 2) + chunk("IDAT", "rubbish") + chunk("IEND", ""), "broken PNG"},
      {"a PNG without data", png_signature + png_header(4, 1, 8, 2) + chunk("IEND", ""), "PNG"},
      {"a WebP's signature alone", good_webp.substr(0, 12), "WebP"},
      {"a WebP cut in its data", good_webp.substr(0, good_webp.size() / 2), "WebP"},
      {"a lossless WebP cut in its data", webp(40, 30, true).substr(0, 60), "WebP"},
      {"a WebP with no frame", Bytes("RIFF\x04\0\0\0WEBP", 12), "WebP"},
      {"a WebP whose data is rubbish", good_webp.substr(0, 30) + Bytes(good_webp.size() - 30, '\x55'),
       "WebP"},
  };
}

}  // namespace

TEST_CASE("a bad file is refused by name, and says what it is") {
  for (const Refused& file : refused_files()) {
    INFO(file.name);
    if (file.unsupported)
      check_throws<Unsupported>([&] { decode(file.bytes); }, file.message);
    else
      check_throws<DataError>([&] { decode(file.bytes); }, file.message);
  }
}

TEST_CASE("every cut of a file is refused or gives the whole picture") {
  // What is missing may be the end marker alone; then nothing is lost.
  for (const Bytes& file :
       {jpeg(24, 17), jpeg(24, 17, true), png(24, 17), webp(24, 17), webp(24, 17, true)}) {
    const Image whole = decode(file);
    for (std::size_t size = 0; size < file.size(); ++size) {
      Image image;
      try {
        image = decode(file.substr(0, size));
      } catch (const DataError&) {
        continue;
      }
      REQUIRE(image.pixels == whole.pixels);
      REQUIRE(size + 16 >= file.size());
    }
  }
}

TEST_CASE("a file whose decoding takes too long is given up, whatever its format") {
  const std::vector<Bytes> files = {jpeg(40, 30), jpeg(40, 30, true), png(40, 30), webp(40, 30),
                                    webp(40, 30, true)};
  const double usual = decoding_seconds.exchange(-1);
  for (const Bytes& file : files)
    check_throws<DataError>([&] { decode(file); }, "decoding took more than -1 s and was given up");
  decoding_seconds = usual;
  for (const Bytes& file : files) CHECK(decode(file).width == 40);
}

TEST_CASE("the clock is looked at between the steps of one WebP") {
  std::mt19937 random(1);
  std::vector<uint8_t> noise(3 * 500 * 400);
  for (uint8_t& value : noise) value = uint8_t(random());
  const Bytes file = webp_of(noise, 500, 400, true);
  REQUIRE(file.size() > 5 * (64 << 10));
  CHECK(decode(file).pixels == noise);
  // Time to begin with the first step, in seconds of the processor, and not to do all of them.
  const double usual = decoding_seconds.exchange(0.0002);
  check_throws<DataError>([&] { decode(file); }, "given up");
  decoding_seconds = usual;
}

TEST_CASE("what cannot be read is told apart from what is no image") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(read_image(folder.path() / "missing.png"), std::filesystem::filesystem_error);
  CHECK_THROWS_AS(read_image(folder.path()), DataError);
  const auto pipe = folder.path() / "pipe.png";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_AS(read_image(pipe), DataError);  // at once: nobody writes to it
  const auto file = written(folder, "picture.gif", png(5, 4));
  CHECK(read_image(file).pixels == ramps(5, 4));  // the content decides, not the name
  CHECK_THROWS_WITH(read_image(file, {.max_file_bytes = 50}), Contains("picture.gif") && Contains("50"));
}

TEST_CASE("limits are the caller's") {
  const Bytes file = png(8, 4);
  CHECK(decode(file, {.max_pixels = 32}).width == 8);
  CHECK_THROWS_AS(decode(file, {.max_pixels = 31}), DataError);
  CHECK_THROWS_AS(decode(file, {.max_pixels = 0}), std::invalid_argument);
  CHECK_THROWS_AS(decode(file, {.max_file_bytes = int64_t(file.size()) - 1}), DataError);
}

TEST_CASE("PNG samples of every depth become bytes as Pillow makes them") {
  const Bytes zero(1, '\0');
  CHECK(decode(png(4, 1, 1, 0, zero + "\xa0")).pixels ==
        pixels({255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0}));
  CHECK(decode(png(3, 1, 2, 0, zero + "\x6c")).pixels == pixels({85, 85, 85, 170, 170, 170, 255, 255, 255}));
  CHECK(decode(png(2, 1, 4, 0, zero + "\x1e")).pixels == pixels({17, 17, 17, 238, 238, 238}));
  // 16-bit grey is clipped, 16-bit colour loses its low byte.
  const Image grey = decode(png(2, 1, 16, 0, zero + Bytes("\x00\x80\x01\x00", 4)));
  CHECK(grey.pixels == pixels({128, 128, 128, 255, 255, 255}));
  CHECK_THAT(grey.warnings.at(0), Contains("clipped"));
  const Image color = decode(png(1, 1, 16, 2, zero + Bytes("\x12\xff\x34\xff\x56\xff", 6)));
  CHECK(color.pixels == pixels({0x12, 0x34, 0x56}));
  CHECK(color.warnings.size() == 1);
  CHECK(decode(png(1, 1, 8, 6, zero + Bytes("\x09\x08\x07\x00", 4))).pixels ==
        pixels({9, 8, 7}));  // alpha is dropped
  // A palette index without an entry is black, as in Pillow.
  const Bytes palette = chunk("PLTE", "abc") + chunk("tRNS", zero);
  CHECK(decode(png(2, 1, 8, 3, zero + Bytes("\0\1", 2), palette)).pixels == pixels({'a', 'b', 'c', 0, 0, 0}));
}

TEST_CASE("JPEG data with faults is read, with a warning") {
  Bytes file = jpeg(40, 30);
  const std::size_t scan = file.find("\xff\xda");
  file.insert(scan, "\x01\x02\x03");
  const Image image = decode(file);
  CHECK(image.pixels == decode(jpeg(40, 30)).pixels);
  REQUIRE(image.warnings.size() == 1);
  CHECK_THAT(image.warnings[0], Contains("extraneous"));
}

TEST_CASE("an orientation moves the corners where EXIF says") {
  const Image image{2, 3, pixels({1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6}), {}};
  const char* expected[] = {"123456", "214365", "654321", "563412", "135246", "531642", "642531", "246135"};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image turned = oriented(image, orientation);
    Bytes seen;
    for (std::size_t i = 0; i < turned.pixels.size(); i += 3) seen += char('0' + turned.pixels[i]);
    INFO(orientation);
    CHECK(seen == expected[orientation - 1]);
    CHECK(turned.width == (orientation < 5 ? 2 : 3));
  }
}

TEST_CASE("hostile EXIF is no orientation") {
  const Bytes file = png(2, 2), before = file.substr(0, 33), after = file.substr(33);
  const auto orientation = [&](const Bytes& exif) {
    const Bytes bytes = before + chunk("eXIf", exif) + after;
    return exif_orientation(std::as_bytes(std::span(bytes.data(), bytes.size())));
  };
  const Bytes good = Bytes("MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0", 26);
  CHECK(orientation(good) == 6);
  for (std::size_t size = 0; size < 22; ++size) CHECK(orientation(good.substr(0, size)) == 1);
  CHECK(orientation(replaced(good, 4, '\x7f')) == 1);   // the directory far outside
  CHECK(orientation(replaced(good, 8, '\x7f')) == 6);   // more entries than there are
  CHECK(orientation(replaced(good, 13, '\2')) == 1);    // a text
  CHECK(orientation(replaced(good, 17, '\2')) == 1);    // two values
  CHECK(orientation(replaced(good, 19, '\x09')) == 1);  // no such orientation
}

TEST_CASE("a crop is the middle, with zeros around what is smaller") {
  const Image image{3, 3, ramps(3, 3), {}};
  const auto at = [&](int x, int y) { return image.pixels[3 * (3 * y + x)]; };
  CHECK(center_crop(image, 1, 1).pixels[0] == at(1, 1));
  CHECK(center_crop(image, 2, 2).pixels[0] == at(0, 0));
  CHECK(center_crop(image, 3, 3).pixels == image.pixels);
  // Padding of 3 puts 2 of them before the image.
  const Image wide = center_crop(image, 6, 1);
  for (int x = 0; x < 6; ++x) CHECK(wide.pixels[3 * x] == (x < 2 || x > 4 ? 0 : at(x - 2, 1)));
  CHECK_THROWS_AS(center_crop(image, 0, 1), std::invalid_argument);
  CHECK_THROWS_AS(center_crop(Image{}, 1, 1), std::invalid_argument);
}

TEST_CASE("many files come in order, whatever the number of threads") {
  const TemporaryFolder folder;
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < 40; ++i)
    files.push_back(written(folder, std::to_string(i), i % 3 == 0 ? png(3 + i, 9) : jpeg(3 + i, 9)));
  const std::vector<Image> alone = read_images(files, {}, 1);
  for (int i = 0; i < 40; ++i) REQUIRE(alone[i].width == 3 + i);
  for (const int threads : {0, 2, 7}) {
    const std::vector<Image> images = read_images(files, {}, threads);
    for (int i = 0; i < 40; ++i) REQUIRE(images[i].pixels == alone[i].pixels);
  }
  CHECK(read_images({}).empty());
  CHECK_THROWS_AS(read_images(files, {}, -1), std::invalid_argument);
}

TEST_CASE("progress counts the files, and ends the run by what it throws") {
  const TemporaryFolder folder;
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < 30; ++i) files.push_back(written(folder, std::to_string(i), png(9, 9)));
  for (const int threads : {1, 3}) {
    std::vector<int64_t> told;
    const auto count = [&](int64_t done, int64_t total) {
      CHECK(total == 30);
      told.push_back(done);
    };
    CHECK(read_images(files, {}, threads, count).size() == 30);
    CHECK(std::ranges::adjacent_find(told, std::ranges::greater_equal{}) == told.end());
    CHECK(told.back() == 30);
    told.clear();
    CHECK(read_images_skipping(files, {}, threads, count).images.size() == 30);
    CHECK(told.back() == 30);
    const auto stop = [&](int64_t done, int64_t) {
      if (done >= 3) throw Cancelled();
    };
    CHECK_THROWS_AS(read_images(files, {}, threads, stop), Cancelled);
    CHECK_THROWS_AS(read_images_skipping(files, {}, threads, stop), Cancelled);
  }
  int64_t done = 0;
  const auto stop_at_once = [&](int64_t now, int64_t) {
    done = now;
    throw Cancelled();
  };
  CHECK_THROWS_AS(read_images(files, {}, 1, stop_at_once), Cancelled);
  CHECK(done == 1);
  read_images({}, {}, 1, stop_at_once);  // of no files there is nothing to tell
}

TEST_CASE("one bad file is one failure, and the others stay as they are") {
  const TemporaryFolder folder;
  std::vector<std::filesystem::path> good, all;
  for (const Refused& file : refused_files()) {
    const std::string number = std::to_string(all.size());
    all.push_back(written(folder, "bad " + number, file.bytes));
    good.push_back(written(folder, "good " + number, jpeg(20 + int(good.size()), 20)));
    all.push_back(good.back());
  }
  all.push_back(folder.path() / "missing");
  const std::vector<Image> alone = read_images(good);
  const ImagesRead read = read_images_skipping(all, {}, 3);
  REQUIRE(read.images.size() == good.size());
  REQUIRE(read.failures.size() == good.size() + 1);
  for (std::size_t i = 0; i < good.size(); ++i) {
    REQUIRE(read.images[i].pixels == alone[i].pixels);
    REQUIRE(read.index[i] == int64_t(2 * i + 1));
    REQUIRE(read.failures[i].file == all[2 * i]);
    REQUIRE(read.failures[i].unsupported == refused_files()[i].unsupported);
  }
  // The error thrown is that of the first bad file, whichever thread met one first.
  for (int repeat = 0; repeat < 20; ++repeat) CHECK_THROWS_WITH(read_images(all, {}, 4), Contains("bad 0"));
}
