// Decoding one photograph from memory, per core. UNISIM_BENCH_IMAGES names a folder; its files are taken in
// order.
#include <benchmark/benchmark.h>
#include <unisim/image.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

namespace {

struct File {
  std::string name;
  std::vector<char> bytes;
};

std::vector<File> files_of(const char* folder) {
  std::vector<File> files;
  if (folder == nullptr) return files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files.push_back({entry.path().string(), {std::istreambuf_iterator<char>(in), {}}});
  }
  std::ranges::sort(files, {}, &File::name);
  return files;
}

/// One iteration is the whole folder; items are images, bytes are those of the pixels.
void decode(benchmark::State& state) {
  const std::vector<File> files = files_of(std::getenv("UNISIM_BENCH_IMAGES"));
  if (files.empty()) return state.SkipWithError("set UNISIM_BENCH_IMAGES to a folder of images");
  int64_t images = 0, bytes = 0;
  for (auto _ : state)
    for (const File& file : files) try {
        const unisim::Image image = unisim::decode_image(std::as_bytes(std::span(file.bytes)), file.name);
        ++images;
        bytes += static_cast<int64_t>(image.pixels.size());
      } catch (const unisim::DataError&) {
        // Classes, licences and the like may lie beside the photographs.
      }
  state.SetItemsProcessed(images);
  state.SetBytesProcessed(bytes);
}
BENCHMARK(decode)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
